"""ONNX Runtime's execution providers by name: whatever the installed build brings."""

import onnxruntime as ort

from hwnas.errors import OptionError, UnknownNameError
from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu

__all__ = ["is_provider", "provider_runtime"]

_SUFFIX = "ExecutionProvider"
#: What runs on cards: their runs do not end when a call returns, and are timed otherwise.
_OF_CARDS = ("CUDA", "NvTensorRTRTX", "Tensorrt", "ROCM", "MIGraphX", "Dml", "WebGpu")


def is_provider(name: str) -> bool:
    """Whether a name is written as ONNX Runtime writes its providers': XnnpackExecutionProvider."""
    return name.endswith(_SUFFIX) and name != _SUFFIX


def provider_runtime(name: str, threads: int) -> OnnxRuntimeCpu:
    """The runtime of a provider; what it does not take of a model runs on ONNX Runtime's own CPU.

    Args:
        name: of the provider, as `is_provider` knows it.
        threads: inside an operator.

    Raises:
        UnknownNameError: the installed ONNX Runtime has no such provider.
        OptionError: it is one of cards, or there are no so many threads.
    """
    if name.startswith(_OF_CARDS):
        raise OptionError(
            f"{name} runs on cards, whose runs are timed on the card: give --device gpu, with "
            "--runtime onnxruntime or tensorrt"
        )
    known = [found for found in ort.get_available_providers() if not found.startswith(_OF_CARDS)]
    if name not in known:
        raise UnknownNameError(f"execution provider of onnxruntime {ort.__version__}", name, known)
    return OnnxRuntimeCpu(threads, "cpu" if name == f"CPU{_SUFFIX}" else name)
