"""Uniform draws from the feasible set: the baseline of every searcher."""

import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.costs import FeasibleSet
from hwnas.search.searchers.archive import Archive

__all__ = ["RandomSearch"]


class RandomSearch:
    """Uniform draws without repeats.

    Args:
        feasible: what may be suggested.
        seed: of the draws.
    """

    def __init__(self, feasible: FeasibleSet, seed: int):
        self._archive = Archive(feasible, seed)

    def suggest(self, count: int) -> IntArray:
        """Up to ``count`` new architectures."""
        return self._archive.rows(self._archive.uniform(count))

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures; infeasible ones are left out."""
        self._archive.update(archs, accuracies)

    def best(self) -> tuple[IntArray, float]:
        """The most accurate architecture told, the cheaper of equals, and its accuracy."""
        return self._archive.best()
