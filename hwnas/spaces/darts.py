"""The space of DARTS (Liu et al., ICLR 2019): each node chooses two states and an operator on each.

What costs together is chosen together: the two states and operators of a node are one decision, of
which a node with n states to read has ``n (n - 1) / 2 * 7 * 7`` choices: 49, 147, 294 and 490. So
costs are sums over decisions.
"""

from collections.abc import Sequence
from itertools import combinations, product

from hwnas.ops import Op
from hwnas.spaces.arguments import check_cell_network
from hwnas.spaces.cell_output import NodesJoined
from hwnas.spaces.cells import Strings
from hwnas.spaces.genotypes import (
    NODES,
    Pair,
    format_genotype,
    is_genotype,
    operators,
    parse_genotype,
)
from hwnas.spaces.layout import Decision, parse_tokens
from hwnas.spaces.readings import Reading, edges_for
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import PROXY_CELLS, narrowed
from hwnas.spaces.space import SearchSpace
from hwnas.spaces.two_input_cells import CellPlan, TwoInputCells, at_thirds

__all__ = ["ENTRY", "darts", "darts_proxy"]

_TARGETS = range(2, 2 + NODES)


def darts(
    input_size: int = 32,
    classes: int = 10,
    *,
    channels: int = 36,
    cells: int = 20,
    pool_norm: bool = False,
) -> SearchSpace:
    """Normal and reduction cells of four nodes, each kind with decisions of its own: 1.1e18.

    By default the network that DARTS evaluates, without its auxiliary head.

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
    check_cell_network("darts", arguments)
    named = operators(pool_norm)
    ops = tuple(named.values())
    choices = [_readings(target, ops) for target in _TARGETS]
    decisions = tuple(
        Decision(f"{kind}.node{target}", readings)
        for kind in ("normal", "reduce")
        for target, readings in zip(_TARGETS, choices, strict=True)
    )
    names = {op: name for name, op in named.items()}

    def parse(text: str) -> list[int]:
        if not is_genotype(text):
            return parse_tokens(decisions, text)
        nodes = [node for cell in parse_genotype(text) for node in cell]
        read = [Reading((a[1], b[1]), (named[a[0]], named[b[0]])) for a, b in nodes]
        return [d.choices.index(r) for d, r in zip(decisions, read, strict=True)]

    def write(arch: Sequence[int]) -> str:
        nodes = [_pairs(choices[at % NODES][choice], names) for at, choice in enumerate(arch)]
        return format_genotype([nodes[:NODES], nodes[NODES:]])

    layout = TwoInputCells(
        (3, input_size, input_size),
        classes,
        channels,
        tuple(CellPlan(reduces, NODES * reduces) for reduces in at_thirds(cells)),
        decisions,
        tuple(
            edge
            for at, (target, readings) in enumerate(zip(_TARGETS, choices, strict=True))
            for edge in edges_for(readings, ops, target, at, "edge")
        ),
        NodesJoined(NODES),
        Strings(parse, write),
    )
    return SearchSpace("darts", arguments, layout)


def darts_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A smaller network with the same decisions: at most 5 cells, narrower, poolings with norms."""
    return darts(
        input_size,
        classes,
        channels=narrowed(space, width_mult),
        cells=min(space.arguments["cells"], PROXY_CELLS),
        pool_norm=True,
    )


def _readings(target: int, ops: tuple[Op, ...]) -> tuple[Reading, ...]:
    """Two different states below a node, with all pairs of operators."""
    return tuple(
        Reading(states, pair)
        for states in combinations(range(target), 2)
        for pair in product(ops, repeat=2)
    )


def _pairs(reading: Reading, names: dict[Op, str]) -> tuple[Pair, Pair]:
    one, other = ((names[op], state) for state, op in zip(reading.states, reading.ops, strict=True))
    return one, other


ENTRY = SpaceEntry("darts", darts, darts_proxy)
