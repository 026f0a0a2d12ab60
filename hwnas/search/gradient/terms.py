"""The costs in the loss of the architecture parameters (BetaNAS, eq. 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy.typing as npt
from torch import Tensor

from hwnas.arrays import FloatArray
from hwnas.costs import Budget, Constraint
from hwnas.predictors import require
from hwnas.search.constraints import constraints_for, of_any
from hwnas.search.gradient.cost_weights import CostWeights, FixedWeights, PIController
from hwnas.search.problem import Problem

__all__ = ["Term", "loss_terms"]


class Term(Protocol):
    """A cost in the loss; `hwnas.costs.AdditiveCost` is one."""

    def __call__(self, archs: npt.ArrayLike, /) -> FloatArray:
        """Costs (n,) of architectures (n, n_decisions)."""
        ...

    def expected(self, probabilities: Sequence[Tensor], /) -> Tensor:
        """The mean cost if each decision is drawn from its own distribution; differentiable."""
        ...


def loss_terms(problem: Problem, betas: Mapping[str, float]) -> tuple[list[Term], CostWeights]:
    """The costs in the loss, and what weighs them: those of the budgets, or those of fixed betas.

    Both are the very costs that the budgets limit. A budget that no architecture breaks says
    nothing of where to end, and is no term.

    Args:
        problem: whose budgets are steered to.
        betas: quantity -> nats per unit; empty for the budgets.
    """
    if not betas:
        binding = [c for c in problem.constraints if c.cost.maximum()[1] > c.budget.limit]
        terms = [_term(constraint, problem) for constraint in binding]
        limits = [constraint.budget.limit for constraint in binding]
        return terms, PIController(limits) if terms else FixedWeights([])
    named = [Budget(name, 1.0) for name in betas]
    constraints = constraints_for(named, problem.space, problem.predictor)
    return [_term(c, problem) for c in constraints], FixedWeights(list(betas.values()))


def _term(kept: Constraint, problem: Problem) -> Term:
    constraint = of_any(kept)  # the most probable architecture may have no path, and has a cost
    if constraint.check is None:
        return constraint.cost
    steady = constraint.budget.quantity == "latency" and constraint.budget.percentile is None
    if steady and problem.confidence is None:
        return _Guided(constraint, require(problem.predictor, "expected", "a gradient method"))
    return _Guided(constraint, constraint.cost)


class _Expecting(Protocol):
    def expected(self, probabilities: Sequence[Tensor], /) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class _Guided:
    """A cost that is no sum: exact for an architecture, its expectation as good as it is known."""

    constraint: Constraint
    guide: _Expecting

    def __call__(self, archs: npt.ArrayLike, /) -> FloatArray:
        return self.constraint.values(archs)

    def expected(self, probabilities: Sequence[Tensor], /) -> Tensor:
        return self.guide.expected(probabilities)
