"""Single nodes that map numbers one by one, or along an axis."""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph
from hwnas.profilers.loose.sizes import any_image, any_shape, half

__all__ = ["MAPS"]

_INT64 = TensorProto.INT64
_INT32 = TensorProto.INT32
_BOOL = TensorProto.BOOL
_FLOAT = TensorProto.FLOAT
_UNARY = (
    *("Abs", "Clip", "Cos", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu"),
    *("Log", "Neg", "Not", "QuickGelu", "Relu", "Round", "Sigmoid", "Silu", "Sin", "Softplus"),
    *("Sqrt", "Tanh"),
)
_MICROSOFT = ("Gelu", "QuickGelu", "FastGelu")
_BINARY = ("Add", "Add", "Add", "Mul", "Mul", "Mul", "Sub", "Div", "Max", "Pow")
_REDUCTIONS = ("ReduceMean", "ReduceMean", "ReduceSum", "ReduceMax")


def _unary(net: DrawnGraph) -> str:
    kind, shape = net.pick(*_UNARY), any_shape(net)
    if kind == "Not":
        return net.op("Not", net.take(*shape, kind=_BOOL), shape=shape, kind=_BOOL)
    if kind in _MICROSOFT:
        return net.microsoft(kind, net.take(*shape), shape=shape)
    return net.act(net.take(*shape), kind)


def _binary(net: DrawnGraph) -> str:
    """With a tensor or a constant, of the same sizes or of fewer."""
    kind, shape = net.pick(*_BINARY), any_shape(net)
    channels = (1, *shape[1:2], *[1] * (len(shape) - 2))
    other = net.pick(
        shape, shape, (1, *shape[1:]), shape[-1:], channels, channels, (), (1,),
        (shape[0], *channels[1:]), (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])[-len(shape):],
    )  # fmt: skip
    if kind == "Pow":  # the exponents that people write have code of their own
        second = net.const(np.float32(net.pick(2, 2, 3)))
    else:
        second = half(net, *other) if net.pick(0, 1) else net.take(*other)
    return net.op(kind, net.take(*shape), second, shape=shape)


def _compared(net: DrawnGraph) -> str:
    shape = any_shape(net)
    if net.pick(0, 1):
        masks = (net.take(*shape, kind=_BOOL), net.take(*shape[-1:], kind=_BOOL))
        return net.op(net.pick("And", "Or"), *masks, shape=shape, kind=_BOOL)
    kind = net.pick("Greater", "Less", "Equal", "GreaterOrEqual", "IsNaN", "IsNaN")
    if kind == "IsNaN":  # exporters write it behind a softmax, for rows that are masked whole
        return net.op(kind, net.take(*shape), shape=shape, kind=_BOOL)
    return net.op(kind, net.take(*shape), half(net), shape=shape, kind=_BOOL)


def _chosen(net: DrawnGraph) -> str:
    shape = any_shape(net)
    mask = net.take(*net.pick(shape, (*[1] * (len(shape) - 1), shape[-1])), kind=_BOOL)
    other = net.pick(half(net), net.take(*shape))
    return net.op("Where", mask, net.take(*shape), other, shape=shape)


def _cast(net: DrawnGraph) -> str:
    start, end = net.pick(
        (_INT64, _INT32), (_INT64, _FLOAT), (_INT32, _FLOAT), (_BOOL, _FLOAT), (_FLOAT, _INT64),
        (_FLOAT, _BOOL), (TensorProto.UINT8, _FLOAT), (_FLOAT, TensorProto.FLOAT16),
    )  # fmt: skip
    shape = any_shape(net)
    return net.op("Cast", net.take(*shape, kind=start), shape=shape, kind=end, to=end)


def _reduced(net: DrawnGraph) -> str:
    kind, shape = net.pick(*_REDUCTIONS), any_shape(net)
    rank = len(shape)
    axes = net.pick([rank - 1], [rank - 1], list(range(2, rank)) or [1], [1])
    kept = net.pick(0, 1)
    left = [1 if at in axes else size for at, size in enumerate(shape) if kept or at not in axes]
    if kind == "ReduceSum":
        where = net.const(np.array(axes))
        return net.op(kind, net.take(*shape), where, shape=tuple(left), keepdims=kept)
    return net.op(kind, net.take(*shape), shape=tuple(left), axes=axes, keepdims=kept)


def _largest(net: DrawnGraph) -> str:
    shape = any_shape(net, 300_000)
    if net.pick(0, 1):
        left = shape[:-1]
        return net.op(
            "ArgMax", net.take(*shape), shape=left, kind=_INT64, axis=len(shape) - 1, keepdims=0
        )
    count = min(shape[-1], net.pick(1, 5, net.size(1, 500)))
    left = (*shape[:-1], count)
    return net.op(
        "TopK", net.take(*shape), net.const(np.array([count])), shape=left, outputs=2, axis=-1
    )


def _normed(net: DrawnGraph) -> str:
    shape = any_shape(net)
    x, last = net.take(*shape), shape[-1]
    kind = net.pick(
        "Softmax", "Softmax", "LayerNormalization", "SkipLayerNormalization", "LogSoftmax"
    )
    if kind == "Softmax":
        return net.op(kind, x, shape=shape, axis=net.pick(-1, -1, -1, 1))
    if kind == "LayerNormalization":
        return net.op(kind, x, half(net, last), half(net, last), shape=shape, axis=-1)
    if kind == "SkipLayerNormalization":
        shape = (net.batch, max(1, int(np.prod(shape[1:-1]))), last)
        parts = [half(net, last) for _ in range(net.pick(2, 3))]
        tensors = (net.take(*shape), net.pick(net.take(*shape), half(net, *shape)))
        return net.microsoft(kind, *tensors, *parts, shape=shape)
    return net.op("LogSoftmax", x, shape=shape, axis=-1)


def _channels_normed(net: DrawnGraph) -> str:
    """Of images, of signals, or of the rows of a table."""
    shape: tuple[int, ...] = any_image(net)
    kind, count = net.pick(("InstanceNormalization", 2), ("BatchNormalization", 4))
    form = net.pick("image", "signal", "rows")
    if form == "signal" or (form == "rows" and count == 2):
        shape = (*shape[:2], shape[2] * shape[3])
    elif form == "rows":
        shape = (net.batch * min(shape[2] * shape[3], 4096), shape[1])
    parts = [half(net, shape[1]) for _ in range(count)]
    return net.op(kind, net.take(*shape), *parts, shape=shape)


def _biased(net: DrawnGraph) -> str:
    rows, width = net.size(1, 512), net.size(8, 4096)
    kind = net.pick("BiasGelu", "FastGelu")
    shape = (net.batch, rows, width)
    return net.microsoft(kind, net.take(*shape), half(net, width), shape=shape)


def _slopes(net: DrawnGraph) -> str:
    shape = any_shape(net)
    channels = (*shape[1:2], *[1] * (len(shape) - 2))
    slopes = net.pick((1,) * len(channels), channels)
    return net.op("PRelu", net.take(*shape), half(net, *slopes), shape=shape)


#: What draws a node, and how often in each graph.
MAPS: dict[Callable[[DrawnGraph], str], int] = {
    _unary: 11,
    _binary: 8,
    _compared: 2,
    _chosen: 1,
    _cast: 2,
    _reduced: 4,
    _largest: 2,
    _normed: 4,
    _channels_normed: 2,
    _biased: 1,
    _slopes: 1,
}
