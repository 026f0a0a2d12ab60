"""Whether some architecture keeps limits on several additive costs at once, decided exactly."""

import math
from collections.abc import Sequence

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs.additive import AdditiveCost

__all__ = ["jointly_feasible", "pareto"]

#: Partial sums kept in a first, hopeful walk, which finds most of what can be found.
_NARROW = 256


def jointly_feasible(costs: Sequence[AdditiveCost], limits: Sequence[float]) -> bool:
    """Whether some architecture costs at most ``limits[i]`` by each ``costs[i]``.

    Walks the decisions with the Pareto-optimal partial sums. For each cost alone, and for the
    weighting of all that is hardest to keep, the cheapest completion of a partial sum is known: a
    sum whose completion breaks that bound is dropped, and one that a completion leaves within every
    limit ends the walk.

    Args:
        costs: over the same decisions, each at its least within its limit.
        limits: in the units of the costs.
    """
    room = np.array(
        [
            cost.steps_within(limit) - cost.fixed - sum(int(entry.min()) for entry in cost.entries)
            for cost, limit in zip(costs, limits, strict=True)
        ]
    )
    rises = [  # of each decision (n_choices, n_costs)
        np.stack([entry - entry.min() for entry in entries], axis=1)
        for entries in zip(*(cost.entries for cost in costs), strict=True)
    ]
    scale = np.maximum(room, 1)
    weights = np.vstack([np.eye(len(costs)), _hardest_weighting([r / scale for r in rises])])
    weights /= scale
    rest = [np.zeros((len(weights), len(costs)), np.int64)]  # the cheapest of what is to come
    for rise in reversed(rises):
        rest.append(rest[-1] + rise[(rise @ weights.T).argmin(axis=0)])
    completions = rest[-2::-1]

    allowed = weights @ room + 1e-9  # no sum is dropped for a rounding error
    for width in (_NARROW, math.inf):
        complete = True
        sums = np.zeros((1, len(costs)), np.int64)
        for rise, cheapest in zip(rises, completions, strict=True):
            sums = (sums[:, None, :] + rise[None, :, :]).reshape(-1, len(costs))
            bounds = sums @ weights.T + (cheapest * weights).sum(axis=1)
            sums = pareto(sums[(bounds <= allowed).all(axis=1)])
            completed = sums[:, None, :] + cheapest
            if (completed <= room).all(axis=2).any():
                return True
            if len(sums) > width:
                complete = False
                worst = (completed[:, -1] / scale).max(axis=1)
                sums = sums[worst.argsort()[: int(width)]]
        if complete:
            return False
    raise AssertionError("the second walk drops nothing")


def pareto(sums: IntArray) -> IntArray:
    """The rows that no other row dominates (smaller is better in every column), each once."""
    rows: IntArray = np.unique(sums, axis=0)  # sorted by the first column
    if not len(rows):
        return rows
    if rows.shape[1] <= 2:  # then the last column must fall from row to row
        falls = np.ones(len(rows), bool)
        falls[1:] = rows[1:, -1] < np.minimum.accumulate(rows[:, -1])[:-1]
        return rows[falls]
    kept: list[IntArray] = []
    rows = rows[(rows / np.maximum(rows.max(axis=0), 1)).sum(axis=1).argsort(kind="stable")]
    while len(rows):  # nothing dominates the least by a sum over the columns
        kept.append(rows[0])
        rows = rows[(rows < rows[0]).any(axis=1)]
    return np.stack(kept)


def _hardest_weighting(rises: Sequence[FloatArray]) -> FloatArray:
    """Weights (n_costs,) under which even the cheapest architecture overshoots most, about.

    Multiplicative weights: what the cheapest one overshoots counts for more in the next step. Any
    weights give a bound; good ones keep the walk short.

    Args:
        rises: for each decision (n_choices, n_costs), 1 being all the room that a cost has.
    """
    weights = np.full(rises[0].shape[1], 1 / rises[0].shape[1])
    most, hardest = -math.inf, weights
    for step in range(200):
        total = np.sum([rise[(rise @ weights).argmin()] for rise in rises], axis=0)
        if weights @ total > most:
            most, hardest = float(weights @ total), weights
        over = total - 1
        weights = weights * np.exp(over / (np.abs(over).max() + 1e-9) / (2 + step / 10))
        weights /= weights.sum()
    return hardest
