"""Random networks in the styles that people deploy: where kernels to measure come from.

Widths, depths, kernels, activations and sizes are drawn.
"""

from collections.abc import Callable

import numpy as np

from hwnas.profilers.drawn_graph import DrawnGraph
from hwnas.profilers.loose import draw_loose
from hwnas.profilers.quantised_graph import DynamicGraph, StaticGraph
from hwnas.profilers.random_heads import HEADS
from hwnas.profilers.random_sequences import SEQUENCES

__all__ = ["LOOSE", "STYLES", "random_network", "style_of"]

#: No style: single nodes, each by itself.
LOOSE = "loose"

_ACTIVATIONS = ("Relu", "Relu", "Clip", "HardSwish", "Silu", "LeakyRelu", "Sigmoid", "Gelu")


def random_network(seed: int, style: str | None = None, *, batch: int = 1) -> bytes:
    """An ONNX model drawn from ``seed``, in one of `STYLES`; the same for the same arguments."""
    rng = np.random.default_rng([seed, 0x5EED])
    size = int(rng.choice([96, 128, 160, 192, 224, 224, 256]))
    style = style or style_of(seed)
    if style == LOOSE:
        loose = DrawnGraph(rng, batch, size)
        return loose.model(*draw_loose(loose))
    net = _GRAPHS.get(style, DrawnGraph)(rng, batch, size)
    return net.model(STYLES[style](net))


def style_of(seed: int) -> str:
    """Styles take turns."""
    return list(STYLES)[seed % len(STYLES)]


def _residual(net: DrawnGraph) -> str:
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


def _inverted(net: DrawnGraph) -> str:
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


def _plain(net: DrawnGraph) -> str:
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


def _dense(net: DrawnGraph) -> str:
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


def _branches(net: DrawnGraph) -> str:
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


def _shuffle(net: DrawnGraph) -> str:
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


def _attention(net: DrawnGraph) -> str:
    """ViT: Dosovitskiy et al. 2021, figure 1."""
    heads = net.pick(3, 4, 6, 8)
    width, patch = heads * net.pick(16, 32, 64), net.pick(14, 16, 32)
    n, _, size, _ = net.shape["input"]
    x = net.patches(width, patch)
    tokens, deep = (size // patch) ** 2, width // heads
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


def _pyramid(net: DrawnGraph) -> str:
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


def _any_of_images(net: DrawnGraph) -> str:
    """One of those that people quantise."""
    draw: Callable[[DrawnGraph], str] = net.pick(_residual, _inverted, _inverted, _attention)
    return draw(net)


#: Style -> what writes such a network and returns its output tensor.
STYLES: dict[str, Callable[[DrawnGraph], str]] = {
    "residual": _residual,
    "inverted": _inverted,
    "plain": _plain,
    "dense": _dense,
    "branches": _branches,
    "shuffle": _shuffle,
    "attention": _attention,
    "pyramid": _pyramid,
    "quantised": _any_of_images,
    "quantised in each run": _any_of_images,
    **SEQUENCES,
    **HEADS,
}
#: Styles whose numbers are bytes.
_GRAPHS = {"quantised": StaticGraph, "quantised in each run": DynamicGraph}
