"""The largest network within the budgets: a baseline that needs no search."""

from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import argmax_within, everything, keep_all
from hwnas.errors import InfeasibleBudgetError
from hwnas.search.problem import Problem

__all__ = ["Largest", "largest_within"]

#: Draws within the budgets, where costs are no sums and the space is too large to look through.
_DRAWS = 1000
#: The same where each network must be built.
_BUILT = 200
#: Limits of guides, as shares of the budgets, within which the most MACs are looked for.
_SHARES = (1.02, 1.0, 0.98, 0.95, 0.9)


@dataclass(frozen=True)
class Largest:
    """The network of the most MACs that was found within the budgets.

    Attributes:
        architecture: (n_decisions,).
        exact: whether no network within the budgets has more MACs.
    """

    architecture: IntArray
    exact: bool


def largest_within(problem: Problem) -> Largest:
    """The largest network within the budgets of a problem.

    It is certain where architectures are listed or few enough to be looked through, and where costs
    are sums unless more networks are nearly as large than can be told apart (within a budget of
    MACs it then has about all of them). Elsewhere it is the best of what the guides propose and of
    draws.
    """
    space, constraints = problem.space, problem.constraints
    costly = space.modules is not None
    every = everything(space.n_choices, costly=costly) if problem.listed is None else problem.listed
    if every is not None:
        return Largest(_largest(problem, keep_all(constraints, every)), True)
    costs, limits = [c.cost for c in constraints], [c.budget.limit for c in constraints]
    if space.additive and all(c.check is None for c in constraints):
        return Largest(*argmax_within(_gains(problem), costs, limits))
    found = [_drawn(problem)]
    for share in _SHARES if space.additive else ():
        widened = [
            limit if c.check is None else limit * share
            for c, limit in zip(constraints, limits, strict=True)
        ]
        try:
            found.append(argmax_within(_gains(problem), costs, widened)[0][None])
        except InfeasibleBudgetError:
            break
    kept = keep_all(constraints, np.concatenate(found))
    return Largest(_largest(problem, kept), False)


def _drawn(problem: Problem) -> IntArray:
    """Architectures (n, n_decisions) within the budgets; the one known where draws hardly are."""
    rng = np.random.default_rng([problem.seed, 0x1A26])
    try:
        return problem.feasible.sample(_DRAWS if problem.space.modules is None else _BUILT, rng)
    except InfeasibleBudgetError:
        known = problem.feasible.known
        assert known is not None  # some budget has a check: see `largest_within`
        return known[None]


def _gains(problem: Problem) -> list[FloatArray]:
    return [entry.astype(np.float64) for entry in problem.space.cost("macs").entries]


def _largest(problem: Problem, archs: IntArray) -> IntArray:
    largest: IntArray = archs[problem.space.macs(archs).argmax()]
    return largest
