"""Single nodes of any size, each with inputs of its own: what drawn networks hold too rarely.

In a network sizes go together: no sum has a large constant, no convolution a large dilation, and
none has few channels and many pixels. A kernel that is unlike all measured ones is only guessed,
so here every size is drawn by itself, from a few numbers to some millions.
"""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph

__all__ = ["draw_loose"]

_INT64, _INT32, _BOOL, _FLOAT = (
    TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.FLOAT
)  # fmt: skip
_LEAST, _MOST = 32, 3_000_000  # numbers in a tensor
_UNARY = (
    *("Abs", "Clip", "Cos", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu"),
    *("Log", "Neg", "Not", "QuickGelu", "Relu", "Round", "Sigmoid", "Silu", "Sin", "Softplus"),
    *("Sqrt", "Tanh"),
)
_MICROSOFT = ("Gelu", "QuickGelu", "FastGelu")
_BINARY = ("Add", "Add", "Add", "Mul", "Mul", "Mul", "Sub", "Div", "Max", "Pow")
_REDUCTIONS = ("ReduceMean", "ReduceMean", "ReduceSum", "ReduceMax")


#: Rank -> how axes are exchanged.
_ORDERS: dict[int, list[tuple[int, ...]]] = {
    2: [(1, 0)],
    3: [(0, 2, 1), (1, 0, 2)],
    4: [(0, 2, 1, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2), (0, 2, 1, 3)],
}


def draw_loose(net: DrawnGraph) -> list[str]:
    """Write a few nodes of each kind, and return what they make."""
    made = []
    for draw, count in _KINDS.items():
        made += [draw(net) for _ in range(count)]
    return made


def _half(net: DrawnGraph, *shape: int) -> str:
    return net.const(np.full(shape, 0.5, np.float32))


def _shape(net: DrawnGraph, most: float = _MOST) -> tuple[int, ...]:
    """Rows, tokens, images, signals or windows of attention."""
    total = net.size(_LEAST, most) // net.batch
    form = net.pick("rows", "tokens", "image", "image", "signal", "windows")
    if form == "image":
        channels = min(total, net.size(1, 1024))
        side = max(1, round((total / channels) ** 0.5))
        return net.batch, channels, side, side
    if form == "windows":
        side = min(net.size(8, 256), max(1, round(total**0.5)))
        return net.batch, max(1, total // side**2), side, side
    last = min(total, net.size(2, 4096))
    if form == "rows":
        return net.batch * max(1, total // last), last
    if form == "tokens":
        return net.batch, max(1, total // last), last
    return net.batch, min(total, net.size(1, 512)), max(1, total // min(total, net.size(1, 512)))


def _unary(net: DrawnGraph) -> str:
    kind, shape = net.pick(*_UNARY), _shape(net)
    if kind == "Not":
        return net.op("Not", net.take(*shape, kind=_BOOL), shape=shape, kind=_BOOL)
    if kind in _MICROSOFT:
        return net.microsoft(kind, net.take(*shape), shape=shape)
    return net.act(net.take(*shape), kind)


def _binary(net: DrawnGraph) -> str:
    """With a tensor or a constant, of the same sizes or of fewer."""
    kind, shape = net.pick(*_BINARY), _shape(net)
    channels = (1, *shape[1:2], *[1] * (len(shape) - 2))
    other = net.pick(
        shape, shape, (1, *shape[1:]), shape[-1:], channels, channels, (), (1,),
        (shape[0], *channels[1:]), (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])[-len(shape):],
    )  # fmt: skip
    constant = net.pick(0, 1) or kind == "Pow"
    second = _half(net, *other) if constant else net.take(*other)
    return net.op(kind, net.take(*shape), second, shape=shape)


def _compared(net: DrawnGraph) -> str:
    shape = _shape(net)
    if net.pick(0, 1):
        masks = (net.take(*shape, kind=_BOOL), net.take(*shape[-1:], kind=_BOOL))
        return net.op(net.pick("And", "Or"), *masks, shape=shape, kind=_BOOL)
    kind = net.pick("Greater", "Less", "Equal", "GreaterOrEqual")
    return net.op(kind, net.take(*shape), _half(net), shape=shape, kind=_BOOL)


def _chosen(net: DrawnGraph) -> str:
    shape = _shape(net)
    mask = net.take(*net.pick(shape, (*[1] * (len(shape) - 1), shape[-1])), kind=_BOOL)
    other = net.pick(_half(net), net.take(*shape))
    return net.op("Where", mask, net.take(*shape), other, shape=shape)


def _cast(net: DrawnGraph) -> str:
    start, end = net.pick(
        (_INT64, _INT32), (_INT64, _FLOAT), (_INT32, _FLOAT), (_BOOL, _FLOAT), (_FLOAT, _INT64),
        (_FLOAT, _BOOL), (TensorProto.UINT8, _FLOAT), (_FLOAT, TensorProto.FLOAT16),
    )  # fmt: skip
    shape = _shape(net)
    return net.op("Cast", net.take(*shape, kind=start), shape=shape, kind=end, to=end)


def _reduced(net: DrawnGraph) -> str:
    kind, shape = net.pick(*_REDUCTIONS), _shape(net)
    rank = len(shape)
    axes = net.pick([rank - 1], [rank - 1], list(range(2, rank)) or [1], [1])
    kept = net.pick(0, 1)
    left = [1 if at in axes else size for at, size in enumerate(shape) if kept or at not in axes]
    if kind == "ReduceSum":
        where = net.const(np.array(axes))
        return net.op(kind, net.take(*shape), where, shape=tuple(left), keepdims=kept)
    return net.op(kind, net.take(*shape), shape=tuple(left), axes=axes, keepdims=kept)


def _largest(net: DrawnGraph) -> str:
    shape = _shape(net, 300_000)
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
    shape = _shape(net)
    x, last = net.take(*shape), shape[-1]
    kind = net.pick("Softmax", "Softmax", "LayerNormalization", "SkipLayerNormalization", "other")
    if kind == "Softmax":
        return net.op(kind, x, shape=shape, axis=net.pick(-1, -1, -1, 1))
    if kind == "LayerNormalization":
        return net.op(kind, x, _half(net, last), _half(net, last), shape=shape, axis=-1)
    if kind == "SkipLayerNormalization":
        shape = (net.batch, max(1, int(np.prod(shape[1:-1]))), last)
        parts = [_half(net, last) for _ in range(net.pick(2, 3))]
        tensors = (net.take(*shape), net.pick(net.take(*shape), _half(net, *shape)))
        return net.microsoft(kind, *tensors, *parts, shape=shape)
    kind = net.pick("InstanceNormalization", "BatchNormalization", "LogSoftmax")
    if kind == "LogSoftmax":
        return net.op(kind, x, shape=shape, axis=-1)
    if len(shape) < 3:
        return net.op("Softmax", x, shape=shape, axis=-1)
    count = 2 if kind == "InstanceNormalization" else 4
    parts = [_half(net, shape[1]) for _ in range(count)]
    return net.op(kind, x, *parts, shape=shape)


def _transposed(net: DrawnGraph) -> str:
    shape = _shape(net)
    order: tuple[int, ...] = net.pick(*_ORDERS[len(shape)])
    kind = net.pick(_FLOAT, _FLOAT, _FLOAT, TensorProto.UINT8)
    new = tuple(shape[at] for at in order)
    return net.op("Transpose", net.take(*shape, kind=kind), shape=new, kind=kind, perm=order)


def _joined(net: DrawnGraph) -> str:
    shape = list(_shape(net, _MOST / 2))
    axis = net.pick(*range(1, len(shape)))
    parts: list[str] = []
    total = 0
    for _ in range(net.pick(2, 2, 3, 4, 5)):
        size = net.pick(shape[axis], shape[axis], net.size(1, shape[axis] + 1))
        parts.append(net.take(*shape[:axis], size, *shape[axis + 1 :]))
        total += size
    return net.op("Concat", *parts, shape=(*shape[:axis], total, *shape[axis + 1 :]), axis=axis)


def _cut(net: DrawnGraph) -> str:
    shape = list(_shape(net))
    axis = net.pick(*range(1, len(shape)))
    if net.pick(0, 1) and shape[axis] > 1:
        count = net.pick(2, 2, 3, 4)
        sizes = [shape[axis] // count] * count
        sizes[-1] = shape[axis] - sum(sizes[:-1])
        if min(sizes):
            part = (*shape[:axis], sizes[0], *shape[axis + 1 :])
            where = net.const(np.array(sizes))
            return net.op("Split", net.take(*shape), where, shape=part, outputs=count, axis=axis)
    size, step = net.size(1, shape[axis]), net.pick(1, 1, 2)
    part = (*shape[:axis], -(-size // step), *shape[axis + 1 :])
    first = int(net.rng.integers(shape[axis] - size + 1))
    numbers = [net.const(np.array([v])) for v in (first, first + size, axis, step)]
    return net.op("Slice", net.take(*shape), *numbers, shape=part)


def _widened(net: DrawnGraph) -> str:
    kind, shape = net.pick("Pad", "Pad", "Expand", "Tile"), _shape(net, _MOST / 4)
    if kind == "Pad":
        more = [0, *(net.pick(0, 1, 1, 3) for _ in shape[1:])]
        wide = tuple(size + 2 * extra for size, extra in zip(shape, more, strict=True))
        mode = net.pick("constant", "constant", "reflect", "edge")
        if mode == "reflect" and any(e >= s for e, s in zip(more, shape, strict=True)):
            mode = "edge"
        return net.op("Pad", net.take(*shape), net.const(np.array(more * 2)), shape=wide, mode=mode)
    times = [1] * len(shape)
    axis = net.pick(*range(1, len(shape)))
    times[axis] = net.pick(2, 3, 4)
    if kind == "Tile":
        wide = tuple(size * many for size, many in zip(shape, times, strict=True))
        return net.op(kind, net.take(*shape), net.const(np.array(times)), shape=wide)
    narrow = (*shape[:axis], 1, *shape[axis + 1 :])
    return net.op(kind, net.take(*narrow), net.const(np.array(shape)), shape=shape)


def _looked_up(net: DrawnGraph) -> str:
    if net.pick(0, 0, 1):  # words
        rows, width, tokens = net.size(2, 4000), net.size(8, 1024), net.size(1, 512)
        ids = net.take(net.batch, tokens, kind=_INT64, below=rows)
        words = (net.batch, tokens, width)
        return net.op("Gather", net.zeros(rows, width), ids, shape=words)
    shape = _shape(net)
    axis = net.pick(*range(1, len(shape)))
    if net.pick(0, 1):  # one place of an axis
        left = (*shape[:axis], *shape[axis + 1 :])
        return net.op("Gather", net.take(*shape), net.const(np.array(0)), shape=left, axis=axis)
    count = net.size(1, 300)
    part = (*shape[:axis], count, *shape[axis + 1 :])
    if np.prod(part) > _MOST:
        return net.op("Neg", net.take(*shape), shape=shape)
    where = net.take(*part, kind=_INT64, below=shape[axis])
    return net.op("GatherElements", net.take(*shape), where, shape=part, axis=axis)


def _image(net: DrawnGraph, most: float = _MOST) -> tuple[int, int, int, int]:
    channels = net.size(1, 512)
    side = max(4, round(net.size(64, most) ** 0.5 / (channels * net.batch) ** 0.5))
    return net.batch, channels, side, max(4, round(side * net.pick(1, 1, 1, 1.8)))


def _resized(net: DrawnGraph) -> str:
    n, c, *size = _image(net, _MOST / 4)
    times = net.pick(0.5, 2, 2, 4, 1.5)
    new = [max(1, round(times * s)) for s in size]
    mode = net.pick("nearest", "linear", "linear", "cubic")
    how = "asymmetric" if mode == "nearest" else net.pick("half_pixel", "align_corners")
    sizes = net.const(np.array([n, c, *new]))
    return net.op(
        "Resize",
        net.take(n, c, *size),
        "",
        "",
        sizes,
        shape=(n, c, *new),
        mode=mode,
        coordinate_transformation_mode=how,
        nearest_mode="floor",
    )


def _pooled(net: DrawnGraph) -> str:
    shape = _image(net)
    x = net.take(*shape)
    if net.pick(0, 1):
        return net.op("GlobalAveragePool", x, shape=(*shape[:2], 1, 1))
    k = net.pick(2, 3, 3, 5)
    if min(shape[2:]) <= k:
        return net.op("GlobalAveragePool", x, shape=(*shape[:2], 1, 1))
    return net.pool(x, net.pick("Max", "Average"), k, net.pick(1, 2, 2), net.pick(0, k // 2))


def _moved(net: DrawnGraph) -> str:
    n, c, *size = _image(net, _MOST / 2)
    if net.pick(0, 1):
        c = -(-c // 4) * 4
        wide = (n, c // 4, *(2 * s for s in size))
        return net.op("DepthToSpace", net.take(n, c, *size), shape=wide, blocksize=2)
    even = [s // 2 * 2 for s in size]
    deep = (n, 4 * c, *(s // 2 for s in even))
    return net.op("SpaceToDepth", net.take(n, c, *even), shape=deep, blocksize=2)


def _convolution(net: DrawnGraph) -> str:
    """Dilated, of large kernels, of few channels and many pixels, and along one axis."""
    budget = 300_000_000
    if net.pick(0, 0, 0, 1):
        n, c = net.batch, net.size(1, 512)
        shape: tuple[int, ...] = (n, c, net.size(4, 4000))
    else:
        shape = _image(net)
    x, c = net.take(*shape), shape[1]
    k, pixels = net.pick(1, 3, 3, 5, 7), int(np.prod(shape[2:]))
    stride, dilation = net.pick(1, 1, 2), net.pick(1, 1, 2, 3, net.size(2, 24))
    if net.pick(0, 0, 1) and c > 1:
        k = net.pick(3, 5, 7, 9, 15, 31)
        y = net.conv(x, c, k, stride, c, dilation=net.pick(1, 1, dilation))
    else:
        group = net.pick(1, 1, 1, 1, 2, 4) if c % 4 == 0 else 1
        each = c // group * k ** (len(shape) - 2) * pixels / stride ** (len(shape) - 2)
        out = max(1, min(net.size(1, 768), int(budget / each))) // group * group or group
        y = net.conv(x, out, k, stride, group, dilation=dilation)
    return net.act(y, net.pick("Relu", "Clip", "Sigmoid")) if net.pick(0, 1) else y


def _upwards(net: DrawnGraph) -> str:
    n, c, *size = _image(net, _MOST / 8)
    if net.pick(0, 0, 0, 1):
        size = size[:1]
    k, stride = net.pick((2, 2), (2, 2), (3, 2), (4, 2), (4, 4), (1, 1))
    grouped = c > 1 and net.pick(0, 0, 1)
    each = c * k ** len(size) * np.prod(size)
    out = c if grouped else max(1, min(net.size(1, 512), int(200_000_000 / each)))
    shape = (n, out, *((s - 1) * stride + k for s in size))
    return net.op(
        "ConvTranspose",
        net.take(n, c, *size),
        net.zeros(c, 1 if grouped else out, *[k] * len(size)),
        _half(net, out),
        shape=shape,
        kernel_shape=[k] * len(size),
        strides=[stride] * len(size),
        group=c if grouped else 1,
    )


def _product(net: DrawnGraph) -> str:
    """Of a matrix with weights, or of two that are not constant, in batches."""
    inner = net.size(2, 3072)
    if net.pick(0, 0, 1):
        heads, rows, out = net.batch * net.size(1, 64), net.size(1, 300), net.size(1, 300)
        inner = min(inner, 256)
        shape = (1, heads, rows, out)
        first, second = net.take(1, heads, rows, inner), (1, heads, inner, out)
        if net.pick(0, 1):
            turned = {"transA": 0, "transB": 1, "alpha": 0.125}
            factor = net.take(1, heads, out, inner)
            return net.microsoft("FusedMatMul", first, factor, shape=shape, **turned)
        if net.pick(0, 0, 0, 1):
            factor = net.take(1, heads, out, inner)
            return net.op("Einsum", first, factor, shape=shape, equation="bhid,bhjd->bhij")
        return net.op("MatMul", first, net.take(*second), shape=shape)
    rows = net.batch * net.size(1, 1024)
    out = max(1, min(net.size(1, 4096), 400_000_000 // (rows * inner), 4_000_000 // inner))
    x = net.take(rows, inner)
    if net.pick(0, 1):
        return net.op("MatMul", x, net.zeros(inner, out), shape=(rows, out))
    y = net.linear(x, out)
    return net.act(y, net.pick("Relu", "LeakyRelu", "Sigmoid")) if net.pick(0, 0, 1) else y


def _recurrent(net: DrawnGraph) -> str:
    op, gates = net.pick(("LSTM", 4), ("LSTM", 4), ("GRU", 3), ("GRU", 3))
    steps, width, hidden, two = net.size(1, 200), net.size(4, 512), net.size(4, 384), net.pick(1, 2)
    x = net.take(steps, net.batch, width)
    weights = [net.zeros(two, gates * hidden, inner) for inner in (width, hidden)]
    return net.op(
        op,
        x,
        *weights,
        _half(net, two, 2 * gates * hidden),
        shape=(steps, two, net.batch, hidden),
        hidden_size=hidden,
        direction="bidirectional" if two == 2 else "forward",
    )


def _attention(net: DrawnGraph) -> str:
    heads, deep, tokens = net.pick(1, 2, 4, 8, 12), net.pick(16, 32, 64), net.size(4, 384)
    width = heads * deep
    shape = (net.batch, tokens, width)
    if net.pick(0, 1):
        parts = [net.take(*shape) for _ in range(3)]
        return net.microsoft("MultiHeadAttention", *parts, shape=shape, num_heads=heads)
    weights = (net.zeros(width, 3 * width), _half(net, 3 * width))
    mask = [net.take(net.batch, kind=_INT32)] if net.pick(0, 1) else []
    return net.microsoft(
        "Attention", net.take(*shape), *weights, *mask, shape=shape, num_heads=heads
    )


def _words(net: DrawnGraph) -> str:
    """What ONNX Runtime's tool for transformers writes for the beginning of BERT."""
    tokens, width, rows = net.size(8, 512), net.size(16, 1024), net.size(100, 2000)
    ids = [net.take(net.batch, tokens, kind=_INT32, below=most) for most in (rows, 2)]
    tables = [net.zeros(most, width) for most in (rows, 512, 2)]
    parts = [_half(net, width) for _ in range(2)]
    shape = (net.batch, tokens, width)
    return net.microsoft("EmbedLayerNormalization", *ids, *tables, *parts, shape=shape, outputs=2)


def _biased(net: DrawnGraph) -> str:
    rows, width = net.size(1, 512), net.size(8, 4096)
    kind = net.pick("BiasGelu", "FastGelu")
    shape = (net.batch, rows, width)
    return net.microsoft(kind, net.take(*shape), _half(net, width), shape=shape)


def _slopes(net: DrawnGraph) -> str:
    shape = _shape(net)
    channels = (*shape[1:2], *[1] * (len(shape) - 2))
    slopes = net.pick((1,) * len(channels), channels)
    return net.op("PRelu", net.take(*shape), _half(net, *slopes), shape=shape)


def _bytes(net: DrawnGraph) -> str:
    """Into bytes and back, by scales that are known or are found."""
    shape = _shape(net)
    scale = net.const(np.float32(0.05))
    kind, zero = net.pick((TensorProto.UINT8, np.uint8(128)), (TensorProto.INT8, np.int8(0)))
    form = net.pick("into", "back", "found")
    if form == "into":
        parts = (net.take(*shape), scale, net.const(zero))
        return net.op("QuantizeLinear", *parts, shape=shape, kind=kind)
    if form == "back":
        parts = (net.take(*shape, kind=kind), scale, net.const(zero))
        return net.op("DequantizeLinear", *parts, shape=shape)
    return net.op("DynamicQuantizeLinear", net.take(*shape), shape=shape, outputs=3, kind=2)


def _byte_product(net: DrawnGraph) -> str:
    inner, rows = net.size(4, 2048), net.batch * net.size(1, 512)
    out = max(1, min(net.size(1, 2048), 400_000_000 // (rows * inner)))
    data = net.take(rows, inner, kind=TensorProto.UINT8)
    scale, zero, low = net.const(np.float32(0.05)), net.const(np.uint8(128)), net.const(np.int8(0))
    weights = net.const(np.full((inner, out), 3, np.int8))
    shape = (rows, out)
    if net.pick(0, 1):
        return net.op("MatMulInteger", data, weights, zero, low, shape=shape, kind=_INT32)
    parts = (data, scale, zero, weights, scale, low, scale, zero)
    return net.op("QLinearMatMul", *parts, shape=shape, kind=TensorProto.UINT8)


def _byte_convolution(net: DrawnGraph) -> str:
    n, c, *size = _image(net, _MOST / 2)
    k, stride = net.pick(1, 1, 3, 3, 5), net.pick(1, 1, 2)
    if min(size) < k:
        k = 1
    group = c if net.pick(0, 0, 1) else 1
    out = net.size(1, min(768, max(1, int(3e8 / (c * k * k * np.prod(size))))))
    out = c if group == c else out
    new = [(s + k // 2 * 2 - k) // stride + 1 for s in size]
    known = (net.const(np.float32(0.05)), net.const(np.uint8(128)))
    weights = [np.full((out, c // group, k, k), 3, np.int8), np.float32(0.05), np.int8(0)]
    return net.op(
        "QLinearConv",
        net.take(n, c, *size, kind=TensorProto.UINT8),
        *known,
        *map(net.const, weights),
        *known,
        net.const(np.full(out, 9, np.int32)),
        shape=(n, out, *new),
        kind=TensorProto.UINT8,
        kernel_shape=[k] * 2,
        strides=[stride] * 2,
        pads=[k // 2] * 4,
        group=group,
    )


def _byte_layer(net: DrawnGraph) -> str:
    """What joins convolutions of bytes, and what stands behind them."""
    known = (net.const(np.float32(0.05)), net.const(np.uint8(128)))
    byte = TensorProto.UINT8
    kind = net.pick(
        "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearGlobalAveragePool", "QGemm"
    )
    if kind == "QGemm":
        inner, rows, out = net.size(8, 2048), net.batch * net.size(1, 16), net.size(2, 1000)
        weights = (np.full((out, inner), 3, np.int8), np.float32(0.05), np.int8(0))
        parts = [net.take(rows, inner, kind=byte), *known, *map(net.const, weights)]
        parts.append(net.const(np.full(out, 9, np.int32)))
        return net.microsoft(kind, *parts, *known, shape=(rows, out), kind=byte, transB=1)
    shape = _image(net)
    first = (net.take(*shape, kind=byte), *known)
    if kind == "QLinearGlobalAveragePool":
        last = bool(net.pick(0, 1, 1))
        small = (shape[0], 1, 1, shape[3]) if last else (*shape[:2], 1, 1)
        return net.microsoft(kind, *first, *known, shape=small, kind=byte, channels_last=int(last))
    if kind != "QLinearSigmoid":
        first += (net.take(*shape, kind=byte), *known)
    return net.microsoft(kind, *first, *known, shape=shape, kind=byte)


#: What draws a node, and how often in each network.
_KINDS: dict[Callable[[DrawnGraph], str], int] = {
    _unary: 6,
    _binary: 6,
    _compared: 2,
    _chosen: 1,
    _cast: 2,
    _reduced: 4,
    _largest: 2,
    _normed: 4,
    _transposed: 4,
    _joined: 3,
    _cut: 4,
    _widened: 3,
    _looked_up: 3,
    _resized: 2,
    _pooled: 3,
    _moved: 1,
    _convolution: 8,
    _upwards: 3,
    _product: 6,
    _recurrent: 3,
    _attention: 2,
    _words: 1,
    _biased: 1,
    _slopes: 1,
    _bytes: 3,
    _byte_product: 2,
    _byte_convolution: 3,
    _byte_layer: 3,
}
