"""What a searcher was told, and what it suggested: shared by the searchers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.costs.guided import neighbours as neighbours_of
from hwnas.search.searchers.searcher import rank

__all__ = ["ANY", "Archive", "Choose", "neighbours_of"]

#: Draws for one wanted architecture before a caller must look elsewhere.
_DRAWS_EACH = 20


@dataclass(frozen=True)
class Choose:
    """Which of several candidates is suggested: the largest, or with one candidate, that one.

    Attributes:
        among: how many candidates compete for a place.
        size: of architectures (n, n_decisions), such as `SearchSpace.macs`; None for 0.
    """

    among: int = 1
    size: Callable[[IntArray], npt.NDArray[Any]] | None = None

    def __call__(self, archs: IntArray, count: int) -> list[int]:
        """The places of up to ``count`` of the candidates (n, n_decisions)."""
        if self.among == 1 or self.size is None or not len(archs):
            return list(range(min(count, len(archs))))
        sizes, groups = self.size(archs), min(count, len(archs))
        return [group + groups * int(sizes[group::groups].argmax()) for group in range(groups)]


#: Whichever candidate comes first.
ANY = Choose()


class Archive:
    """The architectures of a feasible set with their accuracies; nothing is suggested twice.

    Args:
        feasible: what may be suggested.
        seed: of the draws.
        canonical: writes architectures that describe equal networks as one, such as
            ``space.canonical``; None where none are equal.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        seed: int,
        canonical: Callable[[IntArray], IntArray] | None = None,
    ):
        self.feasible = feasible
        self.canonical = (lambda archs: archs) if canonical is None else canonical
        self.rng = np.random.default_rng([seed, 0xE70])
        self._accuracy: dict[tuple[int, ...], float] = {}
        self._known: set[tuple[int, ...]] = set()

    def __len__(self) -> int:
        return len(self._accuracy)

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures; infeasible ones are left out."""
        values = np.asarray(accuracies, np.float64)
        for arch, accuracy, kept in zip(archs, values, self.feasible.contains(archs), strict=True):
            if kept:
                key = tuple(arch.tolist())
                self._accuracy[key] = float(accuracy)
                self._known.add(key)

    @property
    def told(self) -> tuple[IntArray, FloatArray]:
        """All architectures told (n, n_decisions), in order, and their accuracies (n,)."""
        return self.rows(list(self._accuracy)), np.array(list(self._accuracy.values()))

    def best(self) -> tuple[IntArray, float]:
        """The most accurate architecture told, the cheaper of equals, and its accuracy."""
        top = self.top(1)
        return top[0], self._accuracy[tuple(top[0].tolist())]

    def top(self, count: int) -> IntArray:
        """The most accurate architectures told (count, n_decisions), the best first."""
        archs = np.array(list(self._accuracy), np.int64)
        values = np.array(list(self._accuracy.values()))
        costs = self.feasible.constraints[0].values(archs)
        return archs[rank(archs, values, costs)[:count]]

    def unknown(self, archs: IntArray) -> IntArray:
        """Those within the budgets that describe no network that was told, one of equals."""
        told, written = self.canonical(self.told[0]), self.canonical(archs)
        _, first = np.unique(np.concatenate([told, written]), axis=0, return_index=True)
        kept = archs[np.sort(first[first >= len(told)]) - len(told)]
        return kept[self.feasible.contains(kept)]

    def new(
        self, count: int, draw: Callable[[int], IntArray], choose: Choose = ANY
    ) -> list[tuple[int, ...]]:
        """Up to ``count`` feasible architectures that were never suggested, from ``draw(n)``.

        Each is chosen from candidates that were not suggested, either.
        """
        wanted = count * choose.among
        taken: dict[tuple[int, ...], None] = {}
        for _ in range(_DRAWS_EACH):
            if len(taken) >= wanted:
                break
            drawn = draw(wanted)
            for arch in drawn[self.feasible.contains(drawn)]:
                key = tuple(arch.tolist())
                if len(taken) < wanted and key not in self._known:
                    taken[key] = None
        candidates = list(taken)
        places = choose(self.rows(candidates), count)
        chosen = [candidates[place] for place in places]
        self._known.update(chosen)
        return chosen

    def uniform(self, count: int) -> list[tuple[int, ...]]:
        """Up to ``count`` new architectures, uniform over the feasible set."""
        return self.new(count, lambda n: self.feasible.sample(n, self.rng))

    def neighbours(self, count: int) -> list[tuple[int, ...]]:
        """Up to ``count`` new architectures that differ from the best in one decision, by chance.

        They are nobody's guess: what a model of accuracies misjudges next to the best is met, too.
        """
        if not count or not len(self):
            return []
        near = self.unknown(neighbours_of(self.best()[0], self.feasible.n_choices))
        return self.new(count, lambda _: self.rng.permutation(near))

    def rows(self, keys: list[tuple[int, ...]]) -> IntArray:
        """Architectures (n, n_decisions) of tuples."""
        n_decisions = len(self.feasible.n_choices)
        return np.array(keys, np.int64).reshape(len(keys), n_decisions)
