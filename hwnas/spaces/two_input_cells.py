"""Networks of cells that each read the two cells before them (NASNet, DARTS, NAO).

State 0 of a cell is the output of the cell before the last, state 1 that of the last one, both
brought to the size and channels of the cell; states from 2 on are its nodes. A node is the sum of
the operators that lead into it. In a reduction cell the channels double, and what reads state 0 or
1 has stride 2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TypeVar

import numpy as np

from hwnas.arrays import IntArray
from hwnas.ops import FactorizedReduction, LinearHead, Op, ReLUConvBN, Shape, Stem
from hwnas.spaces.cell_output import Output
from hwnas.spaces.cells import Strings
from hwnas.spaces.layout import Decision, Join, Path, Run, Slot, slot_for

__all__ = ["CellEdge", "CellPlan", "TwoInputCells", "at_thirds"]

T = TypeVar("T")

_STEM, _HEAD = Stem(3, relu6=0), LinearHead()
#: Channels of the stem over those of the first cell.
_STEM_TIMES = 3


@dataclass(frozen=True)
class CellEdge:
    """A place in every cell where an operator may lead from a state to a node.

    Attributes:
        name: unique among those into one node.
        source: the state that is read.
        target: the node that it is added to, 2 or more.
        decision: that says what stands there, counted from the first of the cell's decisions.
        ops: that may stand there; where one does not fit stride 2, a factorised reduction does.
        picks: see `Slot.picks`.
    """

    name: str
    source: int
    target: int
    decision: int
    ops: tuple[Op, ...]
    picks: tuple[int | None, ...] | None = None


@dataclass(frozen=True)
class CellPlan:
    """One cell of a network.

    Attributes:
        reduces: whether it halves the size and doubles the channels.
        decisions: the first of its own; cells of equal decisions share them.
    """

    reduces: bool
    decisions: int


@dataclass(frozen=True)
class _Cell:
    """A cell in its place.

    Attributes:
        plan: what kind of cell it is.
        inputs: for states 0 and 1 what brings them to the cell's size and channels, or None.
        edges, output: the other slots.
    """

    plan: CellPlan
    inputs: tuple[Slot | None, Slot | None]
    edges: tuple[Slot, ...]
    output: tuple[Slot, ...]


@dataclass(frozen=True)
class TwoInputCells:
    """A `Layout`: a stem, cells that read the two before them, pooling and a linear layer.

    Attributes:
        input_shape: channels, height and width of the image.
        classes: outputs of the head.
        channels: of the nodes of the first cell.
        plans: of each cell.
        decisions: of all cells.
        edges: of each cell, those into lower nodes first.
        output: what a cell gives.
        strings: how architectures are written.
        additive: see `Layout.additive`.
        always_fitted: whether a ReLU, 1x1 and batch-norm stand before a cell even where size and
            channels fit.
        swaps: pairs of decisions that may change places: both add what they choose to one node.
    """

    input_shape: Shape
    classes: int
    channels: int
    plans: tuple[CellPlan, ...]
    decisions: tuple[Decision, ...]
    edges: tuple[CellEdge, ...]
    output: Output
    strings: Strings
    additive: bool = True
    always_fitted: bool = True
    swaps: tuple[tuple[int, int], ...] = ()

    @property
    def sequential(self) -> bool:
        """Never: a cell reads two."""
        return False

    @property
    def cell(self) -> None:
        """None: every node is part of the output, so that no edge is dead."""
        return None

    @cached_property
    def auxiliary(self) -> str | None:
        """The name of the last reduction's output, which an auxiliary head reads."""
        reductions = [at for at, plan in enumerate(self.plans) if plan.reduces]
        return f"cells.{reductions[-1]}.output" if reductions else None

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The stem; each cell's inputs, edges and output; the head."""
        stem, head = self._ends
        slots = [stem]
        for cell in self._cells:
            inputs = (slot for slot in cell.inputs if slot is not None)
            slots += [*inputs, *cell.edges, *cell.output]
        return (*slots, head)

    def canonical(self, archs: IntArray) -> IntArray:
        """See `SearchSpace.canonical`: the smaller choice first of two that may change places."""
        written = archs.copy()
        for pair in self.swaps:
            written[:, pair] = np.sort(archs[:, pair], axis=1)
        return written

    def path(self, arch: Sequence[int]) -> Path:
        """What is chosen on each edge, and what an output makes of its cell's choices."""
        inside = {plan: self._path_inside(plan, arch) for plan in set(self.plans)}
        path: list[int | None] = [0]
        for cell in self._cells:
            path += [0 for slot in cell.inputs if slot is not None]
            path += inside[cell.plan]
        return (*path, 0)

    def _path_inside(self, plan: CellPlan, arch: Sequence[int]) -> Path:
        """What runs behind the inputs of a cell; equal in all cells of one plan."""
        choices = arch[plan.decisions :]
        chosen = ((edge.picks, choices[edge.decision]) for edge in self.edges)
        edges = (choice if picks is None else picks[choice] for picks, choice in chosen)
        return (*edges, *self.output.path(choices, plan.reduces))

    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        """Let the image through the stem, the cells and the head."""
        slots = iter(range(len(path)))
        before = last = run(next(slots), x)
        for at, cell in enumerate(self._cells):
            states = [
                state if slot is None else run(next(slots), state)
                for state, slot in zip((before, last), cell.inputs, strict=True)
            ]
            for target, edges in groupby(self.edges, lambda edge: edge.target):
                terms = [
                    run(slot, states[edge.source])
                    for edge, slot in zip(edges, slots, strict=False)
                    if path[slot] is not None
                ]
                states.append(add(f"cells.{at}.node{target}", terms))
            own = [next(slots) for _ in cell.output]
            chosen = tuple(path[slot] for slot in own)
            out = self.output.wire(f"cells.{at}.output", own, chosen, states, run, concat)
            before, last = last, out
        return run(next(slots), last)

    def parse(self, text: str) -> list[int]:
        """Read an architecture in one of the space's own forms."""
        return self.strings.parse(text)

    def format(self, arch: Sequence[int]) -> str:
        """Print an architecture in the space's own form."""
        return self.strings.format(arch)

    @cached_property
    def _ends(self) -> tuple[Slot, Slot]:
        """The stem and the head."""
        stem, _ = slot_for("stem", [_STEM], self.input_shape, _STEM_TIMES * self.channels)
        *_, last = self._shapes()
        return stem, slot_for("head", [_HEAD], last, self.classes)[0]

    def _shapes(self) -> Iterator[Shape]:
        """What is given by the stem twice, as if it were two cells, and by each cell."""
        _, height, width = self.input_shape
        yield from [(_STEM_TIMES * self.channels, height, width)] * 2
        channels = self.channels
        for plan in self.plans:
            if plan.reduces:
                channels, height, width = 2 * channels, height // 2, width // 2
            yield self.output.channels(channels), height, width

    @cached_property
    def _cells(self) -> tuple[_Cell, ...]:
        shapes = list(self._shapes())
        cells = []
        channels = self.channels
        for at, plan in enumerate(self.plans):
            channels *= 2 if plan.reduces else 1
            before, last, out = shapes[at : at + 3]
            inside, outside = (channels, *last[1:]), (channels, *out[1:])
            name = f"cells.{at}"
            inputs = [
                self._input(f"{name}.input{state}", source, inside)
                for state, source in enumerate((before, last))
            ]
            edges = tuple(
                _edge_slot(f"{name}.node{edge.target}.{edge.name}", edge, plan, inside, outside)
                for edge in self.edges
            )
            output = self.output.slots(f"{name}.output", inside, outside)
            cells.append(_Cell(plan, (inputs[0], inputs[1]), edges, output))
        return tuple(cells)

    def _input(self, name: str, source: Shape, inside: Shape) -> Slot | None:
        """What brings an earlier output to the size and channels of a cell."""
        if source == inside and not self.always_fitted:
            return None
        halves = source[1:] != inside[1:]
        op: Op = FactorizedReduction() if halves else ReLUConvBN(1)
        return slot_for(name, [op], source, inside[0], 2 if halves else 1)[0]


def _edge_slot(name: str, edge: CellEdge, plan: CellPlan, inside: Shape, outside: Shape) -> Slot:
    source = inside if edge.source < 2 else outside
    stride = 2 if plan.reduces and edge.source < 2 else 1
    channels = source[0]
    fitting = [
        op if op.fits(channels, channels, stride) else FactorizedReduction() for op in edge.ops
    ]
    slot, _ = slot_for(name, fitting, source, channels, stride, plan.decisions + edge.decision)
    return Slot(name, slot.workloads, slot.decision, edge.picks)


def at_thirds(cells: int) -> tuple[bool, ...]:
    """Which of so many cells reduce: those at one and two thirds (DARTS)."""
    return tuple(at in (cells // 3, 2 * cells // 3) for at in range(cells))
