"""What proposes architectures."""

from typing import Protocol

import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray

__all__ = ["Searcher"]


class Searcher(Protocol):
    """Proposes which architectures to evaluate next, and learns what they are worth.

    Its proposals depend on its seed and on what it was told alone, so that a search can be
    replayed from its log.
    """

    def suggest(self, count: int) -> IntArray:
        """Up to ``count`` new architectures (n, n_decisions); none if there are no more."""
        ...

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures."""
        ...

    def best(self) -> tuple[IntArray, float]:
        """The best architecture told so far (n_decisions,) and its accuracy."""
        ...


def rank(archs: IntArray, accuracies: FloatArray, costs: FloatArray) -> list[int]:
    """Positions from best to worst: by accuracy, then by lower cost, then by the choices."""
    return sorted(
        range(len(archs)), key=lambda i: (-accuracies[i], costs[i], tuple(archs[i].tolist()))
    )
