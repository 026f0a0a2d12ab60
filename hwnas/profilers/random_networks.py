"""Random networks in the styles that people deploy: where kernels to measure come from.

Widths, depths, kernels, activations and sizes are drawn; weights are zero, since latency does not
depend on them, and biases are not, so that no activation becomes a denormal number.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["STYLES", "random_network", "style_of"]

_ACTIVATIONS = ("Relu", "Relu", "Clip", "HardSwish", "Silu", "LeakyRelu", "Sigmoid", "Gelu")

_UNARY = (
    *("Abs", "Elu", "Exp", "HardSigmoid", "HardSwish", "LeakyRelu", "Neg", "Relu", "Sigmoid"),
    *("Softplus", "Sqrt", "Tanh"),
)


class _Net:
    """An ONNX graph under construction; ``shape`` holds every tensor's sizes."""

    def __init__(self, rng: np.random.Generator, batch: int, size: int):
        self.rng = rng
        self.nodes: list[onnx.NodeProto] = []
        self.held: list[onnx.TensorProto] = []
        self.shape: dict[str, tuple[int, ...]] = {"input": (batch, 3, size, size)}

    def pick(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def width(self, low: float, high: float) -> int:
        """Log-uniform; mostly a multiple of 16 or 8, now and then of 2."""
        step = self.pick(16, 16, 8, 8, 8, 2)
        value = np.exp(self.rng.uniform(np.log(low), np.log(high)))
        return int(max(step, round(value / step) * step))

    def const(self, value: Any) -> str:
        name = f"c{len(self.held)}"
        self.held.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def zeros(self, *shape: int) -> str:
        return self.const(np.zeros(shape, np.float32))

    def op(
        self, op: str, *inputs: str, shape: tuple[int, ...], outputs: int = 1, **attributes: Any
    ) -> str:
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
        return self.op("Add", x, y, shape=self.shape[x])

    def concat(self, *parts: str) -> str:
        n, _, *size = self.shape[parts[0]]
        channels = sum(self.shape[part][1] for part in parts)
        return self.op("Concat", *parts, shape=(n, channels, *size), axis=1)

    def pool(self, x: str, kind: str, k: int, stride: int, pad: int = 0) -> str:
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
        n, c, *_ = self.shape[x]
        y = self.op("GlobalAveragePool", x, shape=(n, c, 1, 1))
        y = self.op("Flatten", y, shape=(n, c), axis=1)
        y = self.linear(y, self.pick(10, 100, 1000, self.width(10, 2000)))
        return self.op("Softmax", y, shape=self.shape[y], axis=1) if self.pick(0, 1) else y

    def model(self, last: str) -> bytes:
        def info(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape[name])

        graph = helper.make_graph(self.nodes, "random", [info("input")], [info(last)], self.held)
        opsets = [helper.make_opsetid("", 17)]
        data: bytes = helper.make_model(
            graph, opset_imports=opsets, ir_version=8
        ).SerializeToString()
        return data


def random_network(seed: int, style: str | None = None, *, batch: int = 1) -> bytes:
    """An ONNX model drawn from ``seed``, in one of `STYLES`; the same for the same arguments."""
    rng = np.random.default_rng([seed, 0x5EED])
    size = int(rng.choice([96, 128, 160, 192, 224, 224, 256]))
    net = _Net(rng, batch, size)
    return net.model(STYLES[style_of(seed) if style is None else style](net))


def style_of(seed: int) -> str:
    """Styles take turns."""
    return list(STYLES)[seed % len(STYLES)]


def _residual(net: _Net) -> str:
    """ResNet, Wide ResNet, ResNeXt: He et al. 2016, figure 5; Xie et al. 2017, figure 3."""
    width, act = net.width(24, 96), net.pick("Relu", "Relu", "Silu", "LeakyRelu")
    x = net.act(net.conv("input", width, net.pick(3, 7), 2), act)
    if net.pick(0, 1):
        x = net.pool(x, "Max", 3, 2, 1)
    deep, group = net.pick(0, 1), net.pick(1, 1, 1, 4, 8, 32)
    for stage in range(net.pick(2, 3, 4)):
        mid = max(width * 2**stage // group, 2) * group
        out = mid * (net.pick(2, 4) if deep else 1)
        for block in range(net.pick(1, 2, 3)):
            stride = 2 if stage and not block else 1
            y = net.act(net.conv(x, mid, 1), act) if deep else x
            first = net.conv(y, mid, 3, stride, group if deep else 1)
            y = net.conv(net.act(first, act), out, 1 if deep else 3)
            same = net.shape[y] == net.shape[x]
            x = net.act(net.add(y, x if same else net.conv(x, out, 1, stride)), act)
    return net.head(x)


def _inverted(net: _Net) -> str:
    """MobileNetV2 and V3, MnasNet, EfficientNet: Sandler et al. 2018, figure 4."""
    act, kind = net.pick(*_ACTIVATIONS[:5]), net.pick("Sigmoid", "HardSigmoid")
    width, gated = net.width(12, 40), net.pick(0, 1)
    x = net.act(net.conv("input", width, 3, 2), act)
    for _ in range(net.pick(3, 4, 5)):
        width = max(8, round(width * net.rng.uniform(1.1, 1.9) / 8) * 8)
        expand, k = net.pick(1, 2, 3, 4, 6), net.pick(3, 3, 5, 7)
        for block in range(net.pick(1, 2, 3)):
            stride = net.pick(1, 2, 2) if not block else 1
            c = net.shape[x][1]
            mid = round(c * expand / 8) * 8
            y = net.act(net.conv(x, mid), act) if expand > 1 else x
            mid = net.shape[y][1]
            y = net.act(net.conv(y, mid, k, stride, mid), act)
            if gated:
                y = net.gate(y, kind)
            y = net.conv(y, width)
            x = net.add(y, x) if net.shape[y] == net.shape[x] else y
    return net.head(net.act(net.conv(x, net.width(256, 1536)), act))


def _plain(net: _Net) -> str:
    """AlexNet and VGG: Simonyan and Zisserman 2015, table 1."""
    width, x = net.width(24, 80), "input"
    for stage in range(net.pick(3, 4, 5)):
        k = net.pick(3, 3, 3, 5)
        for _ in range(net.pick(1, 2, 2)):
            x = net.act(net.conv(x, min(width * 2**stage, 512), k), "Relu")
        x = net.pool(x, net.pick("Max", "Max", "Average"), *net.pick((2, 2), (2, 2), (3, 2)))
    n, c, h, w = net.shape[x]
    y = net.op("Flatten", x, shape=(n, c * h * w), axis=1)
    most = max(16, 8_000_000 // (c * h * w))
    y = net.act(net.linear(y, min(most, net.width(128, 4096))), "Relu")
    return net.linear(net.act(net.linear(y, net.width(128, 2048)), "Relu"), 1000)


def _dense(net: _Net) -> str:
    """DenseNet: Huang et al. 2017, figure 1."""
    growth, act = net.width(12, 48), net.pick("Relu", "Relu", "LeakyRelu")
    x = net.act(net.conv("input", 2 * growth, 7, 2), act)
    x = net.pool(x, "Max", 3, 2, 1)
    for _ in range(net.pick(2, 3, 4)):
        for _ in range(net.pick(2, 3, 5)):
            y = net.conv(net.act(net.norm(x), act), 4 * growth)
            y = net.conv(net.act(y, act), growth, 3)
            x = net.concat(x, y)
        c = net.shape[x][1]
        x = net.conv(net.act(net.norm(x), act), max(8, c // 2))
        x = net.pool(x, "Average", 2, 2)
    return net.head(net.act(net.norm(x), act))


def _branches(net: _Net) -> str:
    """SqueezeNet, GoogLeNet, Inception: Szegedy et al. 2015, figure 2; Iandola et al. 2016."""
    x = net.act(net.conv("input", net.width(24, 96), net.pick(3, 7), 2), "Relu")
    x = net.pool(x, "Max", 3, 2, net.pick(0, 1))
    for _ in range(net.pick(2, 3, 4)):
        fire = net.pick(0, 1)
        for _ in range(net.pick(1, 2)):
            one, big = net.width(16, 192), net.width(24, 256)
            if fire:
                y = net.act(net.conv(x, one), "Relu")
                sides = [net.act(net.conv(y, big, k), "Relu") for k in (1, 3)]
            else:
                sides = [net.act(net.conv(x, one), "Relu")]
                y = net.act(net.conv(x, net.width(16, 128)), "Relu")
                sides.append(net.act(net.conv(y, big, net.pick(3, 5)), "Relu"))
                y = net.act(net.conv(x, net.width(16, 128)), "Relu")
                y = net.act(net.conv(y, net.shape[y][1], 1, wide=7), "Relu")
                sides.append(net.act(net.conv(y, big, 7, wide=1), "Relu"))
                y = net.pool(x, net.pick("Max", "Average"), 3, 1, 1)
                sides.append(net.act(net.conv(y, one), "Relu"))
            x = net.concat(*sides)
        x = net.pool(x, "Max", 3, 2, net.pick(0, 1))
    return net.head(x)


def _shuffle(net: _Net) -> str:
    """ShuffleNetV2: Ma et al. 2018, figure 3."""
    x = net.pool(net.act(net.conv("input", 24, 3, 2), "Relu"), "Max", 3, 2, 1)
    for _ in range(net.pick(2, 3)):
        # published widths such as 58 fit no vector, so that other kernels run
        half, k = net.pick(net.width(24, 160), 2 * int(net.rng.integers(12, 80))), net.pick(3, 3, 5)
        for block in range(net.pick(2, 3)):
            n, c, *size = net.shape[x]
            if block:
                y = net.op("Split", x, shape=(n, c // 2, *size), outputs=2, axis=1)
                left, right, stride = y, f"{y}.1", 1
            else:
                left = net.conv(net.conv(x, c, k, 2, c), half)
                left, right, stride = net.act(left, "Relu"), x, 2
            y = net.act(net.conv(right, half), "Relu")
            y = net.act(net.conv(net.conv(y, half, k, stride, half), half), "Relu")
            x = net.concat(left, y)
            n, c, *size = net.shape[x]
            apart = (n, 2, c // 2, *size)
            y = net.op("Reshape", x, net.const(np.array(apart)), shape=apart)
            mixed = (n, c // 2, 2, *size)
            y = net.op("Transpose", y, shape=mixed, perm=[0, 2, 1, 3, 4])
            x = net.op("Reshape", y, net.const(np.array([n, c, *size])), shape=(n, c, *size))
    return net.head(net.act(net.conv(x, net.width(256, 1024)), "Relu"))


def _attention(net: _Net) -> str:
    """ViT: Dosovitskiy et al. 2021, figure 1."""
    heads = net.pick(3, 4, 6, 8)
    width, patch = heads * net.pick(16, 32, 64), net.pick(14, 16, 32)
    n, _, size, _ = net.shape["input"]
    side = (size - patch) // patch + 1
    weights = (net.zeros(width, 3, patch, patch), net.const(np.full(width, 0.5, np.float32)))
    shape: tuple[int, ...] = (n, width, side, side)
    window = [patch, patch]
    x = net.op("Conv", "input", *weights, shape=shape, kernel_shape=window, strides=window)
    tokens, deep = side * side, width // heads
    x = net.op("Reshape", x, net.const(np.array([n, width, tokens])), shape=(n, width, tokens))
    x = net.op("Transpose", x, shape=(n, tokens, width), perm=[0, 2, 1])

    def split_heads(y: str, perm: list[int]) -> str:
        apart = (n, tokens, heads, deep)
        y = net.op("Reshape", y, net.const(np.array(apart)), shape=apart)
        return net.op("Transpose", y, shape=tuple(apart[i] for i in perm), perm=perm)

    def norm(y: str) -> str:
        parts = [net.const(np.full(width, v, np.float32)) for v in (1, 0.5)]
        return net.op("LayerNormalization", y, *parts, shape=net.shape[y], axis=-1)

    for _ in range(net.pick(1, 2)):
        y = norm(x)
        q = split_heads(net.linear(y, width), [0, 2, 1, 3])
        k = split_heads(net.linear(y, width), [0, 2, 3, 1])
        v = split_heads(net.linear(y, width), [0, 2, 1, 3])
        scores = net.op("MatMul", q, k, shape=(n, heads, tokens, tokens))
        scores = net.op("Mul", scores, net.const(np.float32(deep**-0.5)), shape=net.shape[scores])
        scores = net.op("Softmax", scores, shape=net.shape[scores], axis=-1)
        y = net.op("MatMul", scores, v, shape=(n, heads, tokens, deep))
        y = net.op("Transpose", y, shape=(n, tokens, heads, deep), perm=[0, 2, 1, 3])
        y = net.op("Reshape", y, net.const(np.array([n, tokens, width])), shape=(n, tokens, width))
        x = net.add(x, net.linear(y, width))
        y = net.linear(norm(x), width * net.pick(2, 4))
        x = net.add(x, net.linear(net.act(y, "Gelu"), width))
    y = net.op("ReduceMean", norm(x), shape=(n, width), axes=[1], keepdims=0)
    return net.linear(y, 1000)


def _pyramid(net: _Net) -> str:
    """U-Net and its kin: Ronneberger et al. 2015, figure 1."""
    width, act = net.width(12, 40), net.pick(*_ACTIVATIONS)
    x = net.act(net.conv("input", width, 3), act)
    kept: list[str] = []
    for level in range(net.pick(2, 3)):
        kept.append(x)
        x = net.pool(x, "Max", 2, 2)
        x = net.act(net.conv(x, width * 2 ** (level + 1), 3), act)
    mode = net.pick("nearest", "linear")
    for other in reversed(kept):
        n, c, *_ = net.shape[x]
        size = net.shape[other][2:]
        scale = net.const(np.array([1, 1, 2, 2], np.float32))
        x = net.op(
            "Resize",
            x,
            "",
            scale,
            shape=(n, c, *size),
            mode=mode,
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        x = net.act(net.conv(net.concat(x, other), net.shape[other][1], 3), act)
    return net.act(net.conv(x, net.pick(1, 2, 21)), "Sigmoid")


def _loose(net: _Net) -> str:
    """No published network: operators that others fuse, each standing alone."""
    x = net.conv("input", net.width(8, 64), 3, net.pick(1, 2))
    for _ in range(net.pick(2, 3)):
        x = net.conv(x, net.width(8, 128), net.pick(1, 3), net.pick(1, 2))
        n, c, *size = net.shape[x]
        for at in net.rng.permutation(len(_UNARY))[:4]:
            x = net.op(_UNARY[at], x, shape=net.shape[x])
        x = net.act(net.add(x, net.op("Abs", x, shape=net.shape[x])), "Clip")
        for kind in ("Sub", "Div", "Mul", "Add", "Max"):
            other = net.const(np.full((1, c, 1, 1), 0.7, np.float32))
            y = net.op(kind, x, other, shape=net.shape[x])
            x = net.op(kind, x, y, shape=net.shape[x]) if net.pick(0, 1) else y
        slope = net.const(np.full((c, 1, 1), 0.1, np.float32))
        x = net.op("PRelu", x, slope, shape=net.shape[x])
        if c > 1 and min(size) > 4:
            ones = [net.const(np.ones(c, np.float32)) for _ in range(2)]
            x = net.op("InstanceNormalization", x, *ones, shape=net.shape[x])
            x = net.op("LRN", x, shape=net.shape[x], size=5)
            padded = (n, c, size[0] + 2, size[1] + 2)
            pads = net.const(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
            y = net.op("Pad", x, pads, shape=padded)
            ends = (net.const(np.array([1, 1])), net.const(np.array([size[0] + 1, size[1] + 1])))
            x = net.op("Slice", y, *ends, net.const(np.array([2, 3])), shape=net.shape[x])
    n, c, *size = net.shape[x]
    out = net.width(8, 64)
    weight = net.zeros(c, out, 2, 2)
    wide = (n, out, 2 * size[0], 2 * size[1])
    window = [2, 2]
    y = net.op("ConvTranspose", x, weight, shape=wide, kernel_shape=window, strides=window)
    y = net.op("ReduceMean", y, shape=(n, out), axes=[2, 3], keepdims=0)
    y = net.op("Softmax", y, shape=(n, out), axis=1)
    return net.linear(y, net.width(10, 1000))


#: Style -> what writes such a network and returns its output tensor.
STYLES: dict[str, Callable[[_Net], str]] = {
    "residual": _residual,
    "inverted": _inverted,
    "plain": _plain,
    "dense": _dense,
    "branches": _branches,
    "shuffle": _shuffle,
    "attention": _attention,
    "pyramid": _pyramid,
    "loose": _loose,
}
