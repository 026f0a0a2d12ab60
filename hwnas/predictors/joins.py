"""What joins the slots of a network: sums and concatenations, which belong to no workload."""

from collections.abc import Sequence
from functools import cache
from math import prod

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.ops import Shape, Workload
from hwnas.spaces import Layout, SearchSpace

__all__ = ["JOINS", "joined_bytes"]

#: The group that joins make beside those of workloads.
JOINS = "joins"
_FLOAT = 4  # bytes
#: Architectures that the mean is of.
_SOME = 16


def joined_bytes(space: SearchSpace, archs: IntArray) -> FloatArray:
    """Bytes that the joins of architectures (n, n_decisions) move at fp32 and batch 1, (n,).

    Of cells of edges the dead ones are left out, as runtimes do. In other layouts all architectures
    are taken to join as much, the mean of some. So they do where workloads are sums over decisions;
    elsewhere what differs is mostly told by the workloads behind a join.
    """
    layout = space.layout
    if layout.sequential:
        return np.zeros(len(archs))
    if layout.cell is None:
        some = space.sample(1 if space.additive else _SOME, seed=0)
        return np.full(len(archs), np.mean([_bytes_of(layout, arch) for arch in some.tolist()]))
    live = space.live(archs)
    _, first, of = np.unique(
        live != np.array(layout.cell.zero), axis=0, return_index=True, return_inverse=True
    )
    known = np.array([_bytes_of(layout, live[at].tolist()) for at in first], np.float64)
    values: FloatArray = known[of.reshape(-1)]
    return values


def _bytes_of(layout: Layout, arch: Sequence[int]) -> int:
    """Of one network: each join reads its terms and writes its value; zeros are left out."""
    path = layout.path(arch)
    moved = 0

    def run(at: int, x: Shape | None) -> Shape | None:
        choice = path[at]
        assert choice is not None
        workload = layout.slots[at].workloads[choice]
        return None if x is None or _gives_zeros(workload) else _given(workload)

    def add(name: str, terms: Sequence[Shape | None]) -> Shape | None:
        nonlocal moved
        some = [term for term in terms if term is not None]
        if some:  # a model adds two at a time
            moved += _FLOAT * 3 * (len(some) - 1) * prod(some[0])
        return some[0] if some else None

    def concat(name: str, parts: Sequence[Shape | None]) -> Shape | None:
        nonlocal moved
        some = [part for part in parts if part is not None]
        if not some:
            return None
        channels = sum(part[0] for part in some)
        moved += _FLOAT * 2 * channels * prod(some[0][1:])
        return (channels, *some[0][1:])

    start: Shape | None = layout.input_shape
    layout.wire(path, start, run, add, concat)
    return moved


@cache
def _given(workload: Workload) -> Shape:
    return workload.graph().nodes[-1].shape


@cache
def _gives_zeros(workload: Workload) -> bool:
    return workload.graph().nodes[-1].kind == "zero"
