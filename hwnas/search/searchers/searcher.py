"""The contract of whatever proposes architectures, and the loop that drives it."""

from collections.abc import Callable
from typing import Protocol

import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.data import ACCURACY
from hwnas.progress import Progress, silent

__all__ = ["Searcher", "rank", "search_generations"]


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


def search_generations(
    searcher: Searcher,
    evaluate: Callable[[IntArray], FloatArray],
    *,
    generations: int,
    population: int,
    progress: Progress = silent,
) -> None:
    """Suggest, evaluate, update (SPOS, algorithm 1); ends early where the space is exhausted.

    Args:
        searcher: told what its suggestions are worth.
        evaluate: accuracies (n,) of architectures (n, n_decisions).
        generations, population: how often, and how many architectures each time.
        progress: told after every generation.
    """
    text = getattr(evaluate, "metric", ACCURACY).text
    for generation in range(generations):
        archs = searcher.suggest(population)
        if not len(archs):
            break
        searcher.update(archs, evaluate(archs))
        best = searcher.best()[1]
        progress("generations", (generation + 1) / generations, f"best {text(best)}")


def rank(archs: IntArray, accuracies: FloatArray, costs: FloatArray) -> list[int]:
    """Positions from best to worst: by accuracy, then by lower cost, then by the choices."""
    return sorted(
        range(len(archs)), key=lambda i: (-accuracies[i], costs[i], tuple(archs[i].tolist()))
    )
