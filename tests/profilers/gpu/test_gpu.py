"""Which GPU runtime is taken, and what is said where there is none."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas import spaces
from hwnas.devices import tables
from hwnas.errors import DeviceUnavailableError, OptionError, UnknownNameError
from hwnas.profilers import GPU_RUNTIMES, Plan, gpu_problem, profile_space, runtime
from hwnas.profilers.gpu import choice, cuda_driver
from hwnas.profilers.gpu.tensorrt import TensorRt
from hwnas.progress import silent
from hwnas.search.deployment import deploy
from hwnas.search.options import TargetOptions


def test_the_best_that_works_is_taken(card, monkeypatch):
    assert gpu_problem() is None
    assert runtime("gpu").target("fp32", 1).runtime == "tensorrt"
    card(tensorrt="11.4.0", gpu_capability="7.0")  # which this version does not run
    made = object()
    monkeypatch.setitem(choice._MAKE, "torch", lambda: made)
    assert runtime("gpu") is made


def test_what_takes_its_place_is_said_once_and_why(card, monkeypatch, caplog):
    card(tensorrt="11.4.0", gpu_capability="7.0")
    made = object()
    monkeypatch.setitem(choice._MAKE, "torch", lambda: made)
    with caplog.at_level(logging.INFO, logger="hwnas"):
        assert runtime("gpu") is runtime("gpu") is made
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("--device gpu measures by torch (tensorrt: TensorRT 11.4.0 needs")
    assert "pip install tensorrt-cu12==10.4.0" in said
    card(tensorrt="10.4.0", gpu_capability="7.0")
    caplog.clear()
    assert runtime("gpu").target("fp32", 1).runtime == "tensorrt"
    assert runtime("gpu", name="torch") is made
    assert caplog.records == []  # the best serves, or another was asked for


def test_a_search_makes_one_tensorrt_object(card, small_space, tmp_path, monkeypatch):
    made = []
    start = TensorRt.__init__
    monkeypatch.setattr(TensorRt, "__init__", lambda self: (made.append(self), start(self))[1])
    monkeypatch.setattr(tables, "profile_plan", lambda seconds: Plan(1.0, min_runs=5))
    other = spaces.remake(small_space.name, {**small_space.arguments, "classes": 12})
    for space in (small_space, other):  # the second has another head, which is measured
        found = deploy(space, None, tmp_path / "kept", TargetOptions(), progress=silent)
        assert found.differences == []
        assert found.measure(small_space.to_onnx([0, 0, 0, 0]), silent)["latency_ms"] > 0
        deploy(space, found.table, tmp_path / "kept", TargetOptions(), progress=silent)
    assert len(made) == 1


def test_a_second_profile_of_the_same_object_tells_its_own_conditions(card, small_space):
    plan = Plan(1.0, min_runs=5)
    tables_ = [profile_space(small_space, runtime("gpu"), plan=plan, n_networks=2) for _ in "ab"]
    first, second = (table.provenance.conditions for table in tables_)
    assert second.windows == pytest.approx(first.windows, rel=0.2)
    assert [state.moment for state in second.states] == ["before", "during", "after"]


@pytest.mark.parametrize("device", ["gpu:1", "gpu:0", "gpu:x"])
def test_one_card_of_several_is_answered_with_the_variable(card, device):
    with pytest.raises(OptionError, match=r"CUDA_VISIBLE_DEVICES=(0|1|N) .*give --device gpu"):
        runtime(device)
    with pytest.raises(OptionError, match="first card"):
        deploy(None, "a.json", Path("kept"), TargetOptions(), device=device, progress=silent)


def test_where_none_works_every_reason_is_given(card, monkeypatch):
    card(tensorrt="11.4.0", gpu_capability="7.0")

    def broken():
        raise DeviceUnavailableError("is not installed")

    for name in GPU_RUNTIMES[1:]:
        monkeypatch.setitem(choice._MAKE, name, broken)
    with pytest.raises(DeviceUnavailableError, match=r"tensorrt: .*==10\.4\.0") as caught:
        runtime("gpu")
    for name in GPU_RUNTIMES[1:]:
        assert f"{name}: is not installed" in str(caught.value)


def test_unknown_names(card):
    with pytest.raises(UnknownNameError, match="unknown GPU runtime 'tvm': choose one of tensorrt"):
        runtime("gpu", name="tvm")
    with pytest.raises(UnknownNameError, match="unknown CPU runtime 'tensorrt'"):
        runtime("cpu", name="tensorrt")


@pytest.mark.parametrize("name", [None, *GPU_RUNTIMES])
def test_no_driver_is_one_line_for_every_runtime(monkeypatch, name):
    monkeypatch.setattr(cuda_driver, "LIBRARIES", ("libcuda-that-is-not.so",))
    with pytest.raises(DeviceUnavailableError) as caught:
        runtime("gpu", name=name)
    assert "no NVIDIA driver is installed" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SYNTHETIC_GPU_INIT": "100"}, "the NVIDIA driver does not start (cuInit returned 100)"),
        ({"SYNTHETIC_GPU_CARDS": "0"}, "the NVIDIA driver sees no card"),
    ],
)
def test_the_process_says_what_is_missing_and_does_not_crash(gpu_folder, variables, says):
    command = [sys.executable, "-m", "hwnas", "profile", "--device", "gpu"]
    paths = os.pathsep.join([str(gpu_folder), str(Path.cwd())])
    environment = {**os.environ, "LD_LIBRARY_PATH": str(gpu_folder), "PYTHONPATH": paths}
    done = subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr  # a crash would be negative
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
