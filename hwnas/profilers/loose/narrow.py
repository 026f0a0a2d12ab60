"""Single nodes of quantised numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph
from hwnas.profilers.loose.sizes import MOST, any_image, any_shape, half

__all__ = ["NARROW"]

_INT32 = TensorProto.INT32


def _bytes(net: DrawnGraph) -> str:
    """Into bytes and back, by scales that are known or are found."""
    shape = any_shape(net)
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


def _byte(net: DrawnGraph) -> tuple[int, Any]:
    """A type of bytes and what stands for zero; signed ones take other kernels, and longer."""
    unsigned, signed = (TensorProto.UINT8, np.uint8(128)), (TensorProto.INT8, np.int8(0))
    found: tuple[int, Any] = net.pick(unsigned, signed)
    return found


def _byte_product(net: DrawnGraph) -> str:
    inner, rows = net.size(4, 2048), net.batch * net.size(1, 512)
    out = max(1, min(net.size(1, 2048), 400_000_000 // (rows * inner)))
    form = net.pick(
        "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul"
    )
    kind, middle = _byte(net)
    scale, zero, low = net.const(np.float32(0.05)), net.const(middle), net.const(np.int8(0))
    weights = net.const(np.full((inner, out), 3, np.int8))
    shape = (rows, out)
    if form == "DynamicQuantizeMatMul":
        return net.microsoft(form, net.take(rows, inner), weights, scale, low, shape=shape)
    data = net.take(rows, inner, kind=kind)
    if form == "MatMulInteger":
        return net.op(form, data, weights, zero, low, shape=shape, kind=_INT32)
    if form == "MatMulIntegerToFloat":
        parts = (data, weights, net.take(1), scale, zero, low)
        bias = [half(net, out)] if net.pick(0, 1) else []
        return net.microsoft(form, *parts, *bias, shape=shape)
    every = (data, scale, zero, weights, scale, low, scale, zero)
    return net.op(form, *every, shape=shape, kind=kind)


def _byte_convolution(net: DrawnGraph) -> str:
    n, c, *size = any_image(net, MOST / 2)
    k, stride = net.pick(1, 1, 3, 3, 5), net.pick(1, 1, 2)
    if min(size) < k:
        k = 1
    group = c if net.pick(0, 0, 1) else 1
    out = net.size(1, min(768, max(1, int(3e8 / (c * k * k * np.prod(size))))))
    out = c if group == c else out
    new = [(s + k // 2 * 2 - k) // stride + 1 for s in size]
    kind, middle = _byte(net)
    known = (net.const(np.float32(0.05)), net.const(middle))
    weights = [np.full((out, c // group, k, k), 3, np.int8), np.float32(0.05), np.int8(0)]
    return net.op(
        "QLinearConv",
        net.take(n, c, *size, kind=kind),
        *known,
        *map(net.const, weights),
        *known,
        net.const(np.full(out, 9, np.int32)),
        shape=(n, out, *new),
        kind=kind,
        kernel_shape=[k] * 2,
        strides=[stride] * 2,
        pads=[k // 2] * 4,
        group=group,
    )


def _byte_layer(net: DrawnGraph) -> str:
    """What joins convolutions of bytes, and what stands behind them."""
    byte, middle = _byte(net)
    known = (net.const(np.float32(0.05)), net.const(middle))
    kind = net.pick(
        "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearGlobalAveragePool", "QGemm",
        "QLinearConcat", "NhwcMaxPool",
    )  # fmt: skip
    if kind == "QGemm":
        inner, rows, out = net.size(8, 2048), net.batch * net.size(1, 16), net.size(2, 1000)
        weights = (np.full((out, inner), 3, np.int8), np.float32(0.05), np.int8(0))
        parts = [net.take(rows, inner, kind=byte), *known, *map(net.const, weights)]
        parts.append(net.const(np.full(out, 9, np.int32)))
        return net.microsoft(kind, *parts, *known, shape=(rows, out), kind=byte, transB=1)
    shape = any_image(net)
    parts = [net.take(*shape, kind=byte), *known]
    if kind == "QLinearGlobalAveragePool":
        last = bool(net.pick(0, 1, 1))
        small = (shape[0], 1, 1, shape[3]) if last else (*shape[:2], 1, 1)
        return net.microsoft(kind, *parts, *known, shape=small, kind=byte, channels_last=int(last))
    if kind == "QLinearConcat":
        wide = (shape[0], 2 * shape[1], *shape[2:])
        more = [net.take(*shape, kind=byte), *known]
        return net.microsoft(kind, *known, *parts, *more, shape=wide, kind=byte, axis=1)
    if kind == "NhwcMaxPool":
        n, channels, *size = shape
        turned = (n, *size, channels)
        k, stride = net.pick((2, 2), (3, 1))
        small = (n, *((s - k) // stride + 1 for s in size), channels)
        window = {"kernel_shape": [k] * 2, "strides": [stride] * 2}
        return net.microsoft(kind, net.take(*turned, kind=byte), shape=small, kind=byte, **window)
    if kind != "QLinearSigmoid":
        parts += [net.take(*shape, kind=byte), *known]
    return net.microsoft(kind, *parts, *known, shape=shape, kind=byte)


def _byte_recurrent(net: DrawnGraph) -> str:
    """An LSTM whose weights are bytes; numbers become bytes at every step."""
    steps, width, hidden, two = net.size(1, 200), net.size(4, 512), net.size(4, 384), net.pick(1, 2)
    weights = [net.const(np.full((two, s, 4 * hidden), 3, np.int8)) for s in (width, hidden)]
    known = [net.const(np.full(two, v)) for v in (np.float32(0.05), np.int8(0))]
    return net.microsoft(
        "DynamicQuantizeLSTM",
        net.take(steps, net.batch, width),
        *weights,
        half(net, two, 8 * hidden),
        *[""] * 4,
        *known,
        *known,
        shape=(steps, two, net.batch, hidden),
        hidden_size=hidden,
        direction="bidirectional" if two == 2 else "forward",
    )


#: What draws a node, and how often in each graph.
NARROW: dict[Callable[[DrawnGraph], str], int] = {
    _bytes: 3,
    _byte_product: 6,
    _byte_convolution: 8,
    _byte_layer: 4,
    _byte_recurrent: 1,
}
