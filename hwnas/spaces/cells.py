"""Networks of stacked cells: stages of equal cells, with a reduction between two stages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from hwnas.arrays import IntArray
from hwnas.errors import OptionError
from hwnas.ops import Op, Shape, Zero
from hwnas.spaces.cell import Cell
from hwnas.spaces.layout import Decision, Join, Path, Run, Slot, path_of, slot_for

__all__ = ["Cells", "Ends", "Strings"]

T = TypeVar("T")


@dataclass(frozen=True)
class Ends:
    """What is fixed in a network of cells.

    Attributes:
        stem: reads the image.
        reduction: stands between two stages, at stride 2.
        head: gives the classes.
    """

    stem: Op
    reduction: Op
    head: Op


@dataclass(frozen=True)
class Strings:
    """How a space of cells writes its architectures; see `Layout.parse` and `Layout.format`."""

    parse: Callable[[str], list[int]]
    format: Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class Cells:
    """A `Layout` of stages of cells that all have one architecture.

    A cell's nodes are sums of its edges; node 0 is what the cell reads, the highest what it gives.

    Attributes:
        input_shape: channels, height and width of the image.
        classes: outputs of the head.
        channels: of each stage.
        cells: of each stage.
        edges: (source, target) node of each decision.
        ops: what each edge may choose.
        ends: what is fixed.
        strings: how architectures are written.
    """

    input_shape: Shape
    classes: int
    channels: tuple[int, ...]
    cells: int
    edges: tuple[tuple[int, int], ...]
    ops: tuple[Op, ...]
    ends: Ends
    strings: Strings
    additive = True
    sequential = False

    def __post_init__(self) -> None:
        reached = {target for _, target in self.edges}
        forward = all(0 <= source < target for source, target in self.edges)
        if not reached or not forward or reached != set(range(1, len(reached) + 1)):
            raise OptionError(
                "the edges of a cell lead from a lower node to a higher one, and some to each node "
                f"but node 0, got {self.edges}"
            )

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """One an edge, named ``edge<target><source>``."""
        return tuple(Decision(f"edge{target}{source}", self.ops) for source, target in self.edges)

    @cached_property
    def cell(self) -> Cell | None:
        """The edges, where one of the operators means that an edge is not there."""
        zeros = [choice for choice, op in enumerate(self.ops) if isinstance(op, Zero)]
        return Cell(self.edges, (zeros[0],) * len(self.edges)) if zeros else None

    def canonical(self, archs: IntArray) -> IntArray:
        """See `SearchSpace.canonical`: without dead operators, and one of twins."""
        return archs if self.cell is None else self.cell.canonical(self.cell.live(archs))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The stem, then each stage's cells with a reduction before all but the first; the head."""
        slot, shape = slot_for("stem", [self.ends.stem], self.input_shape, self.channels[0])
        slots = [slot]
        for stage, channels in enumerate(self.channels):
            if stage:
                name = f"reductions.{stage - 1}"
                slot, shape = slot_for(name, [self.ends.reduction], shape, channels, 2)
                slots.append(slot)
            edge, _ = slot_for("edge", self.ops, shape, channels)
            slots += [
                Slot(f"stages.{stage}.{cell}.{self.decisions[d].name}", edge.workloads, d)
                for cell in range(self.cells)
                for d in self._order
            ]
        slot, _ = slot_for("head", [self.ends.head], shape, self.classes)
        return (*slots, slot)

    def path(self, arch: Sequence[int]) -> Path:
        """The same choices in every cell; what is fixed is 0."""
        return path_of(self.slots, arch)

    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        """Let the image through the stem, the stages and the head."""
        slots = iter(range(len(path)))
        x = run(next(slots), x)
        for stage in range(len(self.channels)):
            if stage:
                x = run(next(slots), x)
            for cell in range(self.cells):
                x = self._wire_cell(f"stages.{stage}.{cell}", slots, x, run, add)
        return run(next(slots), x)

    def parse(self, text: str) -> list[int]:
        """Read an architecture in the space's own form."""
        return self.strings.parse(text)

    def format(self, arch: Sequence[int]) -> str:
        """Print an architecture in the space's own form."""
        return self.strings.format(arch)

    @cached_property
    def _order(self) -> tuple[int, ...]:
        """The edges in the order in which they run: those into lower nodes first."""
        return tuple(sorted(range(len(self.edges)), key=lambda edge: self.edges[edge][1]))

    def _wire_cell(self, name: str, slots: Iterator[int], x: T, run: Run[T], add: Join[T]) -> T:
        nodes = [x]
        terms: list[T] = []
        for at, edge in enumerate(self._order, start=1):
            source, target = self.edges[edge]
            terms.append(run(next(slots), nodes[source]))
            if at == len(self._order) or self.edges[self._order[at]][1] != target:
                nodes.append(add(f"{name}.node{target}", terms))
                terms = []
        return nodes[-1]
