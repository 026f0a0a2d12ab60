"""Runtimes by name, registered, typed, and what is none."""

import numpy as np
import pytest

from hwnas.errors import ModelRejectedError, OptionError, UnknownNameError
from hwnas.profilers import (
    RUNTIMES,
    is_remote,
    names_remote_device,
    profile_space,
    register_runtime,
    runtime,
)
from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu
from hwnas.profilers.remote.runtime import RemoteRuntime
from hwnas.profilers.remote.transport import Transport
from hwnas.profilers.runtime import MeasuresRounds
from hwnas.profilers.this_cpu import warmed
from hwnas.testing import SyntheticRuntime

FILE = """
from hwnas.testing import SyntheticRuntime

def make(threads):
    return SyntheticRuntime(name=f"{threads} threads")

class Broken:
    def __init__(self, threads):
        raise RuntimeError("no board\\nis plugged in")

nothing = lambda threads: None
number = 7
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "my_runtime.py"
    path.write_text(FILE)
    return str(path)


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(RUNTIMES, "_registered", {})


def test_the_cpu_has_one_that_ships():
    assert isinstance(runtime("cpu"), OnnxRuntimeCpu)
    assert isinstance(runtime("cpu", name="onnxruntime"), OnnxRuntimeCpu)
    with pytest.raises(UnknownNameError, match="unknown CPU runtime 'mine': choose one of onnxr"):
        runtime("cpu", name="mine")


def test_a_registered_one_is_found_by_its_name(registry):
    made = []
    register_runtime("mine", lambda threads: made.append(threads) or SyntheticRuntime())
    assert isinstance(runtime("cpu", 3, "mine"), SyntheticRuntime)
    assert made == [3]
    assert "mine" in RUNTIMES.names()


@pytest.mark.parametrize("name", ["onnxruntime", "tensorrt", "torch"])
def test_names_that_ship_are_taken(registry, name):
    with pytest.raises(OptionError, match=f"there is a runtime '{name}' already"):
        register_runtime(name, lambda threads: SyntheticRuntime())


def test_a_typed_one_needs_no_registration(own):
    assert runtime("cpu", 2, f"{own}:make").target("fp32", 1).device == "2 threads"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("number", r"a runtime is a callable make\(threads\) that returns one, got 7"),
        ("nothing", "is no runtime, since it lacks precisions, target, load"),
        ("Broken", "cannot be made for 1 threads: RuntimeError: no board"),
        ("absent", "has no 'absent'"),
    ],
)
def test_what_is_none_is_refused(own, name, says):
    with pytest.raises(OptionError, match=says) as caught:
        runtime("cpu", 1, f"{own}:{name}")
    assert caught.value.exit_status == 2


def test_a_runtime_of_another_device_is_refused(own):
    with pytest.raises(OptionError, match="measures a cpu, got --device gpu"):
        runtime("gpu", 1, f"{own}:make")


def test_devices_elsewhere_are_told_by_their_text():
    assert [names_remote_device(d) for d in ("adb", "adb:1", "ssh://a")] == [True] * 3
    assert [names_remote_device(d) for d in ("cpu", "gpu", "adbx", "")] == [False] * 4


def test_remote_runtimes_are_told_without_asking_their_machine():
    there = RemoteRuntime(Transport("nowhere", ("/no/such/program",), ""))
    assert is_remote(there)
    assert isinstance(there, MeasuresRounds)
    assert not is_remote(SyntheticRuntime())
    assert not isinstance(SyntheticRuntime(), MeasuresRounds)


class ElsewhereHost:
    system, python = "Board OS", "none"


class Elsewhere(SyntheticRuntime):
    """A remote runtime that no class of the package knows, with a session."""

    host = ElsewhereHost()
    conditions = None

    def __init__(self):
        super().__init__()
        self.happened = []

    def coarse(self, plan):
        self.happened.append("coarse")
        return plan

    def __enter__(self):
        self.happened.append("in")
        return self

    def __exit__(self, *problem):
        self.happened.append("out")

    def load(self, model, *, warm=False):
        assert self.happened[-1] == "in"
        return super().load(model, warm=warm)


def test_a_remote_runtime_is_one_by_what_it_does(small_space, plan):
    there = Elsewhere()
    table = profile_space(small_space, there, plan=plan, n_networks=3)
    assert there.happened == ["coarse", "in", "out"]
    assert table.provenance.system == "Board OS"
    assert table.provenance.python_version == "none"


def test_a_model_that_onnxruntime_refuses_is_one_line():
    """Its own errors share no class, and would leave the command line as tracebacks."""
    import onnx

    from hwnas import spaces

    space = spaces.space("nasbench201", input_size=8)
    model = onnx.load_from_string(space.to_onnx([3] * 6))
    model.graph.node[0].attribute[0].name = "p\x19ds"
    for data in (model.SerializeToString(), b"garbage", b""):
        with pytest.raises(
            ModelRejectedError, match="ONNX Runtime cannot load the model: "
        ) as said:
            OnnxRuntimeCpu(1).load(data)
        assert "\n" not in str(said.value)


def test_all_bytes_are_touched_before_each_run_and_keep_their_values():
    done = []

    class Watched(np.ndarray):
        def __ior__(self, other):
            done.append(f"{self.size} bytes")
            return super().__ior__(other)

    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    length = np.array(7, np.int64)
    job = warmed(lambda: done.append("run") or 0.5, [values.view(Watched), length.view(Watched)])
    assert [job(), job()] == [0.5, 0.5]
    assert done == 2 * ["24 bytes", "8 bytes", "run"]
    assert values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert length == 7
