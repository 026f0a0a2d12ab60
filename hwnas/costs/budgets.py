"""Budgets: hard constraints as people write them, alone or several at once."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.costs.additive import AdditiveCost
from hwnas.costs.jointly_feasible import jointly_feasible
from hwnas.errors import BudgetError, InfeasibleBudgetError, OptionError

__all__ = ["Budget", "Constraint", "FeasibleSet", "parse_budget"]

_MILLI, _ONE, _KILO, _MEGA, _GIGA = (Decimal(10) ** power for power in (-3, 0, 3, 6, 9))
_COUNT = {"k": _KILO, "M": _MEGA, "G": _GIGA}
#: Quantity -> its units, as multiples of the unit that ``Budget.limit`` is in. Decimal, since
#: 4.1 times 1e6 is not 4100000 in floats, and who asks for that many gets that many.
_UNITS = {
    "latency": {"s": _KILO, "ms": _ONE, "us": _MILLI, "\u00b5s": _MILLI, "\u03bcs": _MILLI},
    "macs": _COUNT,
    "params": _COUNT,
    "bytes": {"kB": _KILO, "MB": _MEGA, "GB": _GIGA},
    "bitops": {"M": Decimal(2**20), "G": Decimal(2**30), "T": Decimal(2**40)},  # as papers do
}
#: Each rejected draw costs microseconds; this many say that two budgets hardly overlap.
_MAX_DRAWS = 2_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """``quantity <= limit``; latency in ms, the others in ones. What it prints reads back.

    The M, G and T of BitOps are 2^20, 2^30 and 2^40; see `parse_budget`.
    """

    quantity: str
    limit: float

    def __str__(self) -> str:
        return f"{self.quantity}<={_written(self.quantity, Decimal(repr(float(self.limit))))}"


def _written(quantity: str, value: Decimal) -> str:
    """A limit with its unit: ms, or the largest unit of which it is at least one."""
    units = {"ms": _ONE} if quantity == "latency" else _UNITS[quantity]
    least = min(units, key=units.__getitem__)
    unit = max((u for u in units if units[u] <= value), key=units.__getitem__, default=least)
    return f"{(value / units[unit]).normalize():f}{unit}"


def parse_budget(text: str) -> Budget:
    """Read ``latency<=6ms``, ``macs<=330M``, ``params<=4M``, ``bytes<=50MB``, ``bitops<=14.2G``.

    M and G are powers of 1000, but those of BitOps are powers of 1024, since papers print BitOps
    divided by 2^30 (Single Path One-Shot, table 6: ResNet-18 with 2 bits everywhere has 6.32G).

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
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([^\W\d_]*)", value)
    example = "6ms" if quantity == "latency" else f"4{list(units)[1]}"
    if match is None or match[2] not in units:
        raise BudgetError(
            f"a {quantity} budget is a positive number with a unit ({', '.join(units)}), "
            f"such as {example}; got {value!r}"
        )
    limit = float(Decimal(match[1]) * units[match[2]])
    if not (math.isfinite(limit) and limit > 0):
        raise BudgetError(
            f"a {quantity} budget must be finite and above zero, such as {example}; got {value!r}"
        )
    return Budget(quantity, limit)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A budget with the additive cost that it limits.

    Attributes:
        budget: the limit.
        cost: of architectures.
        upper_bound: a cost that is not exceeded, with the confidence that was asked for; where the
            cost leaves doubts, measuring settles them, and this one where nothing is measured.
    """

    budget: Budget
    cost: AdditiveCost
    upper_bound: AdditiveCost | None = None


class FeasibleSet:
    """The architectures that keep every one of several budgets.

    With one budget it is counted and sampled exactly. With several, draws are exactly uniform over
    the smallest single set and those that break another budget are dropped; whether any
    architecture keeps all of them is decided exactly beforehand.

    Args:
        constraints: at least one.
        describe: prints an architecture in errors; `SearchSpace.format`.

    Raises:
        InfeasibleBudgetError: no architecture keeps all budgets.
    """

    def __init__(
        self, constraints: Sequence[Constraint], describe: Callable[[IntArray], str] = str
    ):
        self.constraints = tuple(constraints)
        if not constraints:
            raise OptionError("at least one budget is needed")
        for constraint in self.constraints:
            arch, least = constraint.cost.minimum()
            if least > constraint.budget.limit:
                # rounded up, so that the number given back as a budget can be kept
                rounded = Context(prec=4, rounding=ROUND_CEILING).plus(Decimal(repr(least)))
                raise InfeasibleBudgetError(
                    f"no architecture keeps {constraint.budget}: the least is "
                    f"{_written(constraint.budget.quantity, rounded)}, of {describe(arch)}"
                )
        costs = [c.cost for c in self.constraints]
        if not jointly_feasible(costs, [c.budget.limit for c in self.constraints]):
            budgets = " and ".join(str(c.budget) for c in self.constraints)
            raise InfeasibleBudgetError(
                f"no architecture keeps {budgets} together, though each alone can be kept: "
                "loosen one of them"
            )
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
