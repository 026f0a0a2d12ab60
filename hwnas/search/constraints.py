"""Budgets of a search as constraints: what is limited, and how surely it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Budget, Check, Constraint, nearest_sum
from hwnas.errors import BudgetError, OptionError
from hwnas.predictors import (
    AdditivePredictor,
    GivesIntervals,
    LatencyPredictor,
    LookedUpLatency,
    require,
)
from hwnas.predictors.intervals import check_confidence
from hwnas.spaces import SearchSpace

__all__ = ["check_budgets", "check_confidence_used", "constraints_for", "of_any", "of_connected"]

#: Networks that a guide is fitted to where each of them must be built.
_BUILT = 1000


def constraints_for(
    budgets: Sequence[Budget],
    space: SearchSpace,
    predictor: LatencyPredictor,
    confidence: float | None = None,
    *,
    measured: bool = False,
) -> list[Constraint]:
    """Each budget with what it limits: the predicted latency, or an analytic cost of the space.

    What is a sum over decisions is limited as one; all else by its own exact values, with the
    nearest sum as the guide that proposes. No architecture without a path from its input to its
    output keeps them.

    Args:
        budgets: to be kept.
        space: whose costs are limited.
        predictor: of latency.
        confidence: of the predictor's intervals. Then only architectures whose upper end keeps the
            latency budget are feasible; None for the prediction itself, or where nothing is
            measured for the predictor's own ``margin``, if it has one.
        measured: a device is at hand, which decides about those in doubt: all whose lower end
            keeps the budget are feasible.

    Raises:
        BudgetError: a budget of BitOps for a space that has none.
        OptionError: a confidence that is no probability, or a predictor without intervals.
    """
    check_budgets(budgets, space)
    if confidence is None and not measured:
        confidence = getattr(predictor, "margin", None)

    def constraint(budget: Budget) -> Constraint:
        if budget.quantity != "latency":
            return _analytic(budget, space)
        if confidence is None:
            return _predicted(budget, predictor)
        return _confident(budget, space, predictor, confidence, measured=measured)

    return [of_connected(constraint(budget), space) for budget in budgets]


def of_connected(constraint: Constraint, space: SearchSpace) -> Constraint:
    """The same constraint, which what is not connected (`SearchSpace.connected`) never keeps."""
    if not space.may_be_cut:
        return constraint
    upper = constraint.upper_bound
    return replace(
        constraint,
        upper_bound=None if upper is None else of_connected(upper, space),
        check=_OfConnected(space, constraint),
    )


def of_any(constraint: Constraint) -> Constraint:
    """The constraint that `of_connected` was given, whose costs are finite everywhere."""
    check = constraint.check
    return check.constraint if isinstance(check, _OfConnected) else constraint


def check_budgets(budgets: Sequence[Budget], space: SearchSpace) -> None:
    """Raise `BudgetError` if a budget limits what the space has nothing of."""
    if not space.quantised and any(b.quantity == "bitops" for b in budgets):
        raise BudgetError(
            f"{space.name} quantises nothing, so that every network keeps a budget of BitOps: "
            "search resnet18-bits or resnet34-bits, or give another budget"
        )


def check_confidence_used(confidence: float | None, budgets: Sequence[Budget]) -> None:
    """Raise `OptionError` if a confidence is given, and no latency budget that it could be of."""
    if confidence is not None and all(budget.quantity != "latency" for budget in budgets):
        given = ", ".join(map(str, budgets)) or "no budget"
        raise OptionError(
            f"a confidence is of the latency budget, got {confidence:g} and {given}: give a "
            "latency budget, or leave the confidence out"
        )


def _analytic(budget: Budget, space: SearchSpace) -> Constraint:
    if space.additive:
        return Constraint(budget, space.cost(budget.quantity))
    return _guided(budget, space.exact(budget.quantity), space)


def _predicted(budget: Budget, predictor: LatencyPredictor) -> Constraint:
    return Constraint(
        budget,
        predictor.cost,
        check=None if predictor.additive else predictor.predict,
        dear=predictor.space.modules is not None,
    )


def _confident(
    budget: Budget,
    space: SearchSpace,
    predictor: LatencyPredictor,
    confidence: float,
    *,
    measured: bool,
) -> Constraint:
    """The end of the interval that must keep the budget, and the upper end as what surely does."""
    check_confidence(confidence)
    if isinstance(predictor, AdditivePredictor) and predictor.additive:
        upper = Constraint(budget, predictor.upper_cost(confidence))
        lowest = predictor.lower_cost(confidence) if measured else upper.cost
        return Constraint(budget, lowest, upper)
    intervals = require(predictor, "predict_interval", "a confidence that the budget is kept")
    end = _IntervalEnd(intervals, confidence, 1)
    if isinstance(predictor, LookedUpLatency):  # its rows can be asked for, and nothing else
        upper = Constraint(budget, predictor.cost, check=end)
    else:
        upper = _guided(budget, end, space)
    if not measured:
        return Constraint(budget, upper.cost, upper, upper.check, upper.dear)
    lower = _guided(budget, _IntervalEnd(intervals, confidence, 0), space)
    return Constraint(budget, lower.cost, upper, lower.check, lower.dear)


def _guided(budget: Budget, check: Check, space: SearchSpace) -> Constraint:
    dear = space.modules is not None
    nearest = nearest_sum(check, space.n_choices, **{"samples": _BUILT} if dear else {})
    return Constraint(budget, nearest.cost, check=check, dear=dear)


@dataclass(frozen=True, slots=True, eq=False)
class _OfConnected:
    """What architectures cost, inf for those that are not connected."""

    space: SearchSpace
    constraint: Constraint

    def __call__(self, archs: IntArray) -> FloatArray:
        costs: FloatArray = np.where(
            self.space.connected(archs), self.constraint.values(archs), np.inf
        )
        return costs


@dataclass(frozen=True, slots=True, eq=False)
class _IntervalEnd:
    """The lower (0) or upper (1) end of a predictor's intervals, in ms."""

    predictor: GivesIntervals
    confidence: float
    end: int

    def __call__(self, archs: IntArray) -> FloatArray:
        ends: FloatArray = self.predictor.predict_interval(archs, self.confidence)[:, self.end]
        return ends
