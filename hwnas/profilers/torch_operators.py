"""ONNX operators as torch functions: a literal table of those that networks of floats use.

Sizes are known when a function is made, so what describes an operator is read then, and a run asks
no device for it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional as F

from hwnas.profilers.torch_windows import (
    Attributes,
    Run,
    around,
    average_pool,
    conv,
    conv_transpose,
    max_pool,
    refused,
)

__all__ = ["DESCRIBED", "OPERATORS"]

_Array = np.ndarray[Any, Any]
#: Values of a constant input; None where it is left out.
_Constant = _Array | None

_TYPES = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.DOUBLE: torch.float64,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
    onnx.TensorProto.BOOL: torch.bool,
}


def _gemm(a: Attributes) -> Run:
    alpha, beta = a.get("alpha", 1.0), a.get("beta", 1.0)
    if a.get("transB", 0) and not a.get("transA", 0) and alpha == beta == 1:
        return F.linear

    def run(x: Tensor, w: Tensor, c: Tensor | None = None) -> Any:
        product = (x.t() if a.get("transA", 0) else x) @ (w.t() if a.get("transB", 0) else w)
        product = product if alpha == 1 else alpha * product
        return product if c is None else product + (c if beta == 1 else beta * c)

    return run


def _layer_norm(a: Attributes) -> Run:
    if a.get("axis", -1) != -1:
        raise refused("LayerNormalization of several axes")
    epsilon = a.get("epsilon", 1e-5)
    return lambda x, w, b=None: F.layer_norm(x, w.shape, w, b, epsilon)


def _batch_norm(a: Attributes) -> Run:
    return lambda x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, eps=a.get("epsilon", 1e-5))


def _flatten(a: Attributes) -> Run:
    axis = a.get("axis", 1)
    if axis < 1:
        raise refused("Flatten of all axes")
    if axis == 1:
        return lambda x: x.flatten(1)
    return lambda x: x.unsqueeze(-1).flatten(axis).flatten(0, axis - 1)


def _index(taken: Mapping[int, Any]) -> tuple[Any, ...]:
    """What picks ``taken[axis]`` of some axes, which may all be counted from the end."""
    if max(taken) < 0:
        return (..., *(taken.get(axis, slice(None)) for axis in range(min(taken), 0)))
    if min(taken) < 0:
        raise refused("Slice of axes some of which are counted from the end")
    return tuple(taken.get(axis, slice(None)) for axis in range(max(taken) + 1))


def _gather(a: Attributes) -> Run:
    axis = a.get("axis", 0)
    return lambda x, at: x[_index({axis: at})]


def _prelu(x: Tensor, slope: Tensor) -> Any:
    return F.prelu(x, slope.flatten())


def _concat(a: Attributes) -> Run:
    return lambda *parts: torch.cat(parts, a["axis"])


def _transpose(a: Attributes) -> Run:
    if "perm" not in a:
        raise refused("Transpose that does not say how")
    return lambda x: x.permute(a["perm"])


def _cast(a: Attributes) -> Run:
    if a["to"] not in _TYPES:
        raise refused(f"Cast to {onnx.TensorProto.DataType.Name(a['to'])}")
    return lambda x: x.to(_TYPES[a["to"]])


def _always(function: Run) -> Callable[[Attributes], Run]:
    return lambda a: function


#: ONNX operator -> from its attributes, the torch function of its inputs.
OPERATORS: dict[str, Callable[[Attributes], Run]] = {
    "Abs": _always(torch.abs),
    "Add": _always(torch.add),
    "And": _always(torch.logical_and),
    "AveragePool": average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Concat": _concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Div": _always(torch.div),
    "Elu": lambda a: partial(F.elu, alpha=a.get("alpha", 1.0)),
    "Equal": _always(torch.eq),
    "Erf": _always(torch.erf),
    "Exp": _always(torch.exp),
    "Flatten": _flatten,
    "Floor": _always(torch.floor),
    "Gather": _gather,
    "Gelu": lambda a: partial(F.gelu, approximate=a.get("approximate", b"none").decode()),
    "Gemm": _gemm,
    "GlobalAveragePool": _always(lambda x: x.mean((2, 3), keepdim=True)),
    "GlobalMaxPool": _always(lambda x: x.amax((2, 3), keepdim=True)),
    "Greater": _always(torch.gt),
    "HardSigmoid": lambda a: (
        lambda x: F.hardtanh(x * a.get("alpha", 0.2) + a.get("beta", 0.5), 0.0, 1.0)
    ),
    "HardSwish": _always(F.hardswish),
    "Identity": _always(lambda x: x),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda a: partial(F.leaky_relu, negative_slope=a.get("alpha", 0.01)),
    "Less": _always(torch.lt),
    "Log": _always(torch.log),
    "LogSoftmax": lambda a: partial(F.log_softmax, dim=a.get("axis", -1)),
    "MatMul": _always(torch.matmul),
    "Max": _always(torch.maximum),
    "MaxPool": max_pool,
    "Min": _always(torch.minimum),
    "Mul": _always(torch.mul),
    "Neg": _always(torch.neg),
    "Not": _always(torch.logical_not),
    "Or": _always(torch.logical_or),
    "PRelu": _always(_prelu),
    "Pow": _always(torch.pow),
    "Reciprocal": _always(torch.reciprocal),
    "Relu": _always(F.relu),
    "Round": _always(torch.round),
    "Sigmoid": _always(torch.sigmoid),
    "Softmax": lambda a: partial(F.softmax, dim=a.get("axis", -1)),
    "Softplus": _always(F.softplus),
    "Sqrt": _always(torch.sqrt),
    "Sub": _always(torch.sub),
    "Tanh": _always(torch.tanh),
    "Transpose": _transpose,
    "Where": _always(torch.where),
}


def _clip(a: Attributes, low: _Constant = None, high: _Constant = None) -> Run:
    bounds = (
        -float("inf") if low is None else float(low.item()),
        float("inf") if high is None else float(high.item()),
    )
    return lambda x: F.hardtanh(x, *bounds)  # which a compiler fuses with the convolution before it


def _slice(
    a: Attributes,
    starts: _Array,
    ends: _Array,
    axes: _Constant = None,
    steps: _Constant = None,
) -> Run:
    known = list(range(len(starts))) if axes is None else axes.tolist()
    by = [1] * len(starts) if steps is None else steps.tolist()
    if min(by) < 1:
        raise refused("Slice that goes backwards")
    bounds = zip(starts.tolist(), ends.tolist(), by, strict=True)
    index = _index(dict(zip(known, (slice(*bound) for bound in bounds), strict=True)))
    return lambda x: x[index]


def _reshape(a: Attributes, shape: _Array) -> Run:
    sizes = shape.tolist()
    return lambda x: x.reshape([n or x.shape[at] for at, n in enumerate(sizes)])


def _expand(a: Attributes, shape: _Array) -> Run:
    sizes = [-1 if n == 1 else n for n in shape.tolist()]
    return lambda x: x.expand(sizes)


def _pad(a: Attributes, pads: _Array, value: _Constant = None, axes: _Constant = None) -> Run:
    if axes is not None or a.get("mode", b"constant") != b"constant":
        raise refused("Pad other than with a constant on every axis")
    both, rank = pads.tolist(), len(pads) // 2
    fill = 0.0 if value is None else float(value.item())
    return lambda x: F.pad(x, around(both[:rank], both[rank:]), value=fill)


def _axes(a: Attributes, given: _Constant) -> list[int] | None:
    found: list[int] | None = a.get("axes") if given is None else given.tolist()
    return found


def _reduce(function: Run) -> Callable[..., Run]:
    def make(a: Attributes, axes: _Constant = None) -> Run:
        known = _axes(a, axes)
        if known is None:
            raise refused("reduction over all axes")
        return lambda x: function(x, known, keepdim=bool(a.get("keepdims", 1)))

    return make


def _unsqueeze(a: Attributes, axes: _Constant = None) -> Run:
    known = sorted(_axes(a, axes) or ())

    def run(x: Tensor) -> Tensor:
        for axis in known:
            x = x.unsqueeze(axis)
        return x

    return run


def _squeeze(a: Attributes, axes: _Constant = None) -> Run:
    known = _axes(a, axes)
    return torch.squeeze if known is None else lambda x: torch.squeeze(x, tuple(known))


def _split(a: Attributes, sizes: _Constant = None) -> Run:
    axis, known = a.get("axis", 0), a.get("split") if sizes is None else sizes.tolist()
    if known is None:
        return lambda x: torch.chunk(x, a["outputs"], axis)
    return lambda x: torch.split(x, known, axis)


def _resize(
    a: Attributes, region: _Constant = None, scales: _Constant = None, sizes: _Constant = None
) -> Run:
    how = (a.get("mode", b"nearest"), a.get("coordinate_transformation_mode", b"half_pixel"))
    modes: dict[Any, dict[str, Any]] = {
        (b"nearest", b"asymmetric"): {"mode": "nearest"},
        (b"nearest", b"half_pixel"): {"mode": "nearest-exact"},
        (b"linear", b"half_pixel"): {"mode": "bilinear", "align_corners": False},
        (b"linear", b"pytorch_half_pixel"): {"mode": "bilinear", "align_corners": False},
        (b"linear", b"align_corners"): {"mode": "bilinear", "align_corners": True},
    }
    if how not in modes:
        raise refused(f"Resize of this mode ({b', '.join(how).decode(errors='replace')})")
    if sizes is not None and sizes.size:
        goal: dict[str, Any] = {"size": sizes.tolist()[2:]}
    else:
        assert scales is not None
        goal = {"scale_factor": scales.tolist()[2:]}
    return lambda x: F.interpolate(x, **goal, **modes[how])


#: ONNX operator -> from its attributes and all inputs but the first, which are constants, the torch
#: function of its first input.
DESCRIBED: dict[str, Callable[..., Run]] = {
    "Clip": _clip,
    "Expand": _expand,
    "Pad": _pad,
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
