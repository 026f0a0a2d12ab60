"""A budget with the cost that it limits: counted exactly, and proposed by a sum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs.additive import AdditiveCost
from hwnas.costs.budgets import Budget

__all__ = ["Check", "Constraint", "chosen"]

#: Costs (n,) of architectures (n, n_decisions), exactly.
Check = Callable[[IntArray], FloatArray]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A budget, and what an architecture costs.

    Where the cost is a sum over decisions, minima, counts, samples and the constrained argmax are
    exact. Where it is not, ``check`` says the cost, and ``cost`` is the guide that proposes: the
    sum nearest to it, which may be somewhat off. Whatever breaks the check is never handed out.

    Attributes:
        budget: the limit.
        cost: of architectures, in the budget's unit; a guide where there is a check.
        upper_bound: the same budget on a cost that is not exceeded, with the confidence that was
            asked for; where the cost leaves doubts, measuring settles them, and this one where
            nothing is measured.
        check: the exact costs (n,) of architectures, inf for one that must not be taken whatever
            it costs; None where ``cost`` is exact.
        costly: whether a check takes milliseconds an architecture, so that as few are made as will
            do.
    """

    budget: Budget
    cost: AdditiveCost
    upper_bound: "Constraint | None" = None
    check: Check | None = None
    costly: bool = False

    @property
    def n_choices(self) -> tuple[int, ...]:
        """Number of choices of each decision."""
        return tuple(len(entry) for entry in self.cost.entries)

    def values(self, archs: npt.ArrayLike) -> FloatArray:
        """Exact costs (n,) of architectures (n, n_decisions)."""
        if self.check is None:
            return self.cost(archs)
        rows = np.asarray(archs)
        return self.check(rows) if len(rows) else np.empty(0)  # a check need not know no rows

    def keeps(self, archs: npt.ArrayLike) -> BoolArray:
        """Which of architectures (n, n_decisions) keep the budget, (n,)."""
        kept: BoolArray = self.values(archs) <= self.budget.limit
        return kept

    def restrict(self, choices: Sequence[IntArray]) -> "Constraint":
        """The same constraint where each decision offers no more than these of its choices.

        Its architectures are positions in ``choices``.
        """
        return Constraint(
            self.budget,
            self.cost.restrict(choices),
            None if self.upper_bound is None else self.upper_bound.restrict(choices),
            None if self.check is None else _CheckOfPositions(self.check, tuple(choices)),
            self.costly,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _CheckOfPositions:
    """A check of architectures that are given as positions in choices."""

    check: Check
    choices: tuple[IntArray, ...]

    def __call__(self, positions: IntArray) -> FloatArray:
        return self.check(chosen(self.choices, positions))


def chosen(choices: Sequence[IntArray], positions: IntArray) -> IntArray:
    """Architectures (n, n_decisions) from positions in the choices of each decision."""
    columns = zip(choices, positions.T, strict=True)
    return np.stack([offered[column] for offered, column in columns], axis=1)
