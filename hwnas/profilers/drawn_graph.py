"""An ONNX graph that is being drawn: layers whose sizes come from a generator.

Weights are zero, since latency does not depend on them, and biases are not, so that no activation
becomes a denormal number.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["DrawnGraph"]


class DrawnGraph:
    """An ONNX graph under construction; ``shape`` holds every tensor's sizes."""

    def __init__(self, rng: np.random.Generator, batch: int, size: int):
        self.rng = rng
        self.nodes: list[onnx.NodeProto] = []
        self.held: list[onnx.TensorProto] = []
        self.shape: dict[str, tuple[int, ...]] = {"input": (batch, 3, size, size)}

    def pick(self, *choices: Any) -> Any:
        """One of the choices, each as likely."""
        return choices[self.rng.integers(len(choices))]

    def width(self, low: float, high: float) -> int:
        """Log-uniform; mostly a multiple of 16 or 8, now and then of 2."""
        step = self.pick(16, 16, 8, 8, 8, 2)
        value = np.exp(self.rng.uniform(np.log(low), np.log(high)))
        return int(max(step, round(value / step) * step))

    def const(self, value: Any) -> str:
        """A constant tensor."""
        name = f"c{len(self.held)}"
        self.held.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def zeros(self, *shape: int) -> str:
        """A constant of zeros."""
        return self.const(np.zeros(shape, np.float32))

    def op(
        self, op: str, *inputs: str, shape: tuple[int, ...], outputs: int = 1, **attributes: Any
    ) -> str:
        """A node; each of its outputs has ``shape``, and the first is returned."""
        name = f"t{len(self.nodes)}"
        names = [name, *(f"{name}.{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        self.shape |= dict.fromkeys(names, shape)
        return name

    def conv(
        self, x: str, out: int, k: int = 1, stride: int = 1, group: int = 1, wide: int | None = None
    ) -> str:
        """``wide`` is the kernel's width where it is not square."""
        n, c, *size = self.shape[x]
        kernel = (k, k if wide is None else wide)
        high, low = ((s + k // 2 * 2 - k) // stride + 1 for s, k in zip(size, kernel, strict=True))
        return self.op(
            "Conv",
            x,
            self.zeros(out, c // group, *kernel),
            self.const(np.full(out, 0.5, np.float32)),
            shape=(n, out, high, low),
            kernel_shape=kernel,
            strides=[stride] * 2,
            pads=[kernel[0] // 2, kernel[1] // 2] * 2,
            group=group,
        )

    def act(self, x: str, kind: str) -> str:
        """An activation; ``Silu`` and ``Gelu`` are the nodes that exporters write."""
        shape = self.shape[x]
        if kind == "Clip":
            limits = (self.const(np.float32(0)), self.const(np.float32(6)))
            return self.op("Clip", x, *limits, shape=shape)
        if kind == "Silu":
            return self.op("Mul", x, self.op("Sigmoid", x, shape=shape), shape=shape)
        if kind == "Gelu":
            scaled = self.op("Div", x, self.const(np.float32(2**0.5)), shape=shape)
            erf = self.op("Erf", scaled, shape=shape)
            more = self.op("Add", erf, self.const(np.float32(1)), shape=shape)
            product = self.op("Mul", x, more, shape=shape)
            return self.op("Mul", product, self.const(np.float32(0.5)), shape=shape)
        return self.op(kind, x, shape=shape)

    def add(self, x: str, y: str) -> str:
        """The sum of two tensors of one shape."""
        return self.op("Add", x, y, shape=self.shape[x])

    def concat(self, *parts: str) -> str:
        """The channels one after the other."""
        n, _, *size = self.shape[parts[0]]
        channels = sum(self.shape[part][1] for part in parts)
        return self.op("Concat", *parts, shape=(n, channels, *size), axis=1)

    def pool(self, x: str, kind: str, k: int, stride: int, pad: int = 0) -> str:
        """``Max`` or ``Average`` pooling."""
        n, c, *size = self.shape[x]
        high, low = ((s + 2 * pad - k) // stride + 1 for s in size)
        return self.op(
            f"{kind}Pool",
            x,
            shape=(n, c, high, low),
            kernel_shape=[k, k],
            strides=[stride] * 2,
            pads=[pad] * 4,
        )

    def norm(self, x: str) -> str:
        """Batch normalisation."""
        c = self.shape[x][1]
        ones = [self.const(np.ones(c, np.float32)) for _ in range(4)]
        return self.op("BatchNormalization", x, *ones, shape=self.shape[x])

    def linear(self, x: str, out: int) -> str:
        """On the last axis."""
        *outer, c = self.shape[x]
        if len(outer) == 1:
            bias = self.const(np.full(out, 0.5, np.float32))
            weight = self.zeros(out, c)
            return self.op("Gemm", x, weight, bias, shape=(*outer, out), transB=1)
        product = self.op("MatMul", x, self.zeros(c, out), shape=(*outer, out))
        return self.op(
            "Add", product, self.const(np.full(out, 0.5, np.float32)), shape=(*outer, out)
        )

    def gate(self, x: str, kind: str) -> str:
        """Squeeze and excitation."""
        n, c, *_ = self.shape[x]
        y = self.op("GlobalAveragePool", x, shape=(n, c, 1, 1))
        y = self.act(self.conv(y, max(8, c // self.pick(4, 4, 16) // 8 * 8)), "Relu")
        y = self.op(kind, self.conv(y, c), shape=(n, c, 1, 1))
        return self.op("Mul", x, y, shape=self.shape[x])

    def head(self, x: str) -> str:
        """Global pooling and a classifier, with a softmax or without."""
        n, c, *_ = self.shape[x]
        y = self.op("GlobalAveragePool", x, shape=(n, c, 1, 1))
        y = self.op("Flatten", y, shape=(n, c), axis=1)
        y = self.linear(y, self.pick(10, 100, 1000, self.width(10, 2000)))
        return self.op("Softmax", y, shape=self.shape[y], axis=1) if self.pick(0, 1) else y

    def model(self, last: str) -> bytes:
        """The ONNX model that gives tensor ``last``."""

        def info(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape[name])

        graph = helper.make_graph(self.nodes, "random", [info("input")], [info(last)], self.held)
        opsets = [helper.make_opsetid("", 17)]
        data: bytes = helper.make_model(
            graph, opset_imports=opsets, ir_version=8
        ).SerializeToString()
        return data
