"""The most probable architecture that keeps constraints, those with an exact check included."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs.constrained_argmax import constrained_argmax
from hwnas.costs.constraint import Constraint, chosen
from hwnas.costs.feasible_set import FeasibleSet
from hwnas.costs.guided import guide_limit, keep_all
from hwnas.errors import InfeasibleBudgetError

__all__ = ["most_probable_within"]

_MAX_PROPOSALS = 40
_DRAWS = 512
#: A guide's limit falls at least by this share with each proposal that breaks the check.
_TIGHTEN = 1e-6
_MAX_STEPS = 1000
#: Changes that are looked at in a step, the most probable of them, and how many at once.
_MAX_CHANGES = 20_000
_AT_ONCE = 1024
_SEED = 0xA26


def most_probable_within(
    log_probabilities: Sequence[npt.ArrayLike], constraints: Sequence[Constraint]
) -> IntArray:
    """The architecture (n_decisions,) of the greatest probability that keeps every constraint.

    Exactly that where all costs are sums. Where a constraint has a check, the guide proposes the
    most probable within its limit; while that breaks the check, the guide's limit falls by as much
    as the check was exceeded. Where the guide proposes nothing that keeps the check, the most
    probable of feasible draws takes its place. What keeps the check is improved by changes of one
    or two decisions until none is more probable. The result keeps every check.

    Args:
        log_probabilities: for each decision (n_choices,), in nats; -inf for what must not be taken.
        constraints: at least one.

    Raises:
        InfeasibleBudgetError: nothing that may be taken keeps all constraints, or none was found.
    """
    logs = [np.asarray(row, np.float64) for row in log_probabilities]
    costs = [constraint.cost for constraint in constraints]
    if all(constraint.check is None for constraint in constraints):
        return constrained_argmax(logs, costs, [c.budget.limit for c in constraints])
    allowed = [np.flatnonzero(np.isfinite(row)) for row in logs]
    if not all(len(take) for take in allowed):
        raise InfeasibleBudgetError("a decision has no choice of a probability above 0")
    gains = [row[take] for row, take in zip(logs, allowed, strict=True)]
    left = [constraint.restrict(allowed) for constraint in constraints]
    feasible = FeasibleSet(left)
    found = _proposed(gains, left, feasible)
    if found is None:
        found = _drawn(gains, feasible)
    best: IntArray = chosen(allowed, _improved(gains, left, found)[None])[0]
    return best


def _proposed(
    gains: Sequence[FloatArray], constraints: Sequence[Constraint], feasible: FeasibleSet
) -> IntArray | None:
    """The first proposal of the guides that keeps every check; None if there is none."""
    known = feasible.known
    assert known is not None
    rng = np.random.default_rng(_SEED)
    limits = [
        c.budget.limit if c.check is None else guide_limit(c, known, rng) for c in constraints
    ]
    for _ in range(_MAX_PROPOSALS):
        try:
            arch = constrained_argmax(gains, [c.cost for c in constraints], limits)
        except InfeasibleBudgetError:
            return None
        broken = False
        for at, constraint in enumerate(constraints):
            overshoot = _overshoot(constraint, arch)
            if overshoot > 0:
                broken = True
                guided = float(constraint.cost(arch[None])[0])
                # less than the guide says of this very proposal, which so cannot come again
                limits[at] = guided - max(overshoot * abs(guided), _TIGHTEN * abs(guided))
        if not broken:
            return arch
    return None


def _overshoot(constraint: Constraint, arch: IntArray) -> float:
    """By what share of its exact cost an architecture exceeds the limit; 0 where it keeps it."""
    value = float(constraint.values(arch[None])[0])
    if value <= constraint.budget.limit:
        return 0.0
    if not 0 < value < np.inf:
        return _TIGHTEN
    return (value - constraint.budget.limit) / value


def _drawn(gains: Sequence[FloatArray], feasible: FeasibleSet) -> IntArray:
    """The most probable of feasible draws, or what is known to be feasible where draws fail."""
    known = feasible.known
    assert known is not None
    archs = known[None]
    try:
        drawn = feasible.sample(_DRAWS, np.random.default_rng(_SEED))
        archs = np.concatenate([archs, drawn])
    except InfeasibleBudgetError:  # draws are too rare, and one architecture is known
        pass
    best: IntArray = archs[_log_probability(gains, archs).argmax()]
    return best


def _improved(
    gains: Sequence[FloatArray], constraints: Sequence[Constraint], arch: IntArray
) -> IntArray:
    """Change the one or two decisions that raise the probability most within all, until none do.

    Two at once, since a decision often gains only by what another gives.
    """
    for _ in range(_MAX_STEPS):
        better = _more_probable(gains, arch)
        for start in range(0, len(better), _AT_ONCE):
            kept = keep_all(constraints, better[start : start + _AT_ONCE])
            if len(kept):
                arch = kept[0]
                break
        else:
            break
    return arch


def _more_probable(gains: Sequence[FloatArray], arch: IntArray) -> IntArray:
    """What differs in one or two decisions and is more probable, the most probable first."""
    rises = np.concatenate([row - row[at] for row, at in zip(gains, arch, strict=True)])
    decisions = np.repeat(np.arange(len(gains)), [len(row) for row in gains])
    choices = np.concatenate([np.arange(len(row)) for row in gains])
    both = rises[:, None] + rises
    both[np.diag_indices(len(both))] = rises  # the diagonal is a change of one decision
    allowed = np.triu(decisions[:, None] != decisions, 1) | np.eye(len(both), dtype=bool)
    first, second = np.nonzero(allowed & (both > 0))
    order = np.argsort(-both[first, second], kind="stable")[:_MAX_CHANGES]
    first, second = first[order], second[order]
    changed = np.repeat(arch[None], len(order), axis=0)
    rows = np.arange(len(order))
    changed[rows, decisions[first]] = choices[first]
    changed[rows, decisions[second]] = choices[second]
    return changed


def _log_probability(gains: Sequence[FloatArray], archs: IntArray) -> FloatArray:
    total = np.zeros(len(archs))
    for row, column in zip(gains, archs.T, strict=True):
        total += row[column]
    return total
