"""Single nodes that multiply: convolutions, matrices, recurrent layers, attention."""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph
from hwnas.profilers.loose.sizes import MOST, any_image, half

__all__ = ["PRODUCTS"]

_INT32 = TensorProto.INT32


def _convolution(net: DrawnGraph) -> str:
    """Dilated, of large kernels, of few channels and many pixels, and along one axis."""
    budget = 300_000_000
    if net.pick(0, 0, 0, 1):
        n, c = net.batch, net.size(1, 512)
        shape: tuple[int, ...] = (n, c, net.size(4, 4000))
    else:
        shape = any_image(net)
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


def _grouped(net: DrawnGraph) -> str:
    """Groups whose channels fill vectors, as in ResNeXt: a kernel of its own; or any groups."""
    each, groups = net.pick(8, 16, 16, 24, 32, 32, 64), net.pick(2, 3, 4, 8, 16, 32)
    each = net.pick(each, each, net.size(4, 200))
    side = max(4, round((net.size(4_000, MOST / 2) / (each * groups * net.batch)) ** 0.5))
    most = round((300_000_000 / (9 * each**2 * groups)) ** 0.5)  # so many pixels are enough work
    x = net.take(net.batch, each * groups, *[max(5, min(side, most))] * 2)
    y = net.conv(x, each * groups, net.pick(1, 3, 3, 5), net.pick(1, 1, 2), groups)
    return net.act(y, "Relu") if net.pick(0, 1) else y


def _upwards(net: DrawnGraph) -> str:
    n, c, *size = any_image(net, MOST / 8)
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
        half(net, out),
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
        half(net, two, 2 * gates * hidden),
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
    weights = (net.zeros(width, 3 * width), half(net, 3 * width))
    mask = [net.take(net.batch, kind=_INT32)] if net.pick(0, 1) else []
    return net.microsoft(
        "Attention", net.take(*shape), *weights, *mask, shape=shape, num_heads=heads
    )


def _words(net: DrawnGraph) -> str:
    """What ONNX Runtime's tool for transformers writes for the beginning of BERT."""
    tokens, width, rows = net.size(8, 512), net.size(16, 1024), net.size(100, 2000)
    ids = [net.take(net.batch, tokens, kind=_INT32, below=most) for most in (rows, 2)]
    tables = [net.zeros(most, width) for most in (rows, 512, 2)]
    parts = [half(net, width) for _ in range(2)]
    shape = (net.batch, tokens, width)
    return net.microsoft("EmbedLayerNormalization", *ids, *tables, *parts, shape=shape, outputs=2)


#: What draws a node, and how often in each graph.
PRODUCTS: dict[Callable[[DrawnGraph], str], int] = {
    _convolution: 8,
    _grouped: 2,
    _upwards: 3,
    _product: 6,
    _recurrent: 3,
    _attention: 2,
    _words: 1,
}
