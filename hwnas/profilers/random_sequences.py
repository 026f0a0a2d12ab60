"""Random networks over tokens, steps and rows: texts, windows of images, signals, tables."""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph

__all__ = ["SEQUENCES"]


def _norm(net: DrawnGraph, x: str) -> str:
    width = net.shape[x][-1]
    parts = [net.const(np.full(width, v, np.float32)) for v in (1, 0.5)]
    return net.op("LayerNormalization", x, *parts, shape=net.shape[x], axis=-1)


def _reshape(net: DrawnGraph, x: str, *shape: int) -> str:
    return net.op("Reshape", x, net.const(np.array(shape)), shape=shape)


def _transpose(net: DrawnGraph, x: str, *perm: int) -> str:
    shape = tuple(net.shape[x][at] for at in perm)
    return net.op("Transpose", x, shape=shape, perm=list(perm))


def attend(net: DrawnGraph, x: str, heads: int, mask: str = "") -> str:
    """Vaswani et al. 2017, figure 2, as exporters write it: (batch, tokens, width) to the same.

    Queries, keys and values come from three products, or from one that is split.
    """
    n, tokens, width = net.shape[x]
    deep = width // heads
    if net.pick(0, 1):
        parts = [_reshape(net, net.linear(x, width), n, tokens, heads, deep) for _ in range(3)]
        parts = [_transpose(net, y, 0, 2, 1, 3) for y in parts]
    else:
        y = _reshape(net, net.linear(x, 3 * width), n, tokens, 3, heads, deep)
        y = _transpose(net, y, 2, 0, 3, 1, 4)
        apart = (1, n, heads, tokens, deep)
        y = net.op("Split", y, shape=apart, outputs=3, axis=0)
        axes = net.const(np.array([0]))
        parts = [net.op("Squeeze", p, axes, shape=apart[1:]) for p in (y, f"{y}.1", f"{y}.2")]
    queries, keys, values = parts
    scores = (n, heads, tokens, tokens)
    y = net.op("MatMul", queries, _transpose(net, keys, 0, 1, 3, 2), shape=scores)
    y = net.op("Mul", y, net.const(np.float32(deep**-0.5)), shape=scores)
    if mask:
        y = net.op("Add", y, mask, shape=scores)
    y = net.op("Softmax", y, shape=scores, axis=-1)
    y = net.op("MatMul", y, values, shape=(n, heads, tokens, deep))
    return net.linear(_reshape(net, _transpose(net, y, 0, 2, 1, 3), n, tokens, width), width)


def _feed(net: DrawnGraph, x: str) -> str:
    width = net.shape[x][-1]
    y = net.act(net.linear(x, width * net.pick(2, 4, 4)), net.pick("Gelu", "Gelu", "Relu"))
    return net.linear(y, width)


def _encoder(net: DrawnGraph) -> str:
    """BERT: Devlin et al. 2019; words and places are looked up, normed after each sum."""
    heads = net.pick(2, 4, 8, 12)
    width, tokens = heads * net.pick(16, 32, 64), net.pick(16, 32, 64, 128, 128, 256)
    rows = net.size(100, 8000)
    shape = (net.batch, tokens, width)
    ids = net.take(net.batch, tokens, kind=TensorProto.INT64, below=rows)
    x = net.op("Gather", net.zeros(rows, width), ids, shape=shape)
    x = net.add(x, net.const(np.full((1, tokens, width), 0.5, np.float32)))
    mask = ""
    if net.pick(0, 1):
        mask = net.take(net.batch, 1, net.pick(1, tokens), tokens)
    x = _norm(net, x)
    first = net.pick(0, 1)
    for at in range(2 * net.pick(1, 2)):
        y = _norm(net, x) if first else x
        x = net.add(x, _feed(net, y) if at % 2 else attend(net, y, heads, mask))
        x = x if first else _norm(net, x)
    if net.pick(0, 1):
        y = net.op("ReduceMean", x, shape=(net.batch, width), axes=[1], keepdims=0)
    else:
        y = net.op("Gather", x, net.const(np.array(0)), shape=(net.batch, width), axis=1)
    return net.linear(y, net.pick(2, 30, 1000))


