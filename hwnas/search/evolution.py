"""Evolution under hard budgets, as in Single Path One-Shot NAS (Guo et al., algorithm 1)."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.costs import FeasibleSet
from hwnas.errors import OptionError
from hwnas.search.searcher import rank

__all__ = ["Evolution", "RandomSearch"]

#: Draws for one wanted child before the rest is filled with uniform feasible architectures.
_DRAWS_PER_CHILD = 20


class _Told:
    """What both searchers share: the feasible set, and what was evaluated in it."""

    def __init__(self, feasible: FeasibleSet, seed: int):
        self.feasible = feasible
        self._rng = np.random.default_rng([seed, 0xE70])
        self._cost = feasible.constraints[0].cost
        self._accuracy: dict[tuple[int, ...], float] = {}
        self._known: set[tuple[int, ...]] = set()

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures; infeasible ones are left out."""
        values = np.asarray(accuracies, np.float64)
        for arch, accuracy, kept in zip(archs, values, self.feasible.contains(archs), strict=True):
            if kept:
                key = tuple(arch.tolist())
                self._accuracy[key] = float(accuracy)
                self._known.add(key)

    def best(self) -> tuple[IntArray, float]:
        """The most accurate architecture told, the cheaper of equals, and its accuracy."""
        top = self._top(1)
        return top[0], self._accuracy[tuple(top[0].tolist())]

    def _top(self, count: int) -> IntArray:
        archs = np.array(list(self._accuracy), np.int64)
        values = np.array(list(self._accuracy.values()))
        return archs[rank(archs, values, self._cost(archs))[:count]]

    def _take(self, count: int, draw: Callable[[int], IntArray]) -> list[tuple[int, ...]]:
        """Up to ``count`` feasible architectures that were never suggested, from ``draw(n)``."""
        taken: list[tuple[int, ...]] = []
        for _ in range(_DRAWS_PER_CHILD):
            if len(taken) >= count:
                break
            drawn = draw(count)
            for arch in drawn[self.feasible.contains(drawn)]:
                key = tuple(arch.tolist())
                if len(taken) < count and key not in self._known:
                    self._known.add(key)
                    taken.append(key)
        return taken

    def _uniform(self, count: int) -> list[tuple[int, ...]]:
        return self._take(count, lambda n: self.feasible.sample(n, self._rng))

    def _rows(self, keys: list[tuple[int, ...]]) -> IntArray:
        return np.array(keys, np.int64).reshape(len(keys), len(self._cost.entries))


class RandomSearch(_Told):
    """Uniform draws from the feasible set, without repeats: the baseline.

    Args:
        feasible: what may be suggested.
        seed: of the draws.
    """

    def suggest(self, count: int) -> IntArray:
        """Up to ``count`` new architectures."""
        return self._rows(self._uniform(count))


class Evolution(_Told):
    """Crossover and mutation of the best, every child within the budgets.

    The first generation is uniform over the feasible set. Then half of each generation are
    crossovers (a coin a decision) of two of the ``top`` architectures, half are mutations of one
    (each decision redrawn with ``mutation`` probability). Children that break a budget or are
    known are redrawn a bounded number of times; what is lacking then is drawn uniformly.

    Args:
        feasible: what may be suggested.
        top: how many parents.
        mutation: probability with which a mutated architecture's decision is redrawn.
        seed: of the draws.
    """

    def __init__(
        self, feasible: FeasibleSet, *, top: int = 10, mutation: float = 0.1, seed: int = 0
    ):
        super().__init__(feasible, seed)
        if top < 1 or not 0 < mutation <= 1:
            raise OptionError(
                f"evolution needs top >= 1 and 0 < mutation <= 1, got {top} and {mutation}"
            )
        self.top = top
        self.mutation = mutation
        self._n_choices = np.array([len(entry) for entry in self._cost.entries])

    def suggest(self, count: int) -> IntArray:
        """The next generation: up to ``count`` new architectures."""
        if not self._accuracy:
            return self._rows(self._uniform(count))
        parents = self._top(self.top)
        children = self._take(count // 2, lambda n: self._crossed(parents, n))
        children += self._take(count - len(children), lambda n: self._mutated(parents, n))
        children += self._uniform(count - len(children))
        return self._rows(children)

    def _crossed(self, parents: IntArray, count: int) -> IntArray:
        pairs = self._rng.integers(0, len(parents), (2, count))
        coins = self._rng.random((count, parents.shape[1])) < 0.5
        crossed: IntArray = np.where(coins, parents[pairs[0]], parents[pairs[1]])
        return crossed

    def _mutated(self, parents: IntArray, count: int) -> IntArray:
        chosen = parents[self._rng.integers(0, len(parents), count)]
        redrawn = self._rng.integers(0, self._n_choices, chosen.shape)
        mutated: IntArray = np.where(
            self._rng.random(chosen.shape) < self.mutation, redrawn, chosen
        )
        return mutated
