"""The architectures that keep budgets among those of a list: everything about them is exact."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hwnas.arrays import BoolArray, IntArray
from hwnas.costs.budgets import least_limit
from hwnas.costs.constraint import Constraint
from hwnas.costs.feasible_set import FeasibleSet
from hwnas.costs.guided import keep_all
from hwnas.errors import InfeasibleBudgetError

__all__ = ["ListedSet"]


class ListedSet(FeasibleSet):
    """A `FeasibleSet` of listed architectures, such as the rows of a tabular benchmark.

    It is looked through once, so that it is counted and drawn from exactly, whatever the costs are,
    and what is not on the list is infeasible.

    Args:
        constraints: at least one.
        listed: (n, n_decisions), none of them twice.
        describe: prints an architecture in errors; `SearchSpace.format`.

    Raises:
        InfeasibleBudgetError: no listed architecture keeps all budgets.
    """

    def __init__(
        self,
        constraints: Sequence[Constraint],
        listed: IntArray,
        describe: Callable[[IntArray], str] = str,
    ):
        self.constraints = tuple(constraints)
        self.kept = keep_all(self.constraints, listed)
        self._keys = {row.tobytes() for row in self.kept}
        self._next: dict[int, dict[bytes, BoolArray]] = {}
        if not len(self.kept):
            raise InfeasibleBudgetError(_why(self.constraints, listed, describe))

    @property
    def exact(self) -> bool:
        """Whether `count` is the exact number: always."""
        return True

    @cached_property
    def count(self) -> int:
        """The number of architectures."""
        return len(self.kept)

    @property
    def known(self) -> IntArray | None:
        """An architecture (n_decisions,) that keeps all."""
        known: IntArray = self.kept[0].copy()
        return known

    def allowed(self, decided: IntArray) -> BoolArray:
        """Which choices of the next decision lead to an architecture that keeps all, exactly.

        Args:
            decided: the first d choices of each of n architectures, (n, d).

        Returns:
            (n, n_choices of decision d).
        """
        at = decided.shape[1]
        if at not in self._next:
            self._next[at] = _choices_behind(self.kept[:, : at + 1], self.n_choices[at])
        left = np.zeros((len(decided), self.n_choices[at]), bool)
        for row, known in zip(left, np.ascontiguousarray(decided, np.int64), strict=True):
            row |= self._next[at].get(known.tobytes(), False)
        return left

    def contains(self, archs: npt.ArrayLike) -> BoolArray:
        """Which rows of an integer array (n, n_decisions) are listed and keep every budget."""
        rows = np.ascontiguousarray(archs, np.int64)
        return np.array([row.tobytes() in self._keys for row in rows], bool)

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Uniform draws (count, n_decisions)."""
        drawn: IntArray = self.kept[rng.integers(0, len(self.kept), count)]
        return drawn


def _choices_behind(prefixes: IntArray, n_choices: int) -> dict[bytes, BoolArray]:
    """For the first d choices of some (n, d + 1), which choices stand behind them."""
    found: dict[bytes, BoolArray] = {}
    for row in np.unique(prefixes, axis=0):
        left = found.setdefault(row[:-1].tobytes(), np.zeros(n_choices, bool))
        left[row[-1]] = True
    return found


def _why(
    constraints: Sequence[Constraint], listed: IntArray, describe: Callable[[IntArray], str]
) -> str:
    """Which budget no listed architecture keeps, and the least; or that it is all together."""
    if not len(listed):
        return "no architecture is listed: no row has all numbers that are looked up"
    for constraint in constraints:
        values = constraint.values(listed)
        least = float(values.min())
        if least > constraint.budget.limit:
            return (
                f"no architecture keeps {constraint.budget}: the least is "
                f"{least_limit(constraint.budget, least)}, of "
                f"{describe(listed[values.argmin()])}"
            )
    budgets = " and ".join(str(c.budget) for c in constraints)
    return (
        f"no architecture keeps {budgets} together, though each alone can be kept: loosen one of "
        "them"
    )
