"""Random networks that end in maps or boxes, and those of large or transposed kernels."""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph

__all__ = ["HEADS"]


def _backbone(net: DrawnGraph, strides: int) -> str:
    act = net.pick("Relu", "Silu", "HardSwish", "LeakyRelu")
    x = net.act(net.conv("input", net.width(12, 32), 3, 2), act)
    for _ in range(strides - 1):
        c = net.shape[x][1]
        if net.pick(0, 1):
            x = net.act(net.conv(x, c, net.pick(3, 5), 2, c), act)
            x = net.act(net.conv(x, net.width(c, 3 * c)), act)
        else:
            x = net.act(net.conv(x, net.width(c, 2.5 * c), 3, 2), act)
    return x


def _atrous(net: DrawnGraph) -> str:
    """DeepLab: Chen et al. 2017, figure 5; dilated branches and a pooled one, joined."""
    x = _backbone(net, net.pick(3, 4))
    n, c, *size = net.shape[x]
    out = net.width(32, 256)
    separable = net.pick(0, 0, 1)
    for _ in range(net.pick(0, 1, 2)):
        y = net.act(net.conv(x, c, 3, 1, c if net.pick(0, 1) else 1, dilation=2), "Relu")
        x = net.add(x, y)
    branches = [net.act(net.conv(x, out), "Relu")]
    for rate in sorted(net.rng.choice([2, 3, 4, 6, 12, 18, 24], 2, replace=False).tolist()):
        y = net.conv(x, c, 3, 1, c, dilation=rate) if separable else x
        y = net.conv(y, out) if separable else net.conv(y, out, 3, dilation=rate)
        branches.append(net.act(y, "Relu"))
    y = net.op("GlobalAveragePool", x, shape=(n, c, 1, 1))
    y = net.act(net.conv(y, out), "Relu")
    branches.append(_resized(net, y, size, "linear"))
    y = net.act(net.conv(net.concat(*branches), out), "Relu")
    y = net.conv(y, net.pick(2, 21))
    return _resized(net, y, net.shape["input"][2:], net.pick("linear", "linear", "nearest"))


def _resized(net: DrawnGraph, x: str, size: list[int] | tuple[int, ...], mode: str) -> str:
    n, c, *_ = net.shape[x]
    sizes = net.const(np.array([n, c, *size]))
    how = net.pick("half_pixel", "align_corners") if mode == "linear" else "asymmetric"
    return net.op(
        "Resize",
        x,
        "",
        "",
        sizes,
        shape=(n, c, *size),
        mode=mode,
        coordinate_transformation_mode=how,
        nearest_mode="floor",
    )


def _boxes(net: DrawnGraph) -> str:
    """One-stage detectors: maps of several sizes, joined, and the best of all places picked."""
    x = _backbone(net, net.pick(3, 4))
    classes = net.pick(1, 20, 80)
    rows = []
    for _ in range(net.pick(1, 2, 3)):
        y = net.act(net.conv(x, net.width(16, 96), 3), "Silu")
        y = net.conv(y, 4 + classes)
        n, c, high, wide = net.shape[y]
        flat = (n, c, high * wide)
        rows.append(net.op("Reshape", y, net.const(np.array(flat)), shape=flat))
        if min(high, wide) < 8:
            break
        x = net.act(net.conv(x, net.width(24, 160), 3, 2), "Silu")
    places = sum(net.shape[row][2] for row in rows)
    n = net.batch
    y = net.op("Concat", *rows, shape=(n, 4 + classes, places), axis=2)
    y = net.op("Transpose", y, shape=(n, places, 4 + classes), perm=[0, 2, 1])
    sizes = net.const(np.array([4, classes]))
    both = net.op("Split", y, sizes, shape=(n, places, 4), outputs=2, axis=2)
    scores = f"{both}.1"
    net.shape[scores] = (n, places, classes)
    scores = net.op("Sigmoid", scores, shape=net.shape[scores])
    best = net.op("ReduceMax", scores, shape=(n, places), axes=[2], keepdims=0)
    count = min(places, net.pick(100, 300))
    top = net.op("TopK", best, net.const(np.array([count])), shape=(n, count), outputs=2, axis=1)
    where = f"{top}.1"
    net.kind[where] = TensorProto.INT64
    deep = (n, count, 1)
    where = net.op("Unsqueeze", where, net.const(np.array([2])), shape=deep, kind=TensorProto.INT64)
    wide_where = (n, count, 4)
    where = net.op(
        "Expand", where, net.const(np.array(wide_where)), shape=wide_where, kind=TensorProto.INT64
    )
    return net.op("GatherElements", both, where, shape=wide_where, axis=1)


def _large(net: DrawnGraph) -> str:
    """ConvNeXt and RepLKNet: Liu et al. 2022, figure 4; Ding et al. 2022, table 1."""
    width, patch = net.width(24, 96), net.pick(2, 4)
    x = net.patches(width, patch)
    for _ in range(net.pick(2, 3, 4)):
        c = net.shape[x][1]
        y = net.conv(x, c, net.pick(7, 9, 13, 21, 31), 1, c)
        y = net.act(net.conv(y, c * net.pick(1, 2, 4)), net.pick("Gelu", "Relu"))
        x = net.add(x, net.conv(y, c))
        if net.shape[x][2] > 14 and net.pick(0, 1):
            x = net.conv(x, 2 * c, 2, 2)
    return net.head(x)


def _upwards(net: DrawnGraph) -> str:
    """Decoders and generators of transposed convolutions: Radford et al. 2016, figure 1."""
    x = _backbone(net, net.pick(3, 4))
    for _ in range(net.pick(2, 3)):
        n, c, *size = net.shape[x]
        out, k = net.width(max(4, c / 3), c), net.pick(2, 3, 4)
        group = c if net.pick(0, 0, 0, 1) else 1
        out = c if group == c else out
        pads = (k - 2) // 2
        shape = (n, out, *(2 * s + k - 2 - 2 * pads for s in size))
        x = net.op(
            "ConvTranspose",
            x,
            net.zeros(c, out // group, k, k),
            net.const(np.full(out, 0.5, np.float32)),
            shape=shape,
            kernel_shape=[k] * 2,
            strides=[2] * 2,
            pads=[pads] * 4,
            group=group,
        )
        x = net.act(net.norm(x) if net.pick(0, 1) else x, net.pick("Relu", "LeakyRelu"))
    return net.op("Tanh", net.conv(x, 3, 3), shape=(net.batch, 3, *net.shape[x][2:]))


HEADS: dict[str, Callable[[DrawnGraph], str]] = {
    "atrous": _atrous,
    "boxes": _boxes,
    "large kernels": _large,
    "upwards": _upwards,
}
