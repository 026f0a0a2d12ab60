"""Networks that are a chain of blocks, some chosen and some fixed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from hwnas.ops import Graph, Op, Shape, Workload
from hwnas.spaces.space import Decision

__all__ = ["BlockSpec", "Chain", "Slot", "chain", "slot_behind"]

#: The name of a slot, its operators, its output channels and its stride.
BlockSpec = tuple[str, Sequence[Op], int, int]


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the chain: a fixed block (one workload), or one workload per choice."""

    name: str
    workloads: tuple[Workload, ...]
    decision: int | None = None


@dataclass(frozen=True)
class Chain:
    """A `Layout` of slots, each fed by the one before; tokens are joined by ``-``."""

    slots: tuple[Slot, ...]

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of the first slot's input."""
        first = self.slots[0].workloads[0]
        return first.in_channels, first.height, first.width

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """One for each slot that offers a choice."""
        return tuple(
            Decision(slot.name, tuple(w.op for w in slot.workloads)) for slot in self._chosen
        )

    @cached_property
    def fixed_workloads(self) -> tuple[Workload, ...]:
        """The blocks that are always there."""
        return tuple(slot.workloads[0] for slot in self.slots if slot.decision is None)

    @cached_property
    def _chosen(self) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if slot.decision is not None)

    def choice_workloads(self, decision: int, choice: int) -> tuple[Workload, ...]:
        """The one block."""
        return (self._chosen[decision].workloads[choice],)

    def emit(self, graph: Graph, arch: Sequence[int]) -> None:
        """Write the blocks one behind the other, each below its slot's name."""
        x = 0
        for slot in self.slots:
            workload = slot.workloads[0 if slot.decision is None else arch[slot.decision]]
            with graph.scope(slot.name):
                x = workload.op.emit(graph, x, workload.out_channels, workload.stride)

    def parse(self, text: str) -> list[int]:
        """Read one token a decision, joined by ``-``."""
        tokens = text.split("-")
        if len(tokens) != len(self.decisions):
            raise ValueError(
                f"{len(self.decisions)} tokens joined by '-' are needed, got {len(tokens)}"
            )
        arch = []
        for token, decision in zip(tokens, self.decisions, strict=True):
            allowed = [op.token for op in decision.choices]
            if token not in allowed:
                raise ValueError(f"{decision.name} is one of {', '.join(allowed)}, got {token!r}")
            arch.append(allowed.index(token))
        return arch

    def format(self, arch: Sequence[int]) -> str:
        """Print one token a decision."""
        return "-".join(d.choices[c].token for d, c in zip(self.decisions, arch, strict=True))


def slot_behind(
    name: str,
    ops: Sequence[Op],
    source: Shape,
    out_channels: int,
    stride: int = 1,
    decision: int | None = None,
) -> tuple[Slot, Shape]:
    """A slot behind a map of shape ``source``, and the shape it hands on."""
    channels, height, width = source
    workloads = tuple(Workload(op, channels, out_channels, stride, height, width) for op in ops)
    graph = workloads[0].graph()
    return Slot(name, workloads, decision), graph.shape(len(graph.nodes) - 1)


def chain(source: Shape, specs: Iterable[BlockSpec]) -> Chain:
    """Slots one behind the other; those with several operators are the decisions, in order.

    Args:
        source: channels, height and width of the network's input.
        specs: what stands in each slot.
    """
    slots: list[Slot] = []
    decisions = 0
    for name, ops, out_channels, stride in specs:
        decision = decisions if len(ops) > 1 else None
        decisions += len(ops) > 1
        slot, source = slot_behind(name, ops, source, out_channels, stride, decision)
        slots.append(slot)
    return Chain(tuple(slots))
