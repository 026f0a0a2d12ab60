"""Evolution under hard budgets, as in Single Path One-Shot NAS (Guo et al., algorithm 1)."""

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.costs import FeasibleSet
from hwnas.errors import OptionError
from hwnas.search.searchers.archive import ANY, Archive, Choose

__all__ = ["Evolution"]


class Evolution:
    """Crossover and mutation of the best, every child within the budgets.

    The first generation is uniform over the feasible set. Then half of each generation are
    crossovers (a coin a decision) of two of the best architectures, half are mutations of one
    (each decision redrawn with ``mutation`` probability). Children that break a budget or are
    known are redrawn a bounded number of times; what is lacking then is drawn uniformly.

    Args:
        feasible: what may be suggested.
        parents: how many of the best have children.
        mutation: probability with which a mutated architecture's decision is redrawn.
        seed: of the draws.
        choose: which of several children is suggested; by default whichever comes first.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        *,
        parents: int = 10,
        mutation: float = 0.1,
        seed: int = 0,
        choose: Choose = ANY,
    ):
        if parents < 1 or not 0 < mutation <= 1:
            raise OptionError(
                "evolution needs 1 or more parents and 0 < mutation <= 1, got "
                f"{parents} and {mutation}"
            )
        self.feasible = feasible
        self._archive = Archive(feasible, seed)
        self._parents, self._mutation, self._choose = parents, mutation, choose
        self._n_choices = np.array(feasible.n_choices)

    def suggest(self, count: int) -> IntArray:
        """The next generation: up to ``count`` new architectures."""
        archive = self._archive
        if not len(archive):
            return archive.rows(archive.uniform(count))
        parents = archive.top(self._parents)
        choose = self._choose
        children = archive.new(count // 2, lambda n: self._crossed(parents, n), choose)
        children += archive.new(count - len(children), lambda n: self._mutated(parents, n), choose)
        children += archive.uniform(count - len(children))
        return archive.rows(children)

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures; infeasible ones are left out."""
        self._archive.update(archs, accuracies)

    def best(self) -> tuple[IntArray, float]:
        """The most accurate architecture told, the cheaper of equals, and its accuracy."""
        return self._archive.best()

    def _crossed(self, parents: IntArray, count: int) -> IntArray:
        rng = self._archive.rng
        pairs = rng.integers(0, len(parents), (2, count))
        coins = rng.random((count, parents.shape[1])) < 0.5
        crossed: IntArray = np.where(coins, parents[pairs[0]], parents[pairs[1]])
        return crossed

    def _mutated(self, parents: IntArray, count: int) -> IntArray:
        rng = self._archive.rng
        chosen = parents[rng.integers(0, len(parents), count)]
        redrawn = rng.integers(0, self._n_choices, chosen.shape)
        mutated: IntArray = np.where(rng.random(chosen.shape) < self._mutation, redrawn, chosen)
        return mutated
