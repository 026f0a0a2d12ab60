"""Graphs in bytes: as ONNX Runtime's tools for quantisation write convolutions and products."""

from typing import Any

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph

__all__ = ["DynamicGraph", "StaticGraph"]

_UINT8, _INT8, _INT32 = TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32
_SCALE = np.float32(0.05)


class StaticGraph(DrawnGraph):
    """Scales are known: values pass through pairs of QuantizeLinear and DequantizeLinear.

    Where such a pair stands on all sides of an operator, ONNX Runtime runs it in bytes; where one
    is missing it does not, and both occur in files that people have.
    """

    def __init__(self, rng: np.random.Generator, batch: int, size: int):
        super().__init__(rng, batch, size)
        self.signed = self.pick(0, 0, 0, 1)  # mostly: where kinds of bytes meet, less is fused

    def conv(self, x: str, out: int, k: int = 1, *args: Any, **known: Any) -> str:
        """Its input, weights, and mostly its output in bytes."""
        y = super().conv(self.pair(x), out, k, *args, **known)
        node = self.nodes.pop()
        node.input[1] = self._dequantised(np.full(self.dims(node.input[1]), 3, np.int8))
        node.input[2] = self._dequantised(np.full(out, 9, np.int32), _SCALE * _SCALE)
        self.nodes.append(node)
        return self.pair(y) if self.pick(0, 1, 1, 1) else y

    def linear(self, x: str, out: int) -> str:
        """A product whose weights are bytes."""
        *outer, c = self.shape[x]
        factors = (self.pair(x), self._dequantised(np.full((c, out), 3, np.int8)))
        y = self.pair(self.op("MatMul", *factors, shape=(*outer, out)))
        return self.op("Add", y, self.const(np.full(out, 0.5, np.float32)), shape=(*outer, out))

    def add(self, x: str, y: str) -> str:
        """Mostly in bytes."""
        if self.pick(0, 1):
            return super().add(x, y)
        return self.pair(super().add(self.pair(x), self.pair(y)))

    def pair(self, x: str) -> str:
        """Into bytes and back."""
        scale, shape = self.const(_SCALE), self.shape[x]
        signed = self.signed != self.pick(0, 0, 0, 0, 0, 1)
        zero = self.const(np.int8(0) if signed else np.uint8(128))
        kind = _INT8 if signed else _UINT8
        y = self.op("QuantizeLinear", x, scale, zero, shape=shape, kind=kind)
        return self.op("DequantizeLinear", y, scale, zero, shape=shape)

    def _dequantised(self, values: Any, scale: np.float32 = _SCALE) -> str:
        parts = (self.const(values), self.const(scale), self.const(values.dtype.type(0)))
        return self.op("DequantizeLinear", *parts, shape=values.shape)


class DynamicGraph(DrawnGraph):
    """Scales of what is read are found in each run."""

    def conv(self, x: str, out: int, k: int = 1, *args: Any, **known: Any) -> str:
        """A convolution of bytes that gives whole numbers, which are scaled."""
        data, scale, zero = self._quantised(x)
        super().conv(data, out, k, *args, **known)
        node = self.nodes.pop()
        weights = self.const(np.full(self.dims(node.input[1]), 3, np.uint8))
        shape = self.shape[node.output[0]]
        attributes: dict[str, Any] = {a.name: list(a.ints) or a.i for a in node.attribute}
        inputs = (data, weights, zero, self.const(np.uint8(0)))
        y = self.op("ConvInteger", *inputs, shape=shape, kind=_INT32, **attributes)
        bias = self.const(np.full((1, out, *[1] * (len(shape) - 2)), 0.5, np.float32))
        return self.op("Add", self._scaled(y, scale, shape), bias, shape=shape)

    def linear(self, x: str, out: int) -> str:
        """A product of bytes, scaled."""
        *outer, c = self.shape[x]
        shape = (*outer, out)
        data, scale, zero = self._quantised(x)
        weights = self.const(np.full((c, out), 3, np.uint8))
        inputs = (data, weights, zero, self.const(np.uint8(0)))
        y = self.op("MatMulInteger", *inputs, shape=shape, kind=_INT32)
        bias = self.const(np.full(out, 0.5, np.float32))
        return self.op("Add", self._scaled(y, scale, shape), bias, shape=shape)

    def _quantised(self, x: str) -> tuple[str, str, str]:
        y = self.op("DynamicQuantizeLinear", x, shape=self.shape[x], outputs=3, kind=_UINT8)
        self.kind[f"{y}.1"], self.shape[f"{y}.1"], self.shape[f"{y}.2"] = TensorProto.FLOAT, (), ()
        return y, f"{y}.1", f"{y}.2"

    def _scaled(self, y: str, scale: str, shape: tuple[int, ...]) -> str:
        floats = self.op("Cast", y, shape=shape, to=TensorProto.FLOAT)
        both = self.op("Mul", scale, self.const(_SCALE), shape=())
        return self.op("Mul", floats, both, shape=shape)
