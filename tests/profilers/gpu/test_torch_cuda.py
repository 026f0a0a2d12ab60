"""The flow of the torch profiler, its CUDA replaced by a clock; the rest needs a card."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from hwnas.errors import DeviceMemoryError, DeviceUnavailableError, ModelRejectedError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers import runtime
from hwnas.profilers.gpu import torch_cuda
from hwnas.profilers.onnx_torch import OnnxFunction

SMALL = Workload(MBConv(3, 3), 8, 8, 1, 8, 8)
RUN_MS = 0.25


@pytest.fixture
def fake_cuda(card, monkeypatch):
    """torch.cuda whose runs take 0.25 ms by its events; functions run on the processor.

    A graph on a stream that idles begins 0.1 ms after it was launched.
    """
    state = SimpleNamespace(clock=1.0, runs=0, busy=False)

    class Graph:
        def __init__(self):
            self.runs = 0

        def replay(self):
            assert self.runs, "nothing was captured"
            state.clock += RUN_MS * self.runs + 0.1 * (not state.busy)
            state.busy = True

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.at = state.clock

        def synchronize(self):
            state.busy = False

        def elapsed_time(self, end):
            return end.at - self.at

    @contextlib.contextmanager
    def capture(graph, pool, stream):
        assert state.runs >= 3, "a capture needs uncaptured runs before it"
        before = state.runs
        yield
        graph.runs = state.runs - before

    real = OnnxFunction.__call__

    def counted(self, *inputs):
        state.runs += 1
        return real(self, *inputs)

    monkeypatch.setattr(OnnxFunction, "__call__", counted)
    for name, value in {
        "Stream": lambda: SimpleNamespace(synchronize=lambda: None),
        "stream": lambda stream: contextlib.nullcontext(),
        "graph": capture,
        "CUDAGraph": Graph,
        "Event": Event,
        "graph_pool_handle": lambda: (0, 1),
        "synchronize": lambda: None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value, raising=False)
    monkeypatch.setattr(torch_cuda, "torch_problem", lambda capability, cuda: None)
    monkeypatch.setattr(torch_cuda, "_DEVICE", "cpu")
    return state


@pytest.mark.parametrize("name", ["torch", "torch-channels-last"])
def test_times_a_graph_of_enough_runs(fake_cuda, name):
    chosen = runtime("gpu", name=name)
    assert chosen.target("fp16", 2).runtime == name
    assert chosen.target("fp16", 2).device == "Synthetic V100"
    job = chosen.load(to_onnx(SMALL.graph(), batch=2, precision="fp16"))
    assert job.repeats == pytest.approx(5.0 / RUN_MS, abs=1)
    assert job() == pytest.approx(RUN_MS)
    assert chosen.conditions().windows == 1
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_errors_of_torch_are_ours(fake_cuda, monkeypatch):
    chosen = runtime("gpu", name="torch")
    model = to_onnx(SMALL.graph())

    def out_of_memory(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(chosen, "_load", out_of_memory)
    with pytest.raises(DeviceMemoryError, match=r"CUDA out of memory.*smaller --batch"):
        chosen.load(model)

    def broken(*_):
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(chosen, "_load", broken)
    with pytest.raises(ModelRejectedError, match="no kernel image"):
        chosen.load(model)


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA")
@pytest.mark.parametrize(
    ("capability", "cuda", "index"),
    [("7.0", "12040", "cu126"), ("9.0", "13000", "cu130"), ("9.0", "12080", "cu126")],
)
def test_a_torch_without_cuda_says_what_to_install(card, capability, cuda, index):
    card(gpu_capability=capability, gpu_cuda=cuda)
    with pytest.raises(DeviceUnavailableError, match=f"built without CUDA: pip install .*{index}"):
        runtime("gpu", name="torch")


def test_a_compiled_function_is_captured(fake_cuda, monkeypatch):
    compiled = []

    def compiling(function):
        compiled.append(function)
        return lambda inputs: function(*inputs)

    monkeypatch.setattr("hwnas.profilers.inductor.compiling", compiling)
    chosen = runtime("gpu", name="torch-compile")
    assert chosen.target("fp32", 1).runtime == "torch-compile"
    assert chosen.load(to_onnx(SMALL.graph()))() == pytest.approx(RUN_MS)
    assert len(compiled) == 1
