"""The fixed weights of costs, as a person writes them: ``latency=0.1``, nats per unit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hwnas.costs import Budget
from hwnas.errors import OptionError
from hwnas.predictors import require
from hwnas.search.constraints import check_budgets
from hwnas.search.problem import Problem

__all__ = ["BETA_UNITS", "beta_facts", "check_betas", "parse_betas"]

#: What a beta that a person writes is per: the name, and how many of the cost's own unit it is.
BETA_UNITS = {
    "latency": ("ms", 1.0),
    "macs": ("M MACs", 1e6),
    "params": ("M parameters", 1e6),
    "bytes": ("MB", 1e6),
    "bitops": ("G BitOps", 2.0**30),
}
#: Nats per unit that no loss needs exceeded.
_MOST = 1e6


def parse_betas(texts: Sequence[str]) -> dict[str, float]:
    """Read ``latency=0.1`` and the like: nats per unit of the cost itself, by quantity.

    Raises:
        OptionError: not a quantity and a number of at least 0, or a quantity twice.
    """
    betas: dict[str, float] = {}
    for text in texts:
        quantity, _, number = (part.strip() for part in text.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if quantity not in BETA_UNITS or quantity in betas or not 0 <= value <= _MOST:
            units = ", ".join(f"{name}=NATS per {unit}" for name, (unit, _) in BETA_UNITS.items())
            raise OptionError(
                "a beta is written latency=0.1, once for each cost, and is not below 0, where "
                f"dearer networks would be rewarded: {units}; got {text!r}"
            )
        betas[quantity] = value / BETA_UNITS[quantity][1]
    return betas


def check_betas(texts: Sequence[str], problem: Problem, method: str) -> None:
    """Whether a problem has the costs that a loss weighs: those of betas, else of its budgets.

    Args:
        texts: as `parse_betas` reads them.
        problem: what is searched.
        method: its name in messages.

    Raises:
        BudgetError: a beta of BitOps for a space that has none.
        OptionError: latency is weighed, and the predictor gives no expected latency.
    """
    betas = parse_betas(texts)
    check_budgets([Budget(name, 1.0) for name in betas], problem.space)
    if "latency" in (betas or [budget.quantity for budget in problem.budgets]):
        require(problem.predictor, "expected", f"the method {method}")


def beta_facts(texts: Sequence[str], last: Mapping[str, Any]) -> dict[str, Any]:
    """How costs were weighed, for ``result.json``.

    Args:
        texts: as `parse_betas` reads them.
        last: of the entries of `hwnas.search.gradient.alphas.history`.
    """
    return {
        "beta": parse_betas(texts) or "steered",
        "last_betas": last["beta"],
        "last_expected": last["expected"],
    }
