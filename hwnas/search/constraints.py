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

__all__ = [
    "analytic",
    "check_budgets",
    "check_confidence_used",
    "constraints_for",
    "of_any",
    "of_connected",
    "runs_factor",
]

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
        OptionError: a confidence that is no probability, or a predictor without intervals, or
            without the spread of runs that a percentile needs.
    """
    check_budgets(budgets, space)
    if confidence is None and not measured:
        confidence = getattr(predictor, "margin", None)

    def constraint(budget: Budget) -> Constraint:
        if budget.quantity != "latency":
            return analytic(budget, space)
        factor = runs_factor(budget, predictor)
        if confidence is None:
            return _times(_predicted(budget, predictor), factor)
        found = _confident(budget, space, predictor, confidence, measured=measured)
        return _times(found, factor)

    return [of_connected(constraint(budget), space) for budget in budgets]


def runs_factor(budget: Budget, predictor: LatencyPredictor) -> float:
    """What a latency budget limits, over the latency that is predicted: 1 for the steady one.

    Raises:
        OptionError: a percentile, and a predictor that does not know how runs spread.
    """
    if budget.percentile is None:
        return 1.0
    spread = require(predictor, "percentile_factor", f"the budget {budget}")
    return spread.percentile_factor(budget.percentile)


def _times(constraint: Constraint, factor: float) -> Constraint:
    """The same constraint on costs multiplied by a factor."""
    if factor == 1.0:
        return constraint
    upper, check = constraint.upper_bound, constraint.check
    return replace(
        constraint,
        cost=replace(constraint.cost, unit=constraint.cost.unit * factor),
        upper_bound=None if upper is None else _times(upper, factor),
        check=None if check is None else _Times(check, factor),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    """Costs multiplied by a factor."""

    check: Check
    factor: float

    def __call__(self, archs: IntArray) -> FloatArray:
        costs: FloatArray = self.factor * self.check(archs)
        return costs


def of_connected(constraint: Constraint, space: SearchSpace) -> Constraint:
    """The same constraint, broken by all that is not connected (`SearchSpace.connected`)."""
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
    if any(b.quantity == "memory" for b in budgets) and space.modules is not None:
        raise BudgetError(
            f"networks of {space.name} are a person's own modules, whose live tensors are not "
            "known before each is exported: give a budget of params or bytes instead"
        )


def check_confidence_used(confidence: float | None, budgets: Sequence[Budget]) -> None:
    """Raise `OptionError` if a confidence is given, and no latency budget that it could be of."""
    if confidence is not None and all(budget.quantity != "latency" for budget in budgets):
        given = ", ".join(map(str, budgets)) or "no budget"
        raise OptionError(
            f"a confidence is of the latency budget, got {confidence:g} and {given}: give a "
            "latency budget, or leave the confidence out"
        )


def analytic(budget: Budget, space: SearchSpace) -> Constraint:
    """A budget of what needs no device; any quantity but the latency."""
    if budget.quantity == "memory":  # a peak is no sum
        return _guided(budget, _Memory(space), space, space.layout.sequential)
    if space.additive:
        return Constraint(budget, space.cost(budget.quantity))
    return _guided(budget, space.exact(budget.quantity), space)


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """Bytes of architectures (n, n_decisions) of a space, (n,)."""

    space: SearchSpace

    def __call__(self, archs: IntArray) -> FloatArray:
        return self.space.memory(archs).astype(float)


def _predicted(budget: Budget, predictor: LatencyPredictor) -> Constraint:
    return Constraint(
        budget,
        predictor.cost,
        check=None if predictor.additive else predictor.predict,
        costly=predictor.space.modules is not None,
    )


def _confident(
    budget: Budget,
    space: SearchSpace,
    predictor: LatencyPredictor,
    confidence: float,
    *,
    measured: bool,
) -> Constraint:
    """A constraint on one end of the interval, with that on the upper end as its upper bound."""
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
        return Constraint(budget, upper.cost, upper, upper.check, upper.costly)
    lower = _guided(budget, _IntervalEnd(intervals, confidence, 0), space)
    return Constraint(budget, lower.cost, upper, lower.check, lower.costly)


def _guided(budget: Budget, check: Check, space: SearchSpace, quick: bool = True) -> Constraint:
    """A budget with an exact check, which is asked less often where that is not quick."""
    costly = space.modules is not None
    samples = {"samples": _BUILT} if costly or not quick else {}
    nearest = nearest_sum(check, space.n_choices, **samples)
    return Constraint(budget, nearest.cost, check=check, costly=costly)


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
