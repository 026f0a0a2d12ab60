"""Networks that are a chain of blocks, some chosen and some fixed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from hwnas.ops import Op, Shape
from hwnas.spaces.layout import (
    Decision,
    Join,
    Path,
    Run,
    Slot,
    format_tokens,
    parse_tokens,
    path_of,
    slot_for,
)

__all__ = ["BlockSpec", "Chain", "chain", "stages"]

T = TypeVar("T")

#: The name of a slot, its operator, or the operators that may be chosen there, its output channels
#: and its stride.
BlockSpec = tuple[str, Op | Sequence[Op], int, int]


@dataclass(frozen=True)
class Chain:
    """A `Layout` of slots, each fed by the one before; tokens are joined by ``-``."""

    slots: tuple[Slot, ...]
    additive = True
    sequential = True
    cell = None

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of the first slot's input."""
        first = self.slots[0].workloads[0]
        return first.in_channels, first.height, first.width

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """One for each slot that offers a choice."""
        return tuple(
            Decision(slot.name, tuple(w.op for w in slot.workloads))
            for slot in self.slots
            if slot.decision is not None
        )

    def path(self, arch: Sequence[int]) -> Path:
        """What is chosen in each slot, 0 where nothing is."""
        return path_of(self.slots, arch)

    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        """Run one slot behind the other."""
        for slot in range(len(path)):
            x = run(slot, x)
        return x

    def parse(self, text: str) -> list[int]:
        """Read one token a decision, joined by ``-``."""
        return parse_tokens(self.decisions, text)

    def format(self, arch: Sequence[int]) -> str:
        """Print one token a decision."""
        return format_tokens(self.decisions, arch)


def chain(source: Shape, specs: Iterable[BlockSpec]) -> Chain:
    """Slots one behind the other; those with a sequence of operators are the decisions, in order.

    Args:
        source: channels, height and width of the network's input.
        specs: what stands in each slot: an operator that is fixed, or a sequence to choose from,
            which may be a sequence of one.
    """
    slots: list[Slot] = []
    decisions = 0
    for name, ops, out_channels, stride in specs:
        chosen = isinstance(ops, Sequence)
        candidates = ops if isinstance(ops, Sequence) else [ops]
        slot, source = slot_for(
            name, candidates, source, out_channels, stride, decisions if chosen else None
        )
        decisions += chosen
        slots.append(slot)
    return Chain(tuple(slots))


def stages(
    widths: Sequence[int], depths: Sequence[int], strides: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """The number, output channels and stride of each block; a stage strides in its first one."""
    block = 0
    for width, depth, first_stride in zip(widths, depths, strides, strict=True):
        for position in range(depth):
            yield block, width, first_stride if position == 0 else 1
            block += 1
