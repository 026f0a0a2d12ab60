"""What joins the slots of a network: sums and concatenations, which belong to no workload."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import workload_costs
from hwnas.ops import Shape, Workload
from hwnas.spaces import Layout, SearchSpace

__all__ = ["JOINS", "MAPS", "JoinedBytes"]

#: The groups that joins make beside those of workloads: values that differ from image to image, and
#: maps that are added to them.
JOINS = "joins"
MAPS = "maps"
_FLOAT = 4  # bytes
#: Architectures that the mean is of.
_SOME = 16


@dataclass(frozen=True, eq=False)
class JoinedBytes:
    """Bytes that the joins of architectures move at fp32 and batch 1, each wiring walked once.

    Of cells of edges those that lead nowhere are left out. What reads zeros gives the same for all
    images: it is added to the shift of a batch-norm of the same sum, or, where there is none, as a
    map, in a layout of its own (see `hwnas.onnx_graph.constants`). In other layouts all
    architectures are taken to join as much as the mean of some: there, workloads are sums over
    decisions, or the workloads behind a join tell most of what differs.

    Attributes:
        space: of the architectures.
    """

    space: SearchSpace
    _known: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict, init=False)

    def __call__(self, archs: IntArray) -> FloatArray:
        """Bytes (n, 2) of architectures (n, n_decisions): of `JOINS` and of `MAPS`."""
        layout = self.space.layout
        if layout.sequential:
            return np.zeros((len(archs), 2))
        if layout.cell is None:
            return np.repeat(self._mean[None], len(archs), axis=0)
        alike = _alike(layout, layout.cell.leading(self.space.check(archs)))
        distinct, of = np.unique(alike, axis=0, return_inverse=True)
        moved = np.array([self._moved(tuple(arch)) for arch in distinct.tolist()], np.float64)
        values: FloatArray = moved[of.reshape(-1)]
        return values

    @property
    def _mean(self) -> FloatArray:
        some = self.space.sample(1 if self.space.additive else _SOME, seed=0)
        mean: FloatArray = np.mean([self._moved(tuple(arch)) for arch in some.tolist()], axis=0)
        return mean

    def _moved(self, arch: tuple[int, ...]) -> tuple[int, int]:
        if arch not in self._known:
            self._known[arch] = _bytes_of(self.space.layout, arch)
        return self._known[arch]


def _alike(layout: Layout, archs: IntArray) -> IntArray:
    """The architectures with one operator for all that join alike."""
    columns = []
    for decision, column in enumerate(archs.T):
        slot = next(slot for slot in layout.slots if slot.decision == decision)
        kinds = [(_has_weights(w), _gives_zeros(w), _ends_in_norm(w)) for w in slot.workloads]
        columns.append(np.array([kinds.index(kind) for kind in kinds])[column])
    return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class _Value:
    """What flows through a network.

    Attributes:
        shape: channels, height, width.
        varies: whether it differs from image to image.
        takes: whether it leaves a batch-norm, which takes in what does not vary.
    """

    shape: Shape
    varies: bool
    takes: bool = False


def _bytes_of(layout: Layout, arch: Sequence[int]) -> tuple[int, int]:
    """Of one network: each join reads its terms and writes its value; None are zeros, left out."""
    path = layout.path(arch)
    moved = mapped = 0

    def run(at: int, x: _Value | None) -> _Value | None:
        choice = path[at]
        assert choice is not None
        workload = layout.slots[at].workloads[choice]
        if _gives_zeros(workload) or (x is None and not _has_weights(workload)):
            return None
        return _Value(_given(workload), x is not None and x.varies, _ends_in_norm(workload))

    def add(name: str, terms: Sequence[_Value | None]) -> _Value | None:
        nonlocal moved, mapped
        some = [term for term in terms if term is not None]
        if not some:
            return None
        varying = [term for term in some if term.varies]
        if varying:  # a model adds two at a time
            moved += _FLOAT * 3 * (len(varying) - 1) * prod(some[0].shape)
            if not any(term.takes for term in varying):
                mapped += _FLOAT * 3 * (len(some) - len(varying)) * prod(some[0].shape)
        return _Value(some[0].shape, bool(varying))

    def concat(name: str, parts: Sequence[_Value | None]) -> _Value | None:
        nonlocal moved
        some = [part for part in parts if part is not None]
        if not some:
            return None
        shape = (sum(part.shape[0] for part in some), *some[0].shape[1:])
        varies = any(part.varies for part in some)
        moved += _FLOAT * 2 * prod(shape) * varies
        return _Value(shape, varies)

    start: _Value | None = _Value(layout.input_shape, True)
    layout.wire(path, start, run, add, concat)
    return moved, mapped


@cache
def _has_weights(workload: Workload) -> bool:
    """Whether the workload has parameters: without, it runs once for all that want the same."""
    return workload_costs(workload)["params"] > 0


@cache
def _given(workload: Workload) -> Shape:
    return workload.graph().nodes[-1].shape


@cache
def _gives_zeros(workload: Workload) -> bool:
    return workload.graph().nodes[-1].kind == "zero"


@cache
def _ends_in_norm(workload: Workload) -> bool:
    return workload.graph().nodes[-1].kind == "batch_norm"
