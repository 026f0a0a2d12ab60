"""The most probable architecture within limits on additive costs, found exactly.

Each decision has its own distribution, so the log-probability of an architecture is a sum over
decisions, as its costs are: a knapsack that takes one choice a decision. Dynamic programming over
each limit's steps, from the last decision to the first, tells how much log-probability a partial
architecture can still gain. With several limits that is done for each alone and for the weighting
of all that Lagrangian duality finds hardest; a walk over the decisions then keeps what can still
beat the best architecture known.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs.additive import AdditiveCost
from hwnas.costs.jointly_feasible import jointly_feasible
from hwnas.errors import InfeasibleBudgetError

__all__ = ["argmax_within", "constrained_argmax"]

#: Columns of the dynamic programming. Costs are rounded down to them, so that it never tells less
#: than the truth; the walk goes by the exact steps.
_COLUMNS = 2**13
#: Partial architectures kept in the first walk, whose result lets the second drop most of its own.
_NARROW = 256
#: The same in the second walk of `argmax_within`, which ends in any case.
_WIDE = 20_000


def constrained_argmax(
    log_probabilities: Sequence[npt.ArrayLike],
    costs: Sequence[AdditiveCost],
    limits: Sequence[float],
) -> IntArray:
    """The architecture (n_decisions,) of the greatest probability within every limit.

    Args:
        log_probabilities: for each decision (n_choices,), in nats; -inf for what must not be taken.
        costs: over the same decisions.
        limits: one a cost, in its unit.

    Raises:
        InfeasibleBudgetError: nothing that may be taken keeps all limits.
    """
    return _argmax(log_probabilities, costs, limits, None)[0]


def argmax_within(
    gains: Sequence[npt.ArrayLike], costs: Sequence[AdditiveCost], limits: Sequence[float]
) -> tuple[IntArray, bool]:
    """The same for any gains that add up, in bounded time, and whether none can gain more.

    Gains that rise and fall with a cost, as MACs within a budget of MACs, leave more partial
    architectures than can be kept that might be better by next to nothing.

    Args:
        gains: for each decision (n_choices,); -inf for what must not be taken.
        costs, limits: as in `constrained_argmax`.

    Raises:
        InfeasibleBudgetError: nothing that may be taken keeps all limits.
    """
    return _argmax(gains, costs, limits, _WIDE)


def _argmax(
    log_probabilities: Sequence[npt.ArrayLike],
    costs: Sequence[AdditiveCost],
    limits: Sequence[float],
    most: int | None,
) -> tuple[IntArray, bool]:
    values = [np.asarray(row, np.float64) for row in log_probabilities]
    allowed = [np.flatnonzero(np.isfinite(row)) for row in values]
    if not all(len(take) for take in allowed):
        raise InfeasibleBudgetError("a decision has no choice of a probability above 0")
    gains = [row[take] for row, take in zip(values, allowed, strict=True)]
    payable = [cost.restrict(allowed) for cost in costs]
    least = [cost.minimum()[1] for cost in payable]
    if any(low > limit for low, limit in zip(least, limits, strict=True)) or not jointly_feasible(
        payable, limits
    ):
        raise InfeasibleBudgetError("no architecture that may be taken keeps every limit")
    rises = [
        np.stack([entry - entry.min() for entry in entries], axis=1)
        for entries in zip(*(cost.entries for cost in payable), strict=True)
    ]
    room = np.array([c.steps_within(limit) for c, limit in zip(payable, limits, strict=True)])
    room -= [cost.fixed + sum(int(entry.min()) for entry in cost.entries) for cost in payable]
    path, complete = _best_path(gains, rises, room, most)
    return np.array([take[at] for take, at in zip(allowed, path, strict=True)], np.int64), complete


def _best_path(
    gains: Sequence[FloatArray], rises: Sequence[IntArray], room: IntArray, most: int | None
) -> tuple[IntArray, bool]:
    """The positions of the best choices, where anything fits, and whether none are better.

    Args:
        gains: log-probabilities of each decision (n_choices,).
        rises: steps above the cheapest choice, (n_choices, n_costs).
        room: steps that all rises together may take, (n_costs,).
        most: partial architectures to keep in the second walk; None for all.
    """
    scale = 1.0 / np.maximum(room, 1)
    weightings = np.eye(len(room)) * scale
    if len(room) > 1:
        hardest = scale * _hardest(gains, [row * scale for row in rises], room * scale)
        weightings = np.vstack([weightings, hardest])
    bounds = [
        _Bound(gains, [row @ weights for row in rises], float(room @ weights))
        for weights in weightings
    ]
    best, path = -math.inf, np.empty(0, np.int64)
    for width in (_NARROW, most):
        gained = np.zeros(1)
        left = room[None]
        paths = np.empty((1, 0), np.int64)
        complete = True
        for d, (gain, rise) in enumerate(zip(gains, rises, strict=True)):
            before, choice = (a.ravel() for a in np.indices((len(gained), len(gain))))
            gained, left = gained[before] + gain[choice], left[before] - rise[choice]
            reach = np.min(
                [b.reach(d + 1, left @ w) for b, w in zip(bounds, weightings, strict=True)], axis=0
            )
            kept = np.flatnonzero((left >= 0).all(axis=1) & (gained + reach > best))
            if width is not None and len(kept) > width:
                complete = False
                kept = kept[np.argsort(-(gained + reach)[kept], kind="stable")[:width]]
            paths = np.column_stack([paths[before[kept]], choice[kept]])
            gained, left = gained[kept], left[kept]
        if len(gained):
            best, path = gained.max(), paths[gained.argmax()]
        if complete:
            break
    return path, complete


class _Bound:
    """The most that decisions d, d+1, ... can gain within what is left of one weighted cost.

    Args:
        gains: for each decision (n_choices,).
        rises: what each choice takes, (n_choices,), at least 0.
        room: what all may take together.
    """

    def __init__(self, gains: Sequence[FloatArray], rises: Sequence[FloatArray], room: float):
        self._grain = room / (_COLUMNS - 1) if room > 0 else 1.0
        table = np.zeros(_COLUMNS)
        tables = [table]
        for gain, rise in zip(reversed(gains), reversed(rises), strict=True):
            after = np.full(_COLUMNS, -math.inf)
            for value, column in zip(gain, self._columns(rise, -1e-9), strict=True):
                if column < _COLUMNS:
                    ahead = after[column:]
                    np.maximum(ahead, table[: _COLUMNS - column] + value, out=ahead)
            table = after
            tables.append(table)
        self._tables = tables[::-1]

    def reach(self, decision: int, left: FloatArray) -> FloatArray:
        """The most to be gained from ``decision`` on, for each of ``left`` (n,), at least 0."""
        gained: FloatArray = self._tables[decision][
            np.minimum(self._columns(left, 1e-9), _COLUMNS - 1)
        ]
        return gained

    def _columns(self, amounts: FloatArray, rounding: float) -> npt.NDArray[Any]:
        """Rounded down; where floats decide, what is taken goes down and what is left goes up."""
        return np.maximum(np.floor(amounts / self._grain + rounding), 0).astype(np.int64)


def _hardest(
    gains: Sequence[FloatArray], rises: Sequence[FloatArray], room: FloatArray
) -> FloatArray:
    """Weights (n_costs,) whose sum of costs bounds the gain most, about.

    Subgradient steps on the Lagrangian dual. Any weights give a bound; good ones keep walks short.
    """
    weights = np.full(len(room), 1.0)
    least, hardest = math.inf, weights
    for step in range(300):
        best = [int((g - r @ weights).argmax()) for g, r in zip(gains, rises, strict=True)]
        gain = sum(g[at] for g, at in zip(gains, best, strict=True))
        taken = np.sum([r[at] for r, at in zip(rises, best, strict=True)], axis=0)
        dual = float(gain + weights @ (room - taken))
        if dual < least:
            least, hardest = dual, weights
        weights = np.maximum(weights + (taken - room) * 4 / (2 + step / 4), 0.0)
    return hardest if hardest.any() else np.ones(len(room))
