"""Budgets: hard limits as people write them."""

import math
import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal

from hwnas.errors import BudgetError

__all__ = ["QUANTITIES", "Budget", "least_limit", "parse_budget"]

_MILLI, _ONE, _KILO, _MEGA, _GIGA = (Decimal(10) ** power for power in (-3, 0, 3, 6, 9))
_COUNT = {"k": _KILO, "M": _MEGA, "G": _GIGA}
#: Quantity -> its units, as multiples of the unit that ``Budget.limit`` is in. Decimal, since
#: 4.1 times 1e6 is not 4100000 in floats, and a budget of that many is exactly that many.
_UNITS = {
    "latency": {"s": _KILO, "ms": _ONE, "us": _MILLI, "\u00b5s": _MILLI, "\u03bcs": _MILLI},
    "macs": _COUNT,
    "params": _COUNT,
    "bytes": {"kB": _KILO, "MB": _MEGA, "GB": _GIGA},
    "bitops": {"M": Decimal(2**20), "G": Decimal(2**30), "T": Decimal(2**40)},  # as papers do
    "memory": {"kB": _KILO, "MB": _MEGA, "GB": _GIGA},
}
#: What a budget may limit.
QUANTITIES = tuple(_UNITS)


@dataclass(frozen=True, slots=True)
class Budget:
    """``quantity <= limit``; latency in ms, the others in ones. What it prints reads back.

    The M, G and T of BitOps are 2^20, 2^30 and 2^40; see `parse_budget`.

    Attributes:
        quantity: one of `QUANTITIES`.
        limit: that is kept.
        percentile: of a latency: this many of 100 runs keep the limit by the clock, slow spells
            included; None for the steady latency.
    """

    quantity: str
    limit: float
    percentile: float | None = None

    def __str__(self) -> str:
        limit = _written(self.quantity, Decimal(repr(float(self.limit))))
        at = "" if self.percentile is None else f"@p{self.percentile:.12g}"
        return f"{self.quantity}<={limit}{at}"


def _written(quantity: str, value: Decimal) -> str:
    """A limit with its unit: ms, or the largest unit of which it is at least one."""
    units = {"ms": _ONE} if quantity == "latency" else _UNITS[quantity]
    least = min(units, key=units.__getitem__)
    unit = max((u for u in units if units[u] <= value), key=units.__getitem__, default=least)
    return f"{(value / units[unit]).normalize():f}{unit}"


def least_limit(budget: Budget, value: float) -> str:
    """A value with its unit, rounded up to four digits, so that as such a budget it can be kept."""
    rounded = Context(prec=4, rounding=ROUND_CEILING).plus(Decimal(repr(value)))
    at = "" if budget.percentile is None else f"@p{budget.percentile:.12g}"
    return _written(budget.quantity, rounded) + at


def parse_budget(text: str) -> Budget:
    """Read ``latency<=6ms``, ``macs<=330M``, ``params<=4M``, ``memory<=50MB``, ``bitops<=14.2G``.

    ``latency<=6ms@p90`` limits the 90th percentile of a latency as the clock measures it.

    M and G are powers of 1000, but those of BitOps are powers of 1024, since papers print BitOps
    divided by 2^30 (Single Path One-Shot, table 6: ResNet-18 with 2 bits everywhere has 6.32G).

    Raises:
        BudgetError: unknown quantity or unit, no unit, or not a positive number; a percentile
            outside 0 to 100, or of another quantity.
    """
    given = text if isinstance(text, str) else ""  # what is no text is no budget
    quantity, relation, value = (part.strip() for part in given.partition("<="))
    if not relation or quantity not in _UNITS:
        raise BudgetError(
            f"a budget is one of {', '.join(_UNITS)} with <= and a limit, such as latency<=6ms; "
            f"got {text!r}"
        )
    value, percentile = _at(quantity, value)
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
    return Budget(quantity, limit, percentile)


def _at(quantity: str, value: str) -> tuple[str, float | None]:
    """The text of a limit without its percentile, and the percentile.

    Raises:
        BudgetError: it lies outside 0 to 100, or the quantity has none.
    """
    limit, at, text = (part.strip() for part in value.partition("@"))
    if not at:
        return value, None
    if quantity != "latency":
        raise BudgetError(
            f"percentiles are of the latency, such as latency<=6ms@p90; got {quantity}<={value}"
        )
    match = re.fullmatch(r"p(\d+\.?\d*|\.\d+)", text, re.ASCII)
    if match is None or not 0 < float(match[1]) < 100:
        raise BudgetError(
            f"a percentile lies between 0 and 100, such as latency<=6ms@p90; got {value!r}"
        )
    return limit, float(match[1])
