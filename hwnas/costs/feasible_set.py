"""The architectures that keep several budgets: decided, counted and drawn."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hwnas.arrays import BoolArray, IntArray
from hwnas.costs.additive import AdditiveCost, FeasibleRegion
from hwnas.costs.budgets import least_limit
from hwnas.costs.constraint import Constraint, chosen
from hwnas.costs.guided import find_kept, guide_limit, keep_all, least_found
from hwnas.costs.jointly_feasible import jointly_feasible
from hwnas.errors import InfeasibleBudgetError, OptionError

__all__ = ["FeasibleSet", "can_be_kept", "sample_choices"]

#: Each rejected draw costs microseconds; this many say that two budgets hardly overlap.
_MAX_DRAWS = 2_000_000
#: The same where each draw costs an exact check.
_MAX_CHECKED = 200_000
#: Draws that the count is estimated from where a check decides.
_COUNTED = 4096
#: The same where a check takes milliseconds, and draws until it is given up.
_COUNTED_COSTLY, _MAX_COSTLY = 256, 20_000
#: Seed of what is drawn to decide, and not to be handed out.
_DECIDING = 0xFEA5


class FeasibleSet:
    """The architectures that keep every one of several budgets.

    Where costs are sums: with one budget it is counted and sampled exactly. With several, draws are
    exactly uniform over the smallest single set and those that break another budget are dropped;
    whether any architecture keeps all of them is decided exactly beforehand.

    Where a constraint has a check, `contains` goes by it, and so does all that is drawn: from what
    the guide puts within its limit, widened by three standard deviations of the guide's error, less
    what breaks the check. That is uniform but for the few that the guide misplaces by more, which
    are never drawn. That it is not empty is shown by an architecture that was found.

    Args:
        constraints: at least one.
        describe: prints an architecture in errors; `SearchSpace.format`.

    Raises:
        InfeasibleBudgetError: no architecture keeps all budgets, or none was found that does.
    """

    def __init__(
        self, constraints: Sequence[Constraint], describe: Callable[[IntArray], str] = str
    ):
        self.constraints = tuple(constraints)
        if not constraints:
            raise OptionError("at least one budget is needed")
        rng = np.random.default_rng(_DECIDING)
        least = _check_each(self.constraints, describe, rng)
        _check_together([c for c in self.constraints if c.check is None])
        self._checked = any(c.check is not None for c in self.constraints)
        self._costly = any(c.costly for c in self.constraints)
        self._kept = self._find(least, rng) if self._checked else None

    @property
    def n_choices(self) -> tuple[int, ...]:
        """Number of choices of each decision."""
        return self.constraints[0].n_choices

    @property
    def exact(self) -> bool:
        """Whether `count` is the exact number."""
        return len(self.constraints) == 1 and not self._checked and self._smallest.exact

    @cached_property
    def count(self) -> int:
        """The number of architectures: exact for one sum, an upper bound for several.

        Where a constraint has a check, an estimate from draws.
        """
        if not self._checked:
            return self._smallest.count
        count = _COUNTED_COSTLY if self._costly else _COUNTED
        drawn = self._smallest.sample(count, np.random.default_rng(_DECIDING))
        share = len(keep_all(self.constraints, drawn)) / count
        return max(1, round(self._smallest.count * share))

    @property
    def known(self) -> IntArray | None:
        """An architecture (n_decisions,) that keeps all, found to decide; None for sums alone."""
        return None if self._kept is None else self._kept.copy()

    @cached_property
    def sums(self) -> tuple[tuple[AdditiveCost, float], ...]:
        """Each constraint's sum over decisions, and its limit in the sum's unit.

        Where a constraint has a check, its guide, and the limit on the guide below which nearly all
        lies that keeps the check.
        """
        return tuple((c.cost, self._limit(c)) for c in self.constraints)

    def allowed(self, decided: IntArray) -> BoolArray:
        """Which choices of the next decision can still be completed within every limit.

        With one sum that is exact. With several each is looked at alone, so that choices may be
        left from which no completion keeps all together; and where a constraint has a check, its
        guide decides here. What comes out is therefore checked by `contains`.

        Args:
            decided: the first d choices of each of n architectures, (n, d).

        Returns:
            (n, n_choices of decision d).
        """
        n, at = decided.shape
        left = np.ones((n, self.n_choices[at]), bool)
        for rises, room in self._rises:
            spent = np.zeros(n, np.int64)
            for rise, column in zip(rises, decided.T, strict=False):
                spent += rise[column]
            left &= spent[:, None] + rises[at] <= room
        return left

    def contains(self, archs: npt.ArrayLike) -> BoolArray:
        """Which rows of an integer array (n, n_decisions) keep every budget, exactly."""
        rows = np.asarray(archs)
        kept = np.ones(len(rows), bool)
        for constraint in self.constraints:
            if constraint.check is None:
                kept &= constraint.cost(rows) <= constraint.budget.limit
        for constraint in self.constraints:
            if constraint.check is not None and kept.any():
                kept[kept] = constraint.keeps(rows[kept])
        return kept

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Uniform draws (count, n_decisions) of architectures that keep every budget.

        Raises:
            InfeasibleBudgetError: two million draws (200,000 with a check) gave too few; the
                budgets hardly overlap, or what the guide proposes hardly ever keeps the check.
        """
        most, few, many = (_MAX_CHECKED, 64, 4096) if self._checked else (_MAX_DRAWS, 256, 65_536)
        if self._costly:
            most, few, many = _MAX_COSTLY, 16, 64
        found = [np.empty((0, len(self.n_choices)), np.int64)]
        have = drawn = 0
        while have < count:
            if drawn >= most:
                budgets = ", ".join(str(c.budget) for c in self.constraints)
                raise InfeasibleBudgetError(
                    f"only {have} of {drawn} draws kept all of {budgets} ({count} are needed): "
                    "loosen the tightest of them"
                )
            batch = self._smallest.sample(max(count, few if drawn == 0 else many), rng)
            drawn += len(batch)
            found.append(batch[self.contains(batch)])
            have += len(found[-1])
        return np.concatenate(found)[:count]

    def _find(self, least: Sequence[IntArray], rng: np.random.Generator) -> IntArray:
        found = find_kept(self.constraints, rng, least)
        if found is None:
            budgets = " and ".join(str(c.budget) for c in self.constraints)
            raise InfeasibleBudgetError(
                f"no architecture was found that keeps {budgets} together, though each alone can "
                "be kept: loosen one of them"
            )
        return found

    @cached_property
    def _rises(self) -> list[tuple[tuple[IntArray, ...], int]]:
        """Of each sum the steps of each choice above its decision's least, and those in all."""
        found = []
        for cost, limit in self.sums:
            least = cost.fixed + sum(int(entry.min()) for entry in cost.entries)
            rises = tuple(entry - entry.min() for entry in cost.entries)
            found.append((rises, cost.steps_within(limit) - least))
        return found

    @cached_property
    def _smallest(self) -> FeasibleRegion:
        """What draws come from; counted when it is needed, since that can take seconds."""
        return min((cost.within(limit) for cost, limit in self.sums), key=lambda part: part.count)

    def _limit(self, constraint: Constraint) -> float:
        if constraint.check is None:
            return constraint.budget.limit
        assert self._kept is not None
        return guide_limit(constraint, self._kept, np.random.default_rng(_DECIDING))


