"""The most probable architecture under checks, against enumeration."""

import itertools

import numpy as np
import pytest

from hwnas.costs import (
    AdditiveCost,
    Budget,
    Constraint,
    constrained_argmax,
    most_probable_within,
    nearest_sum,
)
from hwnas.errors import InfeasibleBudgetError

SHAPE = (3, 4, 3, 4, 3)
ARCHS = np.array(list(itertools.product(*map(range, SHAPE))))


def problem(seed):
    """Log-probabilities, a cost of couples with its guide, a sum."""
    rng = np.random.default_rng(seed)
    logs = [np.log(rng.dirichlet(np.ones(n))) for n in SHAPE]
    prices = [rng.integers(1, 30, n) for n in SHAPE]
    couple = rng.uniform(-6, 6, (3, 3))
    macs = AdditiveCost.from_integers(5, [rng.integers(1, 30, n).tolist() for n in SHAPE])

    def check(archs):
        total = sum(row[c] for row, c in zip(prices, archs.T, strict=True)).astype(float)
        return 20 + total + couple[archs[:, 0], archs[:, 2]]

    return logs, nearest_sum(check, SHAPE).cost, check, macs


def log_probability(logs, archs):
    return sum(row[c] for row, c in zip(logs, archs.T, strict=True))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4, 0.8])
def test_it_keeps_the_check_and_is_the_best_or_nearly(share):
    best = 0
    for seed in range(15):
        logs, guide, check, macs = problem(seed)
        if seed % 3 == 0:
            logs[1][seed % 4] = -np.inf
        allowed = np.isfinite(log_probability(logs, ARCHS))
        limit = float(np.quantile(check(ARCHS[allowed]), share))
        constraints = [Constraint(Budget("latency", limit), guide, check=check)]
        if seed % 2:
            most = float(np.median(macs(ARCHS[allowed & (check(ARCHS) <= limit)])))
            constraints.append(Constraint(Budget("macs", most), macs))
        kept = ARCHS[allowed & np.all([c.keeps(ARCHS) for c in constraints], axis=0)]
        found = most_probable_within(logs, constraints)
        assert all(c.keeps(found[None]).all() for c in constraints)
        values = log_probability(logs, kept)
        value = log_probability(logs, found[None])[0]
        assert np.isfinite(value)
        assert (values > value + 1e-12).mean() <= 0.1  # the guide is off by up to a tenth
        best += value >= values.max() - 1e-12
    assert best >= 12


def test_sums_alone_are_the_constrained_argmax():
    logs, _, _, macs = problem(3)
    limit = float(np.quantile(macs(ARCHS), 0.2))
    found = most_probable_within(logs, [Constraint(Budget("macs", limit), macs)])
    assert np.array_equal(found, constrained_argmax(logs, [macs], [limit]))


def test_a_guide_that_proposes_nothing_useful_still_ends_within_the_check():
    logs, _, check, _ = problem(5)
    backwards = nearest_sum(lambda archs: 200 - check(archs), SHAPE).cost
    limit = float(np.quantile(check(ARCHS), 0.1))
    found = most_probable_within(
        logs, [Constraint(Budget("latency", limit), backwards, check=check)]
    )
    assert check(found[None])[0] <= limit


def test_nothing_that_may_be_taken_is_refused():
    logs, guide, check, _ = problem(1)
    constraint = Constraint(Budget("latency", 1.0), guide, check=check)
    with pytest.raises(InfeasibleBudgetError, match="the least found is"):
        most_probable_within(logs, [constraint])
    nothing = [np.full(3, -np.inf), *logs[1:]]
    with pytest.raises(InfeasibleBudgetError, match="no choice of a probability above 0"):
        most_probable_within(nothing, [constraint])
    only_costly = [row.copy() for row in logs]
    worst = ARCHS[check(ARCHS).argmax()]
    for row, choice in zip(only_costly, worst, strict=True):
        row[np.arange(len(row)) != choice] = -np.inf
    limit = float(np.median(check(ARCHS)))
    with pytest.raises(InfeasibleBudgetError):
        most_probable_within(
            only_costly, [Constraint(Budget("latency", limit), guide, check=check)]
        )