def _fused(net: DrawnGraph) -> str:
    """The same, as ONNX Runtime's tool for transformers writes it."""
    heads = net.pick(2, 4, 8, 12)
    width, tokens = heads * net.pick(16, 32, 64), net.pick(16, 32, 64, 128, 128, 256)
    x = net.take(net.batch, tokens, width)
    shape = net.shape[x]

    def half(*sizes: int) -> str:
        return net.const(np.full(sizes, 0.5, np.float32))

    def norm(y: str, z: str) -> str:
        parts = [half(width) for _ in range(net.pick(2, 3))]
        return net.microsoft("SkipLayerNormalization", y, z, *parts, shape=shape)

    for _ in range(net.pick(1, 2, 3)):
        weights = (net.zeros(width, 3 * width), half(3 * width))
        y = net.microsoft("Attention", x, *weights, shape=shape, num_heads=heads)
        x = norm(net.op("MatMul", y, net.zeros(width, width), shape=shape), x)
        wide = (*shape[:2], width * net.pick(2, 4))
        y = net.op("MatMul", x, net.zeros(width, wide[2]), shape=wide)
        y = net.microsoft(net.pick("BiasGelu", "FastGelu"), y, half(wide[2]), shape=wide)
        x = norm(net.op("MatMul", y, net.zeros(wide[2], width), shape=shape), x)
    return x