def can_be_kept(constraints: Sequence[Constraint]) -> bool:
    """Whether some architecture keeps every constraint; with checks, whether one was found.

    Args:
        constraints: over the same decisions, perhaps restricted to some choices; with none of them,
            everything is kept.
    """
    if constraints:
        try:
            FeasibleSet(constraints)
        except InfeasibleBudgetError:
            return False
    return True


def sample_choices(
    constraints: Sequence[Constraint],
    choices: Sequence[IntArray],
    count: int,
    rng: np.random.Generator,
) -> IntArray:
    """Uniform draws (count, n_decisions) of certain choices that keep every constraint.

    Args:
        constraints: at least one.
        choices: of each decision, those that may be taken.
        count: how many.
        rng: of the draws.

    Raises:
        InfeasibleBudgetError: no architecture of these choices keeps all.
    """
    left = FeasibleSet([constraint.restrict(choices) for constraint in constraints])
    return chosen(choices, left.sample(count, rng))


def _check_each(
    constraints: Sequence[Constraint],
    describe: Callable[[IntArray], str],
    rng: np.random.Generator,
) -> list[IntArray]:
    """An architecture (n_decisions,) that keeps each constraint alone.

    Raises:
        InfeasibleBudgetError: a budget cannot be kept even alone; it names the least.
    """
    archs = []
    for constraint in constraints:
        budget = constraint.budget
        if constraint.check is None:
            arch, least = constraint.cost.minimum()
        else:
            arch, least = least_found(constraint, rng)
        if least > budget.limit:
            word = "is" if constraint.check is None else "found is"
            raise InfeasibleBudgetError(
                f"no architecture keeps {budget}: the least {word} "
                f"{least_limit(budget, least)}, of {describe(arch)}"
            )
        archs.append(arch)
    return archs


def _check_together(constraints: Sequence[Constraint]) -> None:
    """Raise `InfeasibleBudgetError` if sums, each of which can be kept, exclude each other."""
    limits = [c.budget.limit for c in constraints]
    if constraints and not jointly_feasible([c.cost for c in constraints], limits):
        budgets = " and ".join(str(c.budget) for c in constraints)
        raise InfeasibleBudgetError(
            f"no architecture keeps {budgets} together, though each alone can be kept: "
            "loosen one of them"
        )
