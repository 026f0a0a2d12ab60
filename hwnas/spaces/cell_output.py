"""What a cell that reads two cells before it gives, made of its states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hwnas.ops import Shape
from hwnas.spaces.layout import Join, Path, Run, Slot

__all__ = ["NodesJoined", "Output"]

T = TypeVar("T")


class Output(Protocol):
    """What a cell gives; see `hwnas.spaces.two_input_cells` for its states."""

    def channels(self, channels: int) -> int:
        """Those of a cell's output, whose nodes have ``channels``."""
        ...

    def slots(self, name: str, inside: Shape, outside: Shape) -> tuple[Slot, ...]:
        """The slots of one cell that lie behind its nodes.

        Args:
            name: they lie below it.
            inside: the shape of states 0 and 1.
            outside: that of the nodes.
        """
        ...

    def path(self, choices: Sequence[int], reduces: bool) -> Path:
        """What runs in these slots.

        Args:
            choices: of the cell's decisions, perhaps with those of others behind them.
            reduces: whether it is a reduction cell.
        """
        ...

    def wire(
        self,
        name: str,
        slots: Sequence[int],
        path: Path,
        states: Sequence[T],
        run: Run[T],
        concat: Join[T],
    ) -> T:
        """The output of a cell.

        Args:
            name: of the cell's output.
            slots: where the cell's own slots stand among all.
            path: what runs in them.
            states: of the cell.
            run, concat: see `Layout.wire`.
        """
        ...


@dataclass(frozen=True)
class NodesJoined:
    """The channels of all nodes, one after the other (DARTS).

    Attributes:
        nodes: of a cell.
    """

    nodes: int

    def channels(self, channels: int) -> int:
        """Those of all nodes."""
        return self.nodes * channels

    def slots(self, name: str, inside: Shape, outside: Shape) -> tuple[Slot, ...]:
        """None."""
        return ()

    def path(self, choices: Sequence[int], reduces: bool) -> Path:
        """Empty."""
        return ()

    def wire(
        self,
        name: str,
        slots: Sequence[int],
        path: Path,
        states: Sequence[T],
        run: Run[T],
        concat: Join[T],
    ) -> T:
        """One concatenation."""
        return concat(name, states[2:])
