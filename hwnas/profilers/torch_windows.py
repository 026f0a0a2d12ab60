"""ONNX operators that slide a window, as torch functions: convolutions and pools of any rank."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.nn import functional as F

from hwnas.errors import ModelRejectedError

__all__ = [
    "Attributes",
    "Run",
    "around",
    "average_pool",
    "conv",
    "conv_transpose",
    "max_pool",
    "refused",
]

#: Attributes of an ONNX node by name.
Attributes = Mapping[str, Any]
#: A function of torch tensors.
Run = Callable[..., Any]


def refused(what: str) -> ModelRejectedError:
    """The error that says what the torch runtimes lack."""
    return ModelRejectedError(f"the torch runtimes have no {what}: measure it with onnxruntime")


def _window(a: Attributes) -> tuple[list[int], list[int], list[int]]:
    """Strides, and pads on both sides of each axis, of what slides."""
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise refused(f"auto_pad {a['auto_pad'].decode(errors='replace')}")
    told = next((a[name] for name in ("kernel_shape", "strides", "dilations") if name in a), None)
    pads = a.get("pads", [0, 0] * (2 if told is None else len(told)))
    rank = len(pads) // 2
    return a.get("strides", [1] * rank), pads[:rank], pads[rank:]


def around(low: Sequence[int], high: Sequence[int]) -> list[int]:
    """Pads of the axes as torch takes them, the last axis first."""
    return [n for pair in zip(reversed(low), reversed(high), strict=True) for n in pair]


def conv(a: Attributes) -> Run:
    """A convolution of one to three axes; uneven pads are added before it."""
    stride, low, high = _window(a)
    kind = (F.conv1d, F.conv2d, F.conv3d)[len(stride) - 1]
    dilation, groups = a.get("dilations", [1] * len(stride)), a.get("group", 1)
    if low == high:
        return lambda x, w, b=None: kind(x, w, b, stride, low, dilation, groups)
    pads = around(low, high)
    return lambda x, w, b=None: kind(F.pad(x, pads), w, b, stride, 0, dilation, groups)


def conv_transpose(a: Attributes) -> Run:
    """A transposed convolution of one to three axes."""
    stride, low, high = _window(a)
    if low != high or "output_shape" in a:
        raise refused("ConvTranspose of uneven pads")
    kind = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(stride) - 1]
    more, dilation = a.get("output_padding", 0), a.get("dilations", 1)
    return lambda x, w, b=None: kind(x, w, b, stride, low, more, a.get("group", 1), dilation)


def _pool(a: Attributes, kinds: Sequence[Run], fill: float, **more: Any) -> Run:
    stride, low, high = _window(a)
    kind, size = kinds[len(stride) - 1], a["kernel_shape"]
    more["ceil_mode"] = bool(a.get("ceil_mode", 0))
    if low == high:
        return lambda x: kind(x, size, stride, low, **more)
    pads = around(low, high)
    return lambda x: kind(F.pad(x, pads, value=fill), size, stride, **more)


def average_pool(a: Attributes) -> Run:
    """A pool of one to three axes; uneven pads only where they count."""
    counted = bool(a.get("count_include_pad", 0))
    _, low, high = _window(a)
    if low != high and not counted:
        raise refused("AveragePool of uneven pads")
    kinds = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
    return _pool(a, kinds, 0.0, count_include_pad=counted)


def max_pool(a: Attributes) -> Run:
    """A pool of one to three axes."""
    dilation = a.get("dilations", [1] * len(a["kernel_shape"]))
    kinds = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
    return _pool(a, kinds, -float("inf"), dilation=dilation)
