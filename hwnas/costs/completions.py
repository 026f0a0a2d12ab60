"""Architectures decided choice by choice, each choice leaving a way within the limits."""

from collections.abc import Callable

import numpy as np

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs.feasible_set import FeasibleSet

__all__ = ["Completions", "decode"]

#: From the choices made so far (n, d), scores (n, n_choices) of those of decision d, in nats.
Scores = Callable[[IntArray], FloatArray]


class Completions:
    """Which choices of the next decision can still be completed within every limit.

    With one sum that is exact. With several each is looked at alone, so that choices may be left
    over from which no completion keeps all together; and where a constraint has a check, its guide
    decides here. What comes out is therefore checked by `FeasibleSet.contains`.

    Args:
        feasible: the architectures that keep the limits.
    """

    def __init__(self, feasible: FeasibleSet):
        self.n_choices = feasible.n_choices
        self._sums = []
        for cost, limit in feasible.sums:
            rises = tuple(entry - entry.min() for entry in cost.entries)
            least = cost.fixed + sum(int(entry.min()) for entry in cost.entries)
            self._sums.append((rises, cost.steps_within(limit) - least))

    def allowed(self, decided: IntArray) -> BoolArray:
        """Which choices of the next decision are left.

        Args:
            decided: the first d choices of each of n architectures, (n, d).

        Returns:
            (n, n_choices of decision d).
        """
        n, at = decided.shape
        left = np.ones((n, self.n_choices[at]), bool)
        for rises, room in self._sums:
            spent = np.zeros(n, np.int64)
            for rise, column in zip(rises, decided.T, strict=False):
                spent += rise[column]
            left &= spent[:, None] + rises[at] <= room
        return left


def decode(
    completions: Completions,
    scores: Scores,
    count: int,
    rng: np.random.Generator | None = None,
) -> tuple[IntArray, BoolArray]:
    """Decide architectures choice by choice, among those that `Completions` allows.

    Args:
        completions: says which choices are left.
        scores: of the choices of the next decision; log-probabilities where choices are drawn.
        count: how many architectures.
        rng: draws each choice in proportion to exp(score), among those that are left; None takes
            the highest score.

    Returns:
        Architectures (count, n_decisions), and which of them would have been decided otherwise
        without the limits, (count,). One for which no choice was left, which several sums make
        possible, is decided without the limits, and so breaks them.
    """
    decided = np.empty((count, 0), np.int64)
    limited = np.zeros(count, bool)
    for _ in completions.n_choices:
        values = np.asarray(scores(decided), np.float64)
        if rng is not None:  # the largest of scores with Gumbel noise is a draw by softmax
            values = values + rng.gumbel(size=values.shape)
        left = completions.allowed(decided)
        left[~left.any(axis=1)] = True
        wished = values.argmax(axis=1)
        choice = np.where(left, values, -np.inf).argmax(axis=1)
        limited |= choice != wished
        decided = np.concatenate([decided, choice[:, None]], axis=1)
    return decided, limited
