"""A cell drawn as a graph: nodes in a row, and an arc for each operator that leads to one.

Every layout says how values flow (`Layout.wire`); the same walk that emits a network's graph
notes here which operator leads from where to where. A chain has no cell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy.typing as npt

from hwnas.spaces import SearchSpace

__all__ = ["Arc", "CellGraph", "cells_of"]

_STEP, _MARGIN, _RISE = 150, 46, 30
#: Names of what several values are joined to.
_OUTPUT = "output"


@dataclass(frozen=True)
class Arc:
    """An operator from one node to another.

    Attributes:
        path: of the arc, for SVG.
        label: the operator's token.
        x, y: where the label stands, pixels.
        decision: that chose it; None where it is fixed.
        there: whether anything flows, which a zero does not let.
    """

    path: str
    label: str
    x: float
    y: float
    decision: int | None
    there: bool


@dataclass(frozen=True)
class CellGraph:
    """One of several equal cells.

    Attributes:
        name: of the first of them.
        nodes: name and x of each; all stand at ``middle``.
        arcs: operators.
        width, height, middle: pixels.
    """

    name: str
    nodes: tuple[tuple[str, float], ...]
    arcs: tuple[Arc, ...]
    width: float
    height: float
    middle: float


@dataclass(frozen=True)
class _Edge:
    source: str
    target: str
    label: str
    decision: int | None
    there: bool


@dataclass(frozen=True)
class _Value:
    """What a slot or a join gives: a node, and the operator that leads on from it."""

    node: str
    via: tuple[str, int | None, bool] | None = None


def cells_of(space: SearchSpace, arch: npt.ArrayLike) -> tuple[CellGraph, ...]:
    """The cells of an architecture (n_decisions,), one for each set of decisions.

    Empty for chains, and for networks that are modules of their own.
    """
    if space.layout.sequential:
        return ()
    row = [int(choice) for choice in space.check(arch)[0]]
    first: dict[frozenset[int], str] = {}
    for cell in _cell_names(space, row):
        inside = (slot for slot in space.layout.slots if slot.name.startswith(f"{cell}."))
        decisions = frozenset(slot.decision for slot in inside if slot.decision is not None)
        if len(decisions) > 1:
            first.setdefault(decisions, cell)
    return tuple(_drawn(name, _edges(space, row, name)) for name in first.values())


def _cell_names(space: SearchSpace, row: Sequence[int]) -> list[str]:
    """What stands before the names of joined values, in order, each once."""
    found: dict[str, None] = {}

    def join(name: str, terms: Sequence[str]) -> str:
        found.setdefault(name.rpartition(".")[0])
        return name

    space.layout.wire(space.layout.path(row), "", lambda slot, x: x, join, join)
    return [name for name in found if name]


def _edges(space: SearchSpace, row: Sequence[int], cell: str) -> list[_Edge]:
    """The operators inside one cell, as the layout wires them."""
    layout = space.layout
    path, found = layout.path(row), []
    prefix = f"{cell}."

    def settle(value: _Value, target: str) -> None:
        if value.via is not None:
            label, decision, there = value.via
            found.append(_Edge(value.node, target, label, decision, there))
        elif value.node != target:
            found.append(_Edge(value.node, target, "", None, True))

    def run(at: int, x: _Value) -> _Value:
        slot, choice = layout.slots[at], path[at]
        if not slot.name.startswith(prefix) or choice is None:
            return _Value(slot.name) if not x.node.startswith(prefix) else x
        op = slot.workloads[choice].op
        if slot.decision is None:  # brings an input to the cell's size
            return _Value(slot.name)
        return _Value(x.node, (op.token, slot.decision, not _is_zero(op)))

    def join(name: str, terms: Sequence[_Value]) -> _Value:
        if name.startswith(prefix):
            for term in terms:
                settle(term, name)
        return _Value(name)

    layout.wire(path, _Value("image"), run, join, join)
    return found


def _is_zero(op: object) -> bool:
    return type(op).__name__ == "Zero"


def _drawn(name: str, edges: Sequence[_Edge]) -> CellGraph:
    order = list(dict.fromkeys(node for edge in edges for node in (edge.source, edge.target)))
    order = _sorted(order, edges)
    at = {node: _MARGIN + _STEP * place for place, node in enumerate(order)}
    place = {node: number for number, node in enumerate(order)}
    sides = _sides(edges, place)
    highest = [max((level for s, level in sides if s == side), default=0) for side in (1, -1)]
    middle = _MARGIN / 2 + _RISE * (highest[0] + 0.5)
    arcs = []
    for edge, (side, level) in zip(edges, sides, strict=True):
        start, end = at[edge.source], at[edge.target]
        top = middle - side * _RISE * level
        bend = middle - side * _RISE * level * 4 / 3  # a cubic reaches 3/4 of its handles
        lean = 0.15 * (end - start)
        arcs.append(
            Arc(
                f"M{start},{middle} C{start + lean},{bend} {end - lean},{bend} {end},{middle}",
                edge.label,
                (start + end) / 2,
                top,
                edge.decision,
                edge.there,
            )
        )
    height = middle + _RISE * (highest[1] + 0.5) + _MARGIN / 2
    nodes = tuple((_short(node, place[node]), at[node]) for node in order)
    width = 2 * _MARGIN + _STEP * (len(order) - 1)
    return CellGraph(name, nodes, tuple(arcs), width, height, middle)


def _sorted(nodes: list[str], edges: Sequence[_Edge]) -> list[str]:
    """Nodes so that all edges lead to the right; those that are only read come first."""
    targets = {edge.target for edge in edges}
    left, ordered = sorted(nodes, key=targets.__contains__), []
    while left:
        ready = [
            node
            for node in left
            if not any(edge.target == node and edge.source in left for edge in edges)
        ]
        ordered.append(ready[0])
        left.remove(ready[0])
    return ordered


def _sides(edges: Sequence[_Edge], place: Mapping[str, int]) -> list[tuple[int, float]]:
    """For each edge the side of the row that it bends to, and how far: longer ones further.

    Arcs on one side whose labels would meet are moved apart.
    """
    taken: dict[tuple[int, float], list[float]] = {}
    found = []
    for edge in sorted(edges, key=lambda e: place[e.target] - place[e.source]):
        span, centre = (
            place[edge.target] - place[edge.source],
            place[edge.target] + place[edge.source],
        )
        options = ((side, level) for level in range(2 * span - 1, 99) for side in (1, -1))
        chosen = next(
            option
            for option in options
            if all(abs(other - centre) > 1 for other in taken.get(option, []))
        )
        taken.setdefault(chosen, []).append(centre)
        found.append((id(edge), chosen))
    levels = dict(found)
    return [levels[id(edge)] for edge in edges]


def _short(node: str, place: int) -> str:
    """The last word of a node's name; what comes from before the cell is an input."""
    return node.rpartition(".")[2] if "node" in node or _OUTPUT in node else f"input {place}"
