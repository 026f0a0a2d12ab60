"""The cells of NAO (Luo et al., NeurIPS 2018; Luo et al. 2020, "balanced" sampling).

A normal and a reduction cell of five nodes. A node is the sum of two operators, each of which reads
any state below the node; the two may be one and the same. States that no node reads are joined and
brought back to the channels of a node. So a cell's width, and the cost of its output, depend on all
of its decisions: costs are no sums over decisions here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

from hwnas.ops import (
    FactorizedReduction,
    Identity,
    MaxPool,
    MeanPool,
    Op,
    ReLUConvBN,
    SepConv,
    Shape,
    Workload,
)
from hwnas.spaces.arguments import check_cell_network
from hwnas.spaces.cells import Strings
from hwnas.spaces.layout import (
    Decision,
    Join,
    Path,
    Run,
    Slot,
    format_tokens,
    parse_tokens,
    slot_for,
)
from hwnas.spaces.readings import Reading, edges_for
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import narrowed
from hwnas.spaces.space import SearchSpace
from hwnas.spaces.two_input_cells import CellPlan, TwoInputCells

__all__ = ["ENTRY", "UnusedStates", "nao", "nao_proxy"]

T = TypeVar("T")

#: In the order of NAO's integers.
_OPS: tuple[Op, ...] = (SepConv(3), SepConv(5), MeanPool(3), MaxPool(3), Identity())
_NODES = 5
_TARGETS = range(2, 2 + _NODES)
#: Decisions of a cell: two for each node.
_OF_A_CELL = 2 * _NODES


def nao(
    input_size: int = 32, classes: int = 10, *, channels: int = 36, repeats: int = 6
) -> SearchSpace:
    """Three times ``repeats`` normal cells with two reduction cells between them.

    By default the network that NAO evaluates; it searches with 20 channels and 3 repeats. A
    separate batch-norm for each set of unused states stands behind what joins them.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        channels: of the nodes of the first cell, even.
        repeats: normal cells in a row.

    Raises:
        OptionError: sizes that are not whole or too small, an odd number of channels, or an input
            that is no multiple of 4.
    """
    arguments = {
        "input_size": input_size,
        "classes": classes,
        "channels": channels,
        "repeats": repeats,
    }
    check_cell_network("nao", arguments)
    choices = [_readings(target) for target in _TARGETS for _ in "ab"]
    decisions = tuple(
        Decision(f"{kind}.node{target}{which}", _readings(target))
        for kind in ("normal", "reduce")
        for target in _TARGETS
        for which in "ab"
    )

    def parse(text: str) -> list[int]:
        return _choices_of_code(text) if _is_code(text) else parse_tokens(decisions, text)

    normal, reduction = CellPlan(False, 0), CellPlan(True, _OF_A_CELL)
    row = (normal,) * repeats
    layout = TwoInputCells(
        (3, input_size, input_size),
        classes,
        channels,
        (*row, reduction, *row, reduction, *row),
        decisions,
        tuple(
            edge
            for at, target in enumerate(_TARGETS)
            for which in range(2)
            for edge in edges_for(
                _readings(target), _OPS, target, 2 * at + which, f"{'ab'[which]}.edge"
            )
        ),
        UnusedStates(tuple(choices)),
        Strings(parse, partial(format_tokens, decisions)),
        additive=False,
        always_fitted=False,
        swaps=tuple((first, first + 1) for first in range(0, len(decisions), 2)),
    )
    return SearchSpace("nao", arguments, layout)


def nao_proxy(space: SearchSpace, input_size: int, classes: int, width_mult: float) -> SearchSpace:
    """A narrower network with the same decisions, of one normal cell in a row."""
    return nao(input_size, classes, channels=narrowed(space, width_mult), repeats=1)


@dataclass(frozen=True)
class UnusedStates:
    """An `Output`: the states that no node reads, joined and brought back by ReLU, 1x1, batch-norm.

    In a reduction cell states 0 and 1 are halved first. The 1x1 costs by the number of states that
    it joins; its weights are those of these states.

    Attributes:
        readings: the choices of each decision of a cell.
    """

    readings: tuple[tuple[Reading, ...], ...]

    def channels(self, channels: int) -> int:
        """Those of a node."""
        return channels

    def slots(self, name: str, inside: Shape, outside: Shape) -> tuple[Slot, ...]:
        """Where the cell reduces, one for each of states 0 and 1; and what joins."""
        halved = [
            slot_for(f"{name}.reduce{state}", [FactorizedReduction()], inside, inside[0], 2)[0]
            for state in range(2)
            if inside != outside
        ]
        channels, height, width = outside
        joins = tuple(
            Workload(ReLUConvBN(1), len(states) * channels, channels, 1, height, width)
            for states in self._joined
        )
        return (*halved, Slot(f"{name}.join", joins, reads=self._joined))

    def path(self, choices: Sequence[int], reduces: bool) -> Path:
        """The candidate that joins what the choices leave, and what must be halved for it."""
        used = 0
        for masks, choice in zip(self._masks, choices, strict=False):
            used |= masks[choice]
        join = self._candidates[used]
        if not reduces:
            return (join,)
        return (*(None if used >> state & 1 else 0 for state in range(2)), join)

    def wire(
        self,
        name: str,
        slots: Sequence[int],
        path: Path,
        states: Sequence[T],
        run: Run[T],
        concat: Join[T],
    ) -> T:
        """Halve what is still too large, join, and run the 1x1."""
        *halved, join = path
        assert join is not None
        values = [
            run(slots[state], states[state]) if state < len(halved) else states[state]
            for state in self._joined[join]
        ]
        return run(slots[-1], values[0] if len(values) == 1 else concat(name, values))

    @cached_property
    def _masks(self) -> tuple[tuple[int, ...], ...]:
        """For each decision and choice the states that are read, as bits."""
        return tuple(
            tuple(sum(1 << state for state in reading.states) for reading in readings)
            for readings in self.readings
        )

    @cached_property
    def _candidates(self) -> dict[int, int]:
        """What joins the rest, by the bits of all states that are read."""
        last = 1 + len(self.readings) // 2  # no node is left to read the last one
        sets = (used for used in range(1 << last) if used & 3)  # the first node reads 0 or 1
        return {used: at for at, used in enumerate(sets)}

    @cached_property
    def _joined(self) -> tuple[tuple[int, ...], ...]:
        """For each candidate the states that it joins, rising."""
        states = range(2 + len(self.readings) // 2)
        return tuple(
            tuple(state for state in states if not used >> state & 1) for used in self._candidates
        )


def _readings(target: int) -> tuple[Reading, ...]:
    """One state below a node, and an operator on it, in the order of NAO's integers."""
    return tuple(Reading((state,), (op,)) for state in range(target) for op in _OPS)


