"""The flow of ONNX Runtime's CUDA profiler on the synthetic card, its sessions on the processor."""

import ctypes

import onnxruntime as ort
import pytest

from hwnas.errors import DeviceMemoryError, DeviceUnavailableError, ModelRejectedError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers import runtime

SMALL = Workload(MBConv(3, 3), 8, 8, 1, 8, 8)
RUN_MS = 0.5


@pytest.fixture
def asked(card, monkeypatch):
    """Sessions run on the processor and put half a millisecond on the card's stream.

    Hands over the provider settings of each session.
    """
    enqueue = card().synthetic_enqueue
    enqueue.argtypes = (ctypes.c_void_p, ctypes.c_double)
    asked = []

    class Session(ort.InferenceSession):
        def __init__(self, model, options, providers):
            ((name, settings),) = providers
            assert name == "CUDAExecutionProvider"
            asked.append(settings)
            own = ort.SessionOptions()
            own.log_severity_level = options.log_severity_level
            super().__init__(model, own, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return ["CUDAExecutionProvider"]

        def run_with_iobinding(self, binding, options):
            super().run_with_iobinding(binding)
            enqueue(int(asked[-1]["user_compute_stream"]), RUN_MS)

    value = ort.OrtValue.ortvalue_from_numpy
    on_card = staticmethod(lambda array, device, index: value(array))
    monkeypatch.setattr(ort.OrtValue, "ortvalue_from_numpy", on_card)
    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    return asked


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_times_enough_runs_on_its_stream(asked, precision):
    chosen = runtime("gpu", name="onnxruntime")
    job = chosen.load(to_onnx(SMALL.graph(), precision=precision))
    assert job.repeats == pytest.approx(5.0 / RUN_MS, rel=0.4)  # the card was cold then
    for _ in range(60):
        job()
    assert sorted(job() for _ in range(21))[10] == pytest.approx(RUN_MS, rel=0.01)
    assert asked[-1]["use_tf32"] == "0"
    assert chosen.target(precision, 1).runtime == "onnxruntime"


def test_errors_of_onnx_runtime_are_ours(asked, monkeypatch):
    chosen = runtime("gpu", name="onnxruntime")
    with pytest.raises(ModelRejectedError, match="does not run it on CUDA"):
        chosen.load(b"nothing")

    def full(*_, **__):
        raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer")

    monkeypatch.setattr(ort, "InferenceSession", full)
    with pytest.raises(DeviceMemoryError, match="smaller --batch"):
        chosen.load(to_onnx(SMALL.graph()))


def test_a_provider_that_does_not_load_is_named(asked, monkeypatch):
    chosen = runtime("gpu", name="onnxruntime")
    monkeypatch.setattr(ort.InferenceSession, "get_providers", lambda self: ["CPU"])
    with pytest.raises(DeviceUnavailableError, match="cannot load its CUDA provider"):
        chosen.load(to_onnx(SMALL.graph()))


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="has CUDA")
def test_a_build_without_cuda_says_what_to_install(card):
    with pytest.raises(DeviceUnavailableError, match="pip install onnxruntime-gpu"):
        runtime("gpu", name="onnxruntime")
