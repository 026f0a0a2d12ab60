"""Budgets: hard constraints as people write them, alone or several at once."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.costs.additive import AdditiveCost, IntArray
from hwnas.errors import BudgetError, InfeasibleBudgetError

__all__ = ["Budget", "Constraint", "FeasibleSet", "parse_budget"]

_TIME = {"s": 1e3, "ms": 1.0, "us": 1e-3, "µs": 1e-3}
_COUNT = {"k": 1e3, "M": 1e6, "G": 1e9}
#: Quantity -> its units, as multiples of the unit that ``Budget.limit`` is in.
_UNITS = {
    "latency": _TIME,
    "macs": _COUNT,
    "params": _COUNT,
    "bytes": {"kB": 1e3, "MB": 1e6, "GB": 1e9},
}
#: Each rejected draw costs microseconds; this many say that two budgets hardly overlap.
_MAX_DRAWS = 2_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """``quantity <= limit``; latency in ms, the others in ones."""

    quantity: str
    limit: float

    def __str__(self) -> str:
        if self.quantity == "latency":
            return f"latency<={self.limit:g}ms"
        units = _UNITS[self.quantity]
        unit = max((u for u in units if units[u] <= self.limit), key=units.__getitem__, default="")
        return f"{self.quantity}<={self.limit / units.get(unit, 1):g}{unit}"


def parse_budget(text: str) -> Budget:
    """Read ``latency<=6ms``, ``macs<=330M``, ``params<=4M`` or ``bytes<=50MB``.

    Raises:
        BudgetError: unknown quantity or unit, no unit, or not a positive number.
    """
    quantity, relation, value = (part.strip() for part in text.partition("<="))
    if not relation or quantity not in _UNITS:
        raise BudgetError(
            f"a budget is one of {', '.join(_UNITS)} with <= and a limit, such as latency<=6ms; "
            f"got {text!r}"
        )
    units = _UNITS[quantity]
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([A-Za-zµ]*)", value)
    example = "6ms" if quantity == "latency" else f"4{list(units)[1]}"
    if match is None or match[2] not in units:
        raise BudgetError(
            f"a {quantity} budget is a positive number with a unit ({', '.join(units)}), "
            f"such as {example}; got {value!r}"
        )
    limit = float(match[1]) * units[match[2]]
    if not (math.isfinite(limit) and limit > 0):
        raise BudgetError(
            f"a {quantity} budget must be above zero, such as {example}; got {value!r}"
        )
    return Budget(quantity, limit)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A budget with the additive cost that it limits."""

    budget: Budget
    cost: AdditiveCost


class FeasibleSet:
    """The architectures that keep every one of several budgets.

    With one budget it is counted and sampled exactly. With several, draws are exactly uniform over
    the smallest single set and those that break another budget are dropped; whether any
    architecture keeps all of them is decided exactly beforehand.

    Args:
        constraints: at least one.

    Raises:
        InfeasibleBudgetError: no architecture keeps all budgets.
    """

    def __init__(self, constraints: Sequence[Constraint]):
        self.constraints = tuple(constraints)
        for constraint in self.constraints:
            _, least = constraint.cost.minimum()
            if least > constraint.budget.limit:
                least_text = str(Budget(constraint.budget.quantity, least)).partition("<=")[2]
                raise InfeasibleBudgetError(
                    f"no architecture keeps {constraint.budget}: the least is {least_text}"
                )
        cheapest = np.array([c.cost.minimum()[0] for c in self.constraints])
        if not self.contains(cheapest).any():
            _check_joint(self.constraints)
        sets = [c.cost.within(c.budget.limit) for c in self.constraints]
        self._smallest = min(sets, key=lambda within: within.count)

    @property
    def count(self) -> int:
        """The number of architectures: exact for one budget, an upper bound for several."""
        return self._smallest.count

    def contains(self, archs: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which rows of an integer array (n, n_decisions) keep every budget."""
        rows = np.asarray(archs)
        kept = np.ones(len(rows), bool)
        for constraint in self.constraints:
            kept &= constraint.cost(rows) <= constraint.budget.limit
        return kept

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Uniform draws (count, n_decisions) of architectures that keep every budget.

        Raises:
            InfeasibleBudgetError: two million draws gave too few; the budgets hardly overlap.
        """
        found = [np.empty((0, len(self.constraints[0].cost.entries)), np.int64)]
        have = drawn = 0
        while have < count:
            if drawn >= _MAX_DRAWS:
                budgets = ", ".join(str(c.budget) for c in self.constraints)
                raise InfeasibleBudgetError(
                    f"only {have} of {drawn} draws kept all of {budgets} ({count} are needed): "
                    "loosen the tightest of them"
                )
            batch = self._smallest.sample(max(count, 256 if drawn == 0 else 65_536), rng)
            drawn += len(batch)
            found.append(batch[self.contains(batch)])
            have += len(found[-1])
        return np.concatenate(found)[:count]


def _check_joint(constraints: Sequence[Constraint]) -> None:
    """Decide exactly whether some architecture keeps all budgets.

    Walks the decisions with the Pareto-optimal partial sums; a sum that cannot be completed within
    some budget is dropped.
    """
    costs = [c.cost for c in constraints]
    room = np.array(
        [c.cost.steps_within(c.budget.limit) - c.cost.fixed - _least(c.cost) for c in constraints]
    )
    sums = np.zeros((1, len(costs)), np.int64)
    for d in range(len(costs[0].entries)):
        rises = np.stack([cost.entries[d] - cost.entries[d].min() for cost in costs], axis=1)
        sums = (sums[:, None, :] + rises[None, :, :]).reshape(-1, len(costs))
        sums = _pareto(sums[(sums <= room).all(axis=1)])
        if not len(sums):
            budgets = " and ".join(str(c.budget) for c in constraints)
            raise InfeasibleBudgetError(
                f"no architecture keeps {budgets} together, though each alone can be kept: "
                "loosen one of them"
            )


def _least(cost: AdditiveCost) -> int:
    return sum(int(entry.min()) for entry in cost.entries)


def _pareto(sums: IntArray) -> IntArray:
    """The rows that no other row dominates (smaller is better in every column)."""
    sums = np.unique(sums, axis=0)  # sorted by the first column, so later rows cannot dominate
    kept = np.empty((0, sums.shape[1]), np.int64)
    for row in sums:
        if not (kept[:, 1:] <= row[1:]).all(axis=1).any():
            kept = np.vstack([kept[(kept < row).any(axis=1)], row])
    return kept
