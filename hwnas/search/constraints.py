"""Budgets of a search as constraints: what is limited, and how surely it is kept."""

from collections.abc import Sequence

from hwnas.costs import Budget, Constraint
from hwnas.errors import BudgetError
from hwnas.predictors import AdditivePredictor
from hwnas.spaces import SearchSpace

__all__ = ["check_budgets", "constraints_for"]


def constraints_for(
    budgets: Sequence[Budget],
    space: SearchSpace,
    predictor: AdditivePredictor,
    confidence: float | None = None,
    *,
    measured: bool = False,
) -> list[Constraint]:
    """Each budget with what it limits: the predicted latency, or an analytic cost of the space.

    Args:
        budgets: to be kept.
        space: whose costs are limited.
        predictor: of latency.
        confidence: of the predictor's intervals. Then only architectures whose upper end keeps the
            latency budget are feasible; None for the prediction itself.
        measured: a device is at hand, which decides about those in doubt: all whose lower end
            keeps the budget are feasible.

    Raises:
        BudgetError: a budget of BitOps for a space that has none.
    """
    check_budgets(budgets, space)

    def constraint(budget: Budget) -> Constraint:
        if budget.quantity != "latency":
            return Constraint(budget, space.cost(budget.quantity))
        if confidence is None:
            return Constraint(budget, predictor.cost)
        sure = predictor.upper_cost(confidence)
        return Constraint(budget, predictor.lower_cost(confidence) if measured else sure, sure)

    return [constraint(budget) for budget in budgets]


def check_budgets(budgets: Sequence[Budget], space: SearchSpace) -> None:
    """Raise `BudgetError` if a budget limits what the space has nothing of."""
    if not space.quantised and any(b.quantity == "bitops" for b in budgets):
        raise BudgetError(
            f"{space.name} quantises nothing, so that every network keeps a budget of BitOps: "
            "search resnet18-bits or resnet34-bits, or give another budget"
        )
