"""Choices that say what a node reads, and which operators it puts on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwnas.ops import Op
from hwnas.spaces.two_input_cells import CellEdge

__all__ = ["Reading", "edges_for"]


@dataclass(frozen=True, slots=True)
class Reading:
    """States of a cell, and the operator on each.

    Attributes:
        states: that are read, rising.
        ops: one for each of them.
    """

    states: tuple[int, ...]
    ops: tuple[Op, ...]

    @property
    def token(self) -> str:
        """``0.sep3``, or ``0.sep3+2.skip`` of two states."""
        pairs = zip(self.states, self.ops, strict=True)
        return "+".join(f"{state}.{op.token}" for state, op in pairs)


def edges_for(
    readings: Sequence[Reading], ops: tuple[Op, ...], target: int, decision: int, name: str
) -> list[CellEdge]:
    """An edge from each state that may be read, which each choice of a decision uses or not.

    Args:
        readings: the choices of the decision.
        ops: all operators that occur in them.
        target: the node that the decision is of.
        decision: counted from the first of the cell's decisions.
        name: the edges' names begin with it.
    """
    edges = []
    for state in sorted({state for reading in readings for state in reading.states}):
        picks = tuple(
            ops.index(reading.ops[reading.states.index(state)]) if state in reading.states else None
            for reading in readings
        )
        edges.append(CellEdge(f"{name}{state}", state, target, decision, ops, picks))
    return edges