def _windows(net: DrawnGraph) -> str:
    """Swin: Liu et al. 2021, figure 3; windows that are shifted, padded and merged."""
    n = net.shape["input"][0]
    heads, window = net.pick(2, 3, 4), net.pick(4, 7, 7, 8)
    width, patch = heads * net.pick(16, 32), net.pick(4, 8)
    x = net.patches(width, patch)
    x = _transpose(net, x, 0, 2, 3, 1)
    for stage in range(net.pick(1, 2)):
        for shift in (0, window // 2):
            x = net.add(x, _windowed(net, _norm(net, x), heads, window, shift))
            x = net.add(x, _feed(net, _norm(net, x)))
        if not stage:
            x = _merged(net, x)
            heads *= 2
    n, _, _, width = net.shape[x]
    y = net.op("ReduceMean", _norm(net, x), shape=(n, width), axes=[1, 2], keepdims=0)
    return net.linear(y, 1000)


def _windowed(net: DrawnGraph, x: str, heads: int, window: int, shift: int) -> str:
    n, side, _, width = net.shape[x]
    full = -(-side // window) * window
    if full != side:
        pads = net.const(np.array([0, 0, 0, 0, 0, full - side, full - side, 0]))
        x = net.op("Pad", x, pads, shape=(n, full, full, width))
    x = _rolled(net, x, shift)
    many = full // window
    y = _reshape(net, x, n, many, window, many, window, width)
    y = _transpose(net, y, 0, 1, 3, 2, 4, 5)
    tokens, count = window * window, n * many * many
    y = _reshape(net, y, count, tokens, width)
    one = (1, heads, tokens, tokens)
    bias = one if not shift else (count, net.pick(1, heads), tokens, tokens)
    y = attend(net, y, heads, net.const(np.full(bias, 0.5, np.float32)))
    y = _reshape(net, y, n, many, many, window, window, width)
    y = _transpose(net, y, 0, 1, 3, 2, 4, 5)
    y = _rolled(net, _reshape(net, y, n, full, full, width), full - shift if shift else 0)
    if full != side:
        ends = [net.const(np.array(v)) for v in ([0, 0], [side, side], [1, 2])]
        y = net.op("Slice", y, *ends, shape=(n, side, side, width))
    return y


def _rolled(net: DrawnGraph, x: str, shift: int) -> str:
    """Along both axes, as exporters write it: the ends change places."""
    for axis in (1, 2) if shift else ():
        shape = list(net.shape[x])
        ends = []
        for low, high in ((shift, shape[axis]), (0, shift)):
            part = (*shape[:axis], high - low, *shape[axis + 1 :])
            where = [net.const(np.array([v])) for v in (low, high, axis)]
            ends.append(net.op("Slice", x, *where, shape=part))
        x = net.op("Concat", *ends, shape=tuple(shape), axis=axis)
    return x


def _merged(net: DrawnGraph, x: str) -> str:
    """Every other pixel of every other row, four times, side by side."""
    n, side, _, width = net.shape[x]
    if side % 2:
        pads = net.const(np.array([0, 0, 0, 0, 0, 1, 1, 0]))
        x, side = net.op("Pad", x, pads, shape=(n, side + 1, side + 1, width)), side + 1
    parts = []
    for row in (0, 1):
        for column in (0, 1):
            where = [net.const(np.array(v)) for v in ([row, column], [side] * 2, [1, 2], [2, 2])]
            parts.append(net.op("Slice", x, *where, shape=(n, side // 2, side // 2, width)))
    y = net.op("Concat", *parts, shape=(n, side // 2, side // 2, 4 * width), axis=3)
    return net.op("MatMul", _norm(net, y), net.zeros(4 * width, 2 * width),
                  shape=(n, side // 2, side // 2, 2 * width))  # fmt: skip


def _recurrent(net: DrawnGraph) -> str:
    """Layers of LSTM or GRU over features of a signal, and a linear layer at each step."""
    steps, width = net.size(8, 200), net.size(8, 256)
    x = net.take(net.batch, steps, width)
    x = _transpose(net, x, 1, 0, 2)
    op, gates = net.pick(("LSTM", 4), ("LSTM", 4), ("GRU", 3))
    two = net.pick(1, 1, 2)
    hidden = net.size(16, 320)
    for _ in range(net.pick(1, 2)):
        width = net.shape[x][-1]
        weights = [net.zeros(two, gates * hidden, inner) for inner in (width, hidden)]
        bias = net.const(np.full((two, 2 * gates * hidden), 0.1, np.float32))
        y = net.op(
            op,
            x,
            *weights,
            bias,
            shape=(steps, two, net.batch, hidden),
            hidden_size=hidden,
            direction="bidirectional" if two == 2 else "forward",
        )
        y = _transpose(net, y, 0, 2, 1, 3)
        x = _reshape(net, y, steps, net.batch, two * hidden)
    return net.linear(_transpose(net, x, 1, 0, 2), net.size(2, 200))


def _signal(net: DrawnGraph) -> str:
    """Convolutions along time that reach further with depth: Bai et al. 2018, figure 1."""
    channels, act = net.size(8, 128), net.pick("Relu", "PRelu", "PRelu", "Gelu", "Silu")
    x = net.take(net.batch, channels, net.size(64, 2000))
    width, k, grouped = net.width(16, 320), net.pick(3, 3, 5, 7), net.pick(0, 0, 1)
    x = net.conv(x, width)
    for block in range(net.pick(3, 4, 6)):
        y = net.conv(x, width, net.pick(1, k)) if net.pick(0, 1) else x
        y = net.conv(y, width, k, 1, width if grouped else 1, dilation=2 ** (block % 6))
        if act == "PRelu":
            slopes = (1, 1) if net.pick(0, 1) else (width, 1)
            y = net.op("PRelu", y, net.const(np.full(slopes, 0.1, np.float32)), shape=net.shape[y])
        else:
            y = net.act(y, act)
        x = net.add(x, y) if net.shape[x] == net.shape[y] else y
    n, c, _ = net.shape[x]
    return net.linear(net.op("ReduceMean", x, shape=(n, c), axes=[2], keepdims=0), net.size(2, 100))


def _rows(net: DrawnGraph) -> str:
    """Linear layers over the rows of a table."""
    rows, act = net.batch * net.pick(1, 1, net.size(2, 512)), net.pick("Relu", "Gelu", "Silu")
    x = net.take(rows, net.size(8, 1024))
    for _ in range(net.pick(2, 3, 4)):
        most = max(8, min(2048, 200_000_000 // (rows * net.shape[x][1])))
        x = net.act(net.linear(x, net.size(4, most)), act)
    y = net.linear(x, net.size(1, 100))
    return net.op("Softmax", y, shape=net.shape[y], axis=1) if net.pick(0, 1) else y


def _decode(net: DrawnGraph) -> str:
    """One token after those that are kept: keys and values are joined to what came before."""
    heads, deep, past = net.pick(4, 8, 12), net.pick(32, 64), net.size(16, 1024)
    width, n = heads * deep, net.batch
    x = net.take(n, 1, width)
    for _ in range(net.pick(1, 2)):
        y = _norm(net, x)
        parts = [_reshape(net, net.linear(y, width), n, 1, heads, deep) for _ in range(3)]
        queries, *fresh = (_transpose(net, part, 0, 2, 1, 3) for part in parts)
        whole = (n, heads, past + 1, deep)
        keys, values = (
            net.op("Concat", net.take(n, heads, past, deep), new, shape=whole, axis=2)
            for new in fresh
        )
        y = net.op(
            "MatMul", queries, _transpose(net, keys, 0, 1, 3, 2), shape=(n, heads, 1, past + 1)
        )
        y = net.op("Mul", y, net.const(np.float32(deep**-0.5)), shape=net.shape[y])
        y = net.op("Softmax", y, shape=net.shape[y], axis=-1)
        y = net.op("MatMul", y, values, shape=(n, heads, 1, deep))
        y = _reshape(net, _transpose(net, y, 0, 2, 1, 3), n, 1, width)
        x = net.add(x, net.linear(y, width))
        x = net.add(x, _feed(net, _norm(net, x)))
    return net.linear(x, net.size(100, 8000))


SEQUENCES: dict[str, Callable[[DrawnGraph], str]] = {
    "encoder": _encoder,
    "fused encoder": _fused,
    "windows": _windows,
    "recurrent": _recurrent,
    "signal": _signal,
    "rows": _rows,
    "decode": _decode,
}
