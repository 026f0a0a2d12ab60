"""An ONNX graph that is being drawn: layers whose sizes come from a generator.

Weights are zero, since latency does not depend on them, and biases are not, so that no activation
becomes a denormal number.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwnas.kernels.inputs import BELOW

__all__ = ["DrawnGraph"]


class DrawnGraph:
    """An ONNX graph under construction; ``shape`` holds every tensor's sizes."""

    def __init__(self, rng: np.random.Generator, batch: int, size: int):
        self.rng = rng
        self.nodes: list[onnx.NodeProto] = []
        self.made = 0
        self.held: list[onnx.TensorProto] = []
        self.batch = batch
        self.shape: dict[str, tuple[int, ...]] = {"input": (batch, 3, size, size)}
        self.inputs = ["input"]
        self.kind: dict[str, int] = {}  # of tensors that are not single precision
        self.below: dict[str, int] = {}

    def pick(self, *choices: Any) -> Any:
        """One of the choices, each as likely."""
        return choices[self.rng.integers(len(choices))]

    def width(self, low: float, high: float) -> int:
        """Log-uniform; mostly a multiple of 16 or 8, now and then of 2."""
        step = self.pick(16, 16, 8, 8, 8, 2)
        value = np.exp(self.rng.uniform(np.log(low), np.log(high)))
        return int(max(step, round(value / step) * step))

    def take(self, *shape: int, kind: int = TensorProto.FLOAT, below: int | None = None) -> str:
        """Another input; whole numbers lie ``below``. The image is one only where it is read."""
        name = f"input{len(self.inputs)}"
        self.inputs.append(name)
        self.shape[name], self.kind[name] = shape, kind
        if below is not None:
            self.below[name] = below
        return name

    def size(self, low: float, high: float) -> int:
        """Log-uniform, any whole number."""
        return round(float(np.exp(self.rng.uniform(np.log(low), np.log(high)))))

    def const(self, value: Any) -> str:
        """A constant tensor."""
        name = f"c{len(self.held)}"
        self.held.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def dims(self, name: str) -> tuple[int, ...]:
        """Sizes of a constant."""
        return tuple(self.held[int(name[1:])].dims)

    def zeros(self, *shape: int) -> str:
        """A constant of zeros."""
        return self.const(np.zeros(shape, np.float32))

    def op(
        self,
        op: str,
        *inputs: str,
        shape: tuple[int, ...],
        outputs: int = 1,
        kind: int = TensorProto.FLOAT,
        **attributes: Any,
    ) -> str:
        """A node; each of its outputs has ``shape`` and ``kind``, and the first is returned."""
        name = f"t{self.made}"
        self.made += 1
        names = [name, *(f"{name}.{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        self.shape |= dict.fromkeys(names, shape)
        self.kind |= dict.fromkeys(names, kind)
        return name

    def microsoft(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A node of an operator that ONNX Runtime's own tools write, as `op`."""
        return self.op(op, *inputs, domain="com.microsoft", **attributes)

    def conv(
        self,
        x: str,
        out: int,
        k: int = 1,
        stride: int = 1,
        group: int = 1,
        wide: int | None = None,
        dilation: int = 1,
    ) -> str:
        """Over all axes behind the channels; ``wide`` is the width of a kernel of another one."""
        n, c, *size = self.shape[x]
        kernel = [k] * len(size)
        kernel[-1] = k if wide is None else wide
        pads = [(k - 1) * dilation // 2 for k in kernel]
        left = [
            s + 2 * p - (k - 1) * dilation - 1 for s, k, p in zip(size, kernel, pads, strict=True)
        ]
        return self.op(
            "Conv",
            x,
            self.zeros(out, c // group, *kernel),
            self.const(np.full(out, 0.5, np.float32)),
            shape=(n, out, *(s // stride + 1 for s in left)),
            kernel_shape=kernel,
            strides=[stride] * len(size),
            pads=pads * 2,
            group=group,
            dilations=[dilation] * len(size),
        )

    def patches(self, width: int, patch: int) -> str:
        """The input image cut into squares, each of which becomes ``width`` numbers."""
        n, channels, *size = self.shape["input"]
        return self.op(
            "Conv",
            "input",
            self.zeros(width, channels, patch, patch),
            self.const(np.full(width, 0.5, np.float32)),
            shape=(n, width, *(s // patch for s in size)),
            kernel_shape=[patch] * 2,
            strides=[patch] * 2,
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

    def model(self, *last: str) -> bytes:
        """The ONNX model that gives tensors ``last``."""
        read = {name for node in self.nodes for name in node.input}

        def info(name: str) -> onnx.ValueInfoProto:
            kind = self.kind.get(name, TensorProto.FLOAT)
            return helper.make_tensor_value_info(name, kind, self.shape[name])

        graph = helper.make_graph(
            self.nodes,
            "random",
            [info(name) for name in self.inputs if name in read],
            [info(name) for name in last],
            self.held,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        for name, below in self.below.items():
            model.metadata_props.add(key=BELOW + name, value=str(below))
        data: bytes = model.SerializeToString()
        return data
