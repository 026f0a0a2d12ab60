"""What a layout says of a space's networks: where operators run, and how values flow.

A layout states its wiring once (`Layout.wire`). Emitting a graph, running one path of a supernet,
putting gates on a path and mixing all edges are the same walk; they differ in what runs a slot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from hwnas.ops import Op, Shape, Workload
from hwnas.spaces.cell import Cell

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hwnas.spaces.inputs import Inputs
    from hwnas.spaces.module_facts import Facts

__all__ = [
    "Choice",
    "Decision",
    "Join",
    "Layout",
    "Modules",
    "Path",
    "Run",
    "Slot",
    "followed",
    "format_tokens",
    "parse_tokens",
    "path_of",
    "slot_for",
    "unfollowed",
]

T = TypeVar("T")

#: For each slot the candidate that runs there; None where the slot is not used.
Path = tuple[int | None, ...]
#: Runs the operator of a slot on a value.
Run = Callable[[int, T], T]
#: Joins several values under a name, by their sum or by their channels.
Join = Callable[[str, Sequence[T]], T]


class Choice(Protocol):
    """What may be chosen: mostly an operator; in some cells operators with what they read."""

    @property
    def token(self) -> str:
        """The short name inside architecture strings, unique within a decision."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """One categorical choice: a choice block of a chain, an edge or a node of a cell."""

    name: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """One place where an operator runs.

    Attributes:
        name: dotted; parameters and nodes lie below it.
        workloads: the candidates at their shapes; a single one where nothing is chosen.
        decision: the decision that says which candidate runs; None where the operator is fixed, or
            where several decisions say it together.
        picks: for each choice of the decision the candidate that runs, None where the choice does
            not use the slot; left out where candidates are the choices, one for one.
        reads: for a slot whose input is several values of equal width, one after the other: for
            each candidate which of them, counted from 0. All candidates then read each value by
            the same weights, in every way of sharing. The operator's layers all read the whole
            input.
    """

    name: str
    workloads: tuple[Workload, ...]
    decision: int | None = None
    picks: tuple[int | None, ...] | None = None
    reads: tuple[tuple[int, ...], ...] | None = None

    def candidate(self, choice: int) -> int | None:
        """The candidate that a choice of the slot's decision runs; None: the slot is not used."""
        return choice if self.picks is None else self.picks[choice]


class Layout(Protocol):
    """How the chosen operators are wired to a network: a chain of blocks, cells, or another way."""

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of the network's input."""
        ...

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions, in order."""
        ...

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every place where an operator runs, in an order in which they can run."""
        ...

    @property
    def additive(self) -> bool:
        """Whether costs are sums over decisions.

        They are if every slot is fixed and used by every architecture, or follows one decision,
        which alone says whether the slot is used and what runs there.
        """
        ...

    @property
    def sequential(self) -> bool:
        """Whether each slot reads what the used slot before it gave, and nothing else."""
        ...

    @property
    def cell(self) -> Cell | None:
        """The graph whose edges are the decisions; None where they are not edges."""
        ...

    def path(self, arch: Sequence[int], /) -> Path:
        """The candidate that an architecture runs in each slot; None where a slot is not used."""
        ...

    def wire(self, path: Path, x: T, run: Run[T], add: Join[T], concat: Join[T]) -> T:
        """Let a value flow through the used slots, each of which runs once, in order.

        Args:
            path: says which slots are used; ``run`` knows what runs there.
            x: the network's input.
            run: called as ``run(slot, x)``.
            add: called as ``add(name, terms)``: the sum of values of one shape.
            concat: called as ``concat(name, terms)``: the channels one after the other.

        Returns:
            What the network gives, which is what was computed last.
        """
        ...

    def parse(self, text: str, /) -> list[int]:
        """The architecture of a string; raises ``ValueError`` with the reason."""
        ...

    def format(self, arch: Sequence[int], /) -> str:
        """The string of an architecture."""
        ...


class Modules(Protocol):
    """Whole networks that are torch modules of their own, where a space has no operators."""

    @property
    def inputs(self) -> "Inputs":
        """What each network reads."""
        ...

    @property
    def parts(self) -> Mapping[str, int]:
        """Parameters that stack parts of equal height, by the end of their name, and how many."""
        ...

    @property
    def evaluate(self) -> "Callable[[nn.Module], float] | None":
        """A person's own function that gives the accuracy, 0 to 1, of a network it is handed."""
        ...

    @property
    def pretrained(self) -> "Mapping[str, Tensor]":
        """What shared weights start with, by the names of a network's ``state_dict``."""
        ...

    def arch(self, number: int, /) -> list[int]:
        """The architecture that runs as candidate ``number`` of the only slot."""
        ...

    def unfilled(self, arch: Sequence[int], /) -> "nn.Module":
        """One network whose parameters have no values yet; its buffers have."""
        ...

    def facts(self, arch: Sequence[int], /) -> "Facts":
        """What is known of one network; networks of equal digest compute the same."""
        ...


def path_of(slots: Sequence[Slot], arch: Sequence[int]) -> Path:
    """The path of a layout whose slots each are fixed or follow one decision."""
    return tuple(0 if s.decision is None else s.candidate(arch[s.decision]) for s in slots)


def followed(slots: Sequence[Slot], decisions: int) -> tuple[tuple[Slot, ...], ...]:
    """For each of the decisions the slots that follow it, in order."""
    return tuple(
        tuple(slot for slot in slots if slot.decision == decision) for decision in range(decisions)
    )


def unfollowed(layout: Layout) -> list[str]:
    """The names of the decisions that no slot follows, in order."""
    known = {slot.decision for slot in layout.slots}
    return [decision.name for at, decision in enumerate(layout.decisions) if at not in known]


def slot_for(
    name: str,
    ops: Sequence[Op],
    source: Shape,
    out_channels: int,
    stride: int = 1,
    decision: int | None = None,
) -> tuple[Slot, Shape]:
    """A slot that reads a map of shape ``source``, and the shape that it hands on."""
    channels, height, width = source
    workloads = tuple(Workload(op, channels, out_channels, stride, height, width) for op in ops)
    graph = workloads[0].graph()
    return Slot(name, workloads, decision), graph.shape(len(graph.nodes) - 1)


def parse_tokens(decisions: Sequence[Decision], text: str) -> list[int]:
    """Read one token a decision, joined by ``-``.

    Raises:
        ValueError: another number of tokens, or one that no choice has.
    """
    tokens = text.split("-")
    if len(tokens) != len(decisions):
        raise ValueError(f"{len(decisions)} tokens joined by '-' are needed, got {len(tokens)}")
    arch = []
    for token, decision in zip(tokens, decisions, strict=True):
        allowed = [op.token for op in decision.choices]
        if token not in allowed:
            raise ValueError(f"{decision.name} is one of {', '.join(allowed)}, got {token!r}")
        arch.append(allowed.index(token))
    return arch


def format_tokens(decisions: Sequence[Decision], arch: Sequence[int]) -> str:
    """Print one token a decision, joined by ``-``."""
    return "-".join(d.choices[c].token for d, c in zip(decisions, arch, strict=True))
