"""Searches where a cost is no sum: an exact check decides, a sum (the guide) proposes."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs.constrained_argmax import constrained_argmax
from hwnas.costs.constraint import Constraint
from hwnas.errors import InfeasibleBudgetError

__all__ = [
    "Least",
    "everything",
    "find_kept",
    "guide_limit",
    "keep_all",
    "least_found",
    "neighbours",
]

#: Draws that tell how far a guide is off near a limit, and those that a search starts from; and
#: where each look takes milliseconds.
_DRAWS, _DRAWS_COSTLY = 512, 128
#: Guides are widened by so many standard deviations of their error.
_WIDTHS = 3.0
#: Starts of a descent, the best of what was drawn.
_STARTS = 8
#: Weightings of all costs whose minima a search starts from.
_WEIGHTINGS = 64
#: Limits of guides, as shares of the budgets, within which starts are looked for.
_SHARES = (1.0, 0.99, 0.97, 0.93, 0.85)
_MAX_STEPS = 1000
#: Spaces of so many architectures are looked through where a search found nothing; and of so many
#: where each look takes milliseconds.
_SMALL, _SMALL_COSTLY = 20_000, 1000
#: More than the rounding of floats, so that a limit includes what it was made from.
_ROUNDING = 1e-9


class Least(NamedTuple):
    """The cheapest architecture that was found (n_decisions,), and its exact cost."""

    arch: IntArray
    value: float


def keep_all(constraints: Sequence[Constraint], archs: IntArray) -> IntArray:
    """Those rows of (n, n_decisions) that keep every constraint, the cheap checks first."""
    for constraint in sorted(constraints, key=lambda c: c.check is not None):
        archs = archs[constraint.keeps(archs)]
    return archs


def neighbours(arch: IntArray, n_choices: Sequence[int]) -> IntArray:
    """All architectures (n, n_decisions) that differ from one (n_decisions,) in one decision."""
    rows = []
    for decision, n in enumerate(n_choices):
        changed = np.repeat(arch[None], n - 1, axis=0)
        changed[:, decision] = np.delete(np.arange(n), arch[decision])
        rows.append(changed)
    return np.concatenate(rows)


def least_found(constraint: Constraint, rng: np.random.Generator) -> Least:
    """An architecture of low exact cost; at most the limit if one was found that keeps it.

    Descends from the guide's minimum by the exact costs of single changes, and then, if that does
    not keep the limit, from the cheapest draws near the guide's minimum. A small space is then
    looked through, so that what is said of it is certain.
    """
    arch, low = constraint.cost.minimum()
    limit = constraint.budget.limit
    best = _descent(constraint.values, arch, constraint.n_choices, until=limit)
    if best.value > limit:
        near = constraint.cost.within(low + 0.05 * abs(low) + constraint.cost.unit)
        drawn = near.sample(_draws(constraint), rng)
        for start in _lowest(drawn, constraint.values(drawn)):
            found = _descent(constraint.values, start, constraint.n_choices, until=limit)
            best = min(best, found, key=lambda least: least.value)
    if (
        best.value > limit
        and (every := everything(constraint.n_choices, costly=constraint.costly)) is not None
    ):
        values = constraint.values(every)
        best = Least(every[values.argmin()], float(values.min()))
    return best


def find_kept(
    constraints: Sequence[Constraint], rng: np.random.Generator, known: Sequence[IntArray] = ()
) -> IntArray | None:
    """An architecture (n_decisions,) that keeps every constraint; None if none was found.

    Descends by how much the exact costs exceed the limits, relative to them: from the minima of
    weighted costs and from draws, and if that fails from what the guides say keeps all limits and
    lower ones. A small space is looked through where that finds nothing.

    Args:
        constraints: over the same decisions.
        rng: of the draws.
        known: architectures (n_decisions,) to start from as well, such as one for each constraint.
    """

    def excess(archs: IntArray) -> FloatArray:
        total = np.zeros(len(archs))
        for c in constraints:
            # by the unit where a limit is 0
            scale = abs(c.budget.limit) or c.cost.unit
            total += np.maximum((c.values(archs) - c.budget.limit) / scale, 0.0)
        return total

    n_choices = constraints[0].n_choices
    for starts in (_cheap_starts, _guided_starts):
        archs = np.stack([*known, *starts(constraints, rng)])
        for start in _lowest(archs, excess(archs)):
            found = _descent(excess, start, n_choices, until=0.0)
            if found.value <= 0 and len(keep_all(constraints, found.arch[None])):
                return found.arch
    costly = any(constraint.costly for constraint in constraints)
    if (every := everything(n_choices, costly=costly)) is not None:
        kept = keep_all(constraints, every)
        if len(kept):
            arch: IntArray = kept[0]
            return arch
    return None


def _cheap_starts(constraints: Sequence[Constraint], rng: np.random.Generator) -> IntArray:
    """Minima (n, n_decisions) of each cost and of weightings, and draws within the guides' limits.

    No draws within exact limits: counting all that many MACs allow can take seconds.
    """
    limits = [max(c.budget.limit, c.cost.minimum()[1] * (1 + _ROUNDING)) for c in constraints]
    scales = [c.cost.unit / (limit or 1.0) for c, limit in zip(constraints, limits, strict=True)]
    weightings = np.vstack(
        [np.eye(len(constraints)), rng.dirichlet(np.ones(len(constraints)), _WEIGHTINGS)]
    )
    columns = []
    for entries in zip(*(c.cost.entries for c in constraints), strict=True):
        shares = np.stack([e * scale for e, scale in zip(entries, scales, strict=True)])
        columns.append((weightings @ shares).argmin(axis=1))
    drawn = [
        c.cost.within(limit).sample(_draws(c), rng)
        for c, limit in zip(constraints, limits, strict=True)
        if c.check is not None
    ]
    return np.concatenate([np.stack(columns, axis=1), *drawn])


def _guided_starts(constraints: Sequence[Constraint], rng: np.random.Generator) -> IntArray:
    """Architectures (n, n_decisions) that the costs put within all limits, and guides lower still.

    Exact for the costs, and slow where several limits are tight.
    """
    n_choices = constraints[0].n_choices
    costs = [c.cost for c in constraints]
    starts = [cost.minimum()[0] for cost in costs]
    for share in _SHARES:
        limits = [c.budget.limit * (1.0 if c.check is None else share) for c in constraints]
        try:
            starts.append(constrained_argmax([np.zeros(n) for n in n_choices], costs, limits))
        except InfeasibleBudgetError:
            break
    return np.stack(starts)


def guide_limit(constraint: Constraint, kept: IntArray, rng: np.random.Generator) -> float:
    """The limit on a guide that includes nearly all architectures within the exact limit.

    The limit times guide / exact cost, the mean and three standard deviations more, over draws that
    the guide puts within the limit.

    Args:
        constraint: one with a check.
        kept: an architecture (n_decisions,) that keeps it, which the result includes.
        rng: of the draws.
    """
    limit = constraint.budget.limit
    lowest = float(constraint.cost(kept[None])[0]) * (1 + _ROUNDING)
    drawn = constraint.cost.within(max(limit, lowest)).sample(_draws(constraint), rng)
    exact = constraint.values(drawn)
    told = (exact > 0) & (exact < np.inf)
    drawn, exact = drawn[told], exact[told]
    if not len(exact):
        return max(limit, lowest)
    ratio = constraint.cost(drawn) / exact
    return max(limit * float(ratio.mean() + _WIDTHS * ratio.std()), lowest)


def everything(n_choices: Sequence[int], *, costly: bool = False) -> IntArray | None:
    """All architectures (n, n_decisions) of a small space; None for a large one.

    Args:
        n_choices: of each decision.
        costly: whether what is done with each takes milliseconds.
    """
    size = math.prod(n_choices)
    if size > (_SMALL_COSTLY if costly else _SMALL):
        return None
    return np.stack(np.unravel_index(np.arange(size), n_choices), axis=1).astype(np.int64)


def _draws(constraint: Constraint) -> int:
    return _DRAWS_COSTLY if constraint.costly else _DRAWS


def _lowest(archs: IntArray, values: FloatArray) -> IntArray:
    return archs[np.argsort(values, kind="stable")[:_STARTS]]


def _descent(
    values_of: Callable[[IntArray], FloatArray],
    arch: IntArray,
    n_choices: Sequence[int],
    *,
    until: float,
) -> Least:
    """Change the one decision that lowers the value most, until it is low enough or the least."""
    value = float(values_of(arch[None])[0])
    for _ in range(_MAX_STEPS):
        changed = neighbours(arch, n_choices)
        if value <= until or not len(changed):
            break
        values = values_of(changed)
        at = int(values.argmin())
        if not values[at] < value:
            break
        arch, value = changed[at], float(values[at])
    return Least(arch, value)