def _is_code(text: str) -> bool:
    return re.fullmatch(r"[\d\s,\[\]()]+", text) is not None


def _choices_of_code(text: str) -> list[int]:
    """The architecture of NAO's integers: state, operator, state, operator of each node.

    Raises:
        ValueError: another number of integers, or one that is too large.
    """
    code = [int(number) for number in re.findall(r"\d{1,9}", text)]
    if len(code) != 4 * _OF_A_CELL:
        raise ValueError(
            f"NAO writes an architecture as {4 * _OF_A_CELL} integers, those of the normal cell "
            f"first, got {len(code)}"
        )
    arch = []
    for at, (state, op) in enumerate(zip(code[::2], code[1::2], strict=True)):
        node = 2 + at % _OF_A_CELL // 2
        if state >= node or op >= len(_OPS):
            raise ValueError(
                f"node {node} reads a state of 0 to {node - 1} by an operator of 0 to "
                f"{len(_OPS) - 1}, got {state} and {op}"
            )
        arch.append(state * len(_OPS) + op)
    return arch


#: On digits, the mean loss of steps 101 to 150 of 64 images was 2.11 at a learning rate of 1e-2,
#: and 2.20 at 2e-3.
ENTRY = SpaceEntry("nao", nao, nao_proxy, base_lr=1e-2)
