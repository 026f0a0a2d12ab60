"""Sums over the decisions of cells, of the operators that runtimes run."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import AdditiveCost
from hwnas.predictors.joins import has_weights
from hwnas.spaces import SearchSpace

__all__ = ["LiveSums", "executed"]


def executed(space: SearchSpace, archs: npt.ArrayLike) -> IntArray:
    """The architectures (n, n_decisions) with "no edge" in place of what no runtime runs.

    That is what is dead, and what repeats an operator without weights.
    """
    rows, cell = space.check(archs), space.layout.cell
    if cell is None:
        return rows
    of = {slot.decision: slot.workloads for slot in space.layout.slots}
    plain = [np.array([not has_weights(w) for w in of[d]]) for d in range(len(space.n_choices))]
    return cell.without_repeats(rows, plain)


@dataclass(frozen=True, slots=True, eq=False)
class LiveSums:
    """What the operators of an architecture cost that run, and what its joins do.

    Attributes:
        space: of the architectures, cells of edges.
        cost: of all operators.
        joins: of architectures (n, n_decisions), (n,).
    """

    space: SearchSpace
    cost: AdditiveCost
    joins: Callable[[IntArray], FloatArray]

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Costs (n,) of architectures (n, n_decisions)."""
        rows = self.space.check(archs)
        return self.cost(executed(self.space, rows)) + self.joins(rows)
