from dataclasses import replace

import numpy as np
import pytest

from hwnas import spaces
from hwnas.devices import (
    available,
    differences_here,
    measure_on,
    measure_runs,
    precision_for,
    runtime_for,
)
from hwnas.devices.target import runtime_of_table
from hwnas.errors import OptionError
from hwnas.latency_tables import Measurement, Target
from hwnas.profilers import Plan, profile_space, runtime
from hwnas.progress import silent
from hwnas.testing import SyntheticRuntime

HERE = runtime("cpu").target("fp32", 1)


def test_this_machine_is_the_target_of_its_own_runtime():
    assert differences_here(HERE) == []
    assert runtime_for(HERE).target("fp32", 1) == HERE


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"device": "Other CPU"}, "device: "),
        ({"runtime_version": "0.1"}, "runtime_version: "),
        ({"runtime": "onnxruntime+xnnpack"}, "runtime: onnxruntime instead of onnxruntime+xnnpack"),
        ({"runtime": "nobody's"}, "runtime: onnxruntime instead of nobody's"),
        ({"threads": 9999}, "threads are 1 to"),
    ],
)
def test_every_difference_is_named_and_none_is_a_crash(change, named):
    (difference,) = differences_here(replace(HERE, **change))
    assert difference.startswith(named)


def test_a_card_that_is_not_here_is_a_difference(monkeypatch):
    monkeypatch.setattr("hwnas.profilers.gpu.cuda_driver.LIBRARIES", ("libcuda-not-here.so",))
    (difference,) = differences_here(replace(HERE, kind="gpu", runtime="tensorrt"))
    assert "no NVIDIA driver is installed" in difference
    assert available("auto") == "cpu"


def test_auto_takes_a_card_that_can_be_used(card):
    assert available("auto") == "gpu"
    assert available("cpu") == "cpu"


def test_the_runtime_of_a_table_is_found_again_by_its_name(synthetic):
    target = SyntheticRuntime().target("fp32", 1)
    assert runtime_of_table(target, "cpu") == "synthetic"
    assert runtime_of_table(target, "gpu") is None
    assert differences_here(target) == []


def test_no_file_decides_what_is_imported(tmp_path, monkeypatch):
    (tmp_path / "evil_runtime.py").write_text("open('imported', 'w')\ndef make(threads): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for kind in ("cpu", "gpu"):
        for name in ("evil_runtime:make", f"{tmp_path}/evil_runtime.py:make"):
            target = replace(HERE, kind=kind, runtime=name)
            assert runtime_of_table(target, kind) is None
            assert differences_here(target)
    assert not (tmp_path / "imported").exists()


def test_a_model_is_measured_on_its_target(synthetic, small_space):
    target = SyntheticRuntime().target("fp32", 1)
    model = small_space.to_onnx([0, 0, 0, 0])
    told = []
    taken = measure_on(target, small_space, 0.0)(model, lambda *what: told.append(what))
    assert taken["latency_ms"] == pytest.approx(SyntheticRuntime().true_ms(model), rel=0.02)
    runs_ms = taken.pop("runs_ms")
    assert Measurement(**taken).runs == len(runs_ms) > 1
    assert min(runs_ms) <= taken["latency_ms"] <= max(runs_ms)
    assert told[-1][:2] == ("measuring", 1.0)


class CachedRuntime(SyntheticRuntime):
    """A model that ran among the last four takes half as long: its weights are in the cache."""

    def __init__(self):
        super().__init__()
        self.ran = []

    def load(self, model, *, warm=False):
        job = super().load(model)

        def cached():
            ms = job() * (0.5 if job in self.ran[-4:] else 1.0)
            self.ran.append(job)
            return ms

        return cached


def test_a_small_network_takes_as_long_as_in_its_profile(small_space):
    """There other networks run in between; alone it would find its weights in the cache."""
    cpu = CachedRuntime()
    table = profile_space(small_space, cpu, plan=Plan(min_runs=60, max_runs=60))
    for name, entry in list(table.networks.items())[:2]:
        model = small_space.to_onnx(small_space.parse(name))
        taken, runs_ms = measure_runs(model, small_space, cpu, table.target, seconds=0.0)
        assert taken.latency_ms == pytest.approx(entry.latency_ms, rel=0.05)
        assert taken.runs == len(runs_ms) >= 100


def test_few_bits_are_measured_as_int8(small_space):
    bits = spaces.space("resnet18-bits", input_size=32)
    assert precision_for(bits, None) == "int8"
    assert precision_for(small_space, None) == "fp32"
    assert precision_for(small_space, "int8") == "int8"
    with pytest.raises(OptionError, match="its precision is int8, got fp32"):
        precision_for(bits, "fp32")


def test_targets_of_other_batches_are_measured_with_theirs(small_space):
    """A real runtime: the model of batch 2 is fed two images."""
    target: Target = replace(HERE, batch=2)
    model = small_space.to_onnx([0, 0, 0, 0], batch=2)
    taken = measure_on(target, small_space, 0.0)(model, silent)
    assert np.isfinite(taken["latency_ms"])
