"""Edges that end without an operator: DARTS mixes the zero operator, and derives without it."""

from collections.abc import Sequence

from hwnas.arrays import BoolArray
from hwnas.costs import Constraint
from hwnas.ops import Zero
from hwnas.search.gradient.pruning import keeps_budgets
from hwnas.spaces import SearchSpace

__all__ = ["without_zeros"]


def without_zeros(
    active: BoolArray, space: SearchSpace, constraints: Sequence[Constraint] = ()
) -> BoolArray:
    """The active choices without zero operators; all of them where the budgets need one.

    The probability of the zero operator says how strongly an edge's other operators are mixed, not
    how good the edge is without them (DARTS, section 2.4: its strength is not determined).

    Args:
        active: (n_decisions, most choices).
        space: whose choices they are.
        constraints: the budgets.
    """
    left = active.copy()
    for at, decision in enumerate(space.decisions):
        zeros = [choice for choice, op in enumerate(decision.choices) if isinstance(op, Zero)]
        left[at, zeros] = False
        if not left[at].any():
            left[at] = active[at]
    return left if keeps_budgets(left, constraints) else active.copy()
