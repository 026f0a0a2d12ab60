"""Sums over the decisions of cells, of the operators that runtimes run."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import AdditiveCost
from hwnas.spaces import SearchSpace

__all__ = ["LiveSums"]


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
        return self.cost(self.space.executed(rows)) + self.joins(rows)
