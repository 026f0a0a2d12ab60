"""Architectures decided choice by choice, each choice leaving a way within the limits."""

from collections.abc import Callable

import numpy as np

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs.feasible_set import FeasibleSet

__all__ = ["decode"]

#: From the choices made so far (n, d), scores (n, n_choices) of those of decision d, in nats.
Scores = Callable[[IntArray], FloatArray]


def decode(
    feasible: FeasibleSet,
    scores: Scores,
    count: int,
    rng: np.random.Generator | None = None,
) -> tuple[IntArray, BoolArray]:
    """Decide architectures choice by choice, among those that `FeasibleSet.allowed` leaves.

    Whatever breaks a budget all the same is told by `FeasibleSet.contains`.

    Args:
        feasible: says which choices are left.
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
    for _ in feasible.n_choices:
        values = np.asarray(scores(decided), np.float64)
        if rng is not None:  # the largest of scores with Gumbel noise is a draw by softmax
            values = values + rng.gumbel(size=values.shape)
        left = feasible.allowed(decided)
        left[~left.any(axis=1)] = True
        wished = values.argmax(axis=1)
        choice = np.where(left, values, -np.inf).argmax(axis=1)
        limited |= choice != wished
        decided = np.concatenate([decided, choice[:, None]], axis=1)
    return decided, limited
