"""Single nodes that only move numbers, or pick and mix neighbours."""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from hwnas.profilers.drawn_graph import DrawnGraph
from hwnas.profilers.loose.sizes import MOST, any_image, any_shape

__all__ = ["MOVES"]

_INT64 = TensorProto.INT64
_FLOAT = TensorProto.FLOAT
#: Rank -> how axes are exchanged.
_ORDERS: dict[int, list[tuple[int, ...]]] = {
    2: [(1, 0)],
    3: [(0, 2, 1), (1, 0, 2)],
    4: [(0, 2, 1, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2), (0, 2, 1, 3)],
}


def _transposed(net: DrawnGraph) -> str:
    shape = any_shape(net)
    order: tuple[int, ...] = net.pick(*_ORDERS[len(shape)])
    kind = net.pick(_FLOAT, _FLOAT, _FLOAT, TensorProto.UINT8)
    new = tuple(shape[at] for at in order)
    return net.op("Transpose", net.take(*shape, kind=kind), shape=new, kind=kind, perm=order)


def _joined(net: DrawnGraph) -> str:
    shape = list(any_shape(net, MOST / 2))
    axis = net.pick(*range(1, len(shape)))
    parts: list[str] = []
    total = 0
    for _ in range(net.pick(2, 2, 3, 4, 5)):
        size = net.pick(shape[axis], shape[axis], net.size(1, shape[axis] + 1))
        parts.append(net.take(*shape[:axis], size, *shape[axis + 1 :]))
        total += size
    return net.op("Concat", *parts, shape=(*shape[:axis], total, *shape[axis + 1 :]), axis=axis)


def _cut(net: DrawnGraph) -> str:
    shape = list(any_shape(net))
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
    kind, shape = net.pick("Pad", "Pad", "Expand", "Tile"), any_shape(net, MOST / 4)
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
    shape = any_shape(net)
    axis = net.pick(*range(1, len(shape)))
    if net.pick(0, 1):  # one place of an axis
        left = (*shape[:axis], *shape[axis + 1 :])
        return net.op("Gather", net.take(*shape), net.const(np.array(0)), shape=left, axis=axis)
    count = net.size(1, 300)
    part = (*shape[:axis], count, *shape[axis + 1 :])
    if np.prod(part) > MOST:
        return net.op("Neg", net.take(*shape), shape=shape)
    where = net.take(*part, kind=_INT64, below=shape[axis])
    return net.op("GatherElements", net.take(*shape), where, shape=part, axis=axis)


def _resized(net: DrawnGraph) -> str:
    mode = net.pick("nearest", "linear", "linear", "cubic")
    n, c, *size = any_image(net, MOST / 400 if mode == "cubic" else MOST / 4)  # 100 times as long
    times = net.pick(0.5, 2, 2, 4, 1.5)
    new = [max(1, round(times * s)) for s in size]
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
    shape = any_image(net)
    x = net.take(*shape)
    if net.pick(0, 1):
        return net.op("GlobalAveragePool", x, shape=(*shape[:2], 1, 1))
    k = net.pick(2, 3, 3, 5)
    if min(shape[2:]) <= k:
        return net.op("GlobalAveragePool", x, shape=(*shape[:2], 1, 1))
    return net.pool(x, net.pick("Max", "Average"), k, net.pick(1, 2, 2), net.pick(0, k // 2))


def _moved(net: DrawnGraph) -> str:
    n, c, *size = any_image(net, MOST / 2)
    if net.pick(0, 1):
        c = -(-c // 4) * 4
        wide = (n, c // 4, *(2 * s for s in size))
        return net.op("DepthToSpace", net.take(n, c, *size), shape=wide, blocksize=2)
    even = [s // 2 * 2 for s in size]
    deep = (n, 4 * c, *(s // 2 for s in even))
    return net.op("SpaceToDepth", net.take(n, c, *even), shape=deep, blocksize=2)


#: What draws a node, and how often in each graph.
MOVES: dict[Callable[[DrawnGraph], str], int] = {
    _transposed: 4,
    _joined: 3,
    _cut: 4,
    _widened: 3,
    _looked_up: 3,
    _resized: 2,
    _pooled: 3,
    _moved: 1,
}
