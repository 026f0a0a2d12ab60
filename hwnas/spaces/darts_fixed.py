"""The spaces S1 and S2 of Amended-DARTS (Bi et al. 2019, sections 4.1.2 and 4.1.3).

They fix the edges of DARTS: each node reads the state before it and the output of the cell before
the last, so that a cell has eight edges, each of which is a decision. Search and evaluation have
the same width.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from hwnas.ops import Identity, Op, SepConv
from hwnas.spaces.arguments import check_cell_network
from hwnas.spaces.cell_output import NodesJoined
from hwnas.spaces.cells import Strings
from hwnas.spaces.genotypes import NODES, is_genotype, operators, parse_genotype
from hwnas.spaces.layout import Decision, format_tokens, parse_tokens
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import PROXY_CELLS, narrowed
from hwnas.spaces.space import SearchSpace
from hwnas.spaces.two_input_cells import CellEdge, CellPlan, TwoInputCells, at_thirds

__all__ = ["ENTRY_S1", "ENTRY_S2", "darts_s1", "darts_s1_proxy", "darts_s2", "darts_s2_proxy"]

#: (source, target) of the edges, those into lower nodes first; node 2 reads both inputs.
_EDGES = tuple((source, node) for node in range(2, 2 + NODES) for source in (0, node - 1))


def darts_s1(
    input_size: int = 32,
    classes: int = 10,
    *,
    channels: int = 36,
    cells: int = 8,
    pool_norm: bool = False,
) -> SearchSpace:
    """Six normal and two reduction cells, each kind with decisions of its own: 7^16.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        channels: of the nodes of the first cell, even.
        cells: at least 3, so that there are normal ones; those at one and two thirds reduce.
        pool_norm: whether a batch-norm that learns nothing stands behind poolings, as DARTS has it
            while searching.

    Raises:
        OptionError: sizes that are not whole or too small, an odd number of channels, or an input
            that is no multiple of 4.
    """
    arguments = {
        "input_size": input_size,
        "classes": classes,
        "channels": channels,
        "cells": cells,
        "pool_norm": pool_norm,
    }
    check_cell_network("darts-s1", arguments)
    ops = tuple(operators(pool_norm).values())
    kinds = ("normal", "reduce")
    decisions = _decisions(kinds, ops)
    plans = tuple(CellPlan(reduces, len(_EDGES) * reduces) for reduces in at_thirds(cells))

    def parse(text: str) -> list[int]:
        return _choices_of_genotype(text) if is_genotype(text) else parse_tokens(decisions, text)

    return _space("darts-s1", arguments, plans, decisions, ops, parse)


def darts_s2(
    input_size: int = 32,
    classes: int = 10,
    *,
    channels: int = 36,
    cells: int = 20,
) -> SearchSpace:
    """Cells that share no decision; each edge is an identity or a 3x3 separable convolution: 2^160.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        channels: of the nodes of the first cell, even.
        cells: at least 3; those at one and two thirds reduce.

    Raises:
        OptionError: sizes that are not whole or too small, an odd number of channels, or an input
            that is no multiple of 4.
    """
    arguments = {
        "input_size": input_size,
        "classes": classes,
        "channels": channels,
        "cells": cells,
    }
    check_cell_network("darts-s2", arguments)
    ops: tuple[Op, ...] = (Identity(), SepConv(3))
    decisions = _decisions([f"cell{at}" for at in range(cells)], ops)
    plans = tuple(
        CellPlan(reduces, at * len(_EDGES)) for at, reduces in enumerate(at_thirds(cells))
    )

    return _space("darts-s2", arguments, plans, decisions, ops, partial(parse_tokens, decisions))


def darts_s1_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A smaller network with the same decisions: at most 5 cells, narrower, poolings with norms."""
    return darts_s1(
        input_size,
        classes,
        channels=narrowed(space, width_mult),
        cells=min(space.arguments["cells"], PROXY_CELLS),
        pool_norm=True,
    )


def darts_s2_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A narrower network of as many cells, since each has decisions of its own."""
    return darts_s2(
        input_size,
        classes,
        channels=narrowed(space, width_mult),
        cells=space.arguments["cells"],
    )


def _space(
    name: str,
    arguments: dict[str, Any],
    plans: tuple[CellPlan, ...],
    decisions: tuple[Decision, ...],
    ops: tuple[Op, ...],
    parse: Callable[[str], list[int]],
) -> SearchSpace:
    layout = TwoInputCells(
        (3, arguments["input_size"], arguments["input_size"]),
        arguments["classes"],
        arguments["channels"],
        plans,
        decisions,
        tuple(
            CellEdge(f"edge{source}", source, node, at, ops)
            for at, (source, node) in enumerate(_EDGES)
        ),
        NodesJoined(NODES),
        Strings(parse, partial(format_tokens, decisions)),
    )
    return SearchSpace(name, arguments, layout)


def _decisions(cells: Iterable[str], ops: tuple[Op, ...]) -> tuple[Decision, ...]:
    """One an edge of each of these cells, such as ``normal.edge20`` from state 0 to state 2."""
    return tuple(
        Decision(f"{cell}.edge{node}{source}", ops) for cell in cells for source, node in _EDGES
    )


def _choices_of_genotype(text: str) -> list[int]:
    """The architecture of a genotype that has the edges of S1.

    Raises:
        ValueError: it has others, or is no genotype of DARTS.
    """
    names = list(operators(pool_norm=False))
    pairs = [pair for cell in parse_genotype(text) for node in cell for pair in node]
    wanted = [source for source, _ in _EDGES] * 2
    got = [source for _, source in pairs]
    if got != wanted:
        raise ValueError(
            f"the nodes of a cell of S1 read the states {_in_pairs(wanted[: len(_EDGES)])}, got "
            f"{_in_pairs(got)} in both cells; the space darts takes other edges"
        )
    return [names.index(name) for name, _ in pairs]


def _in_pairs(states: Sequence[int]) -> str:
    return ", ".join(f"{a} and {b}" for a, b in zip(states[::2], states[1::2], strict=True))


ENTRY_S1 = SpaceEntry("darts-s1", darts_s1, darts_s1_proxy)
ENTRY_S2 = SpaceEntry("darts-s2", darts_s2, darts_s2_proxy)
