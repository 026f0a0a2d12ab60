"""The most probable architecture within limits, against enumeration."""

import itertools
import sys

import numpy as np
import pytest

from hwnas import spaces
from hwnas.costs import AdditiveCost, argmax_within, constrained_argmax
from hwnas.errors import InfeasibleBudgetError


def random_problem(seed: int, n_costs: int, n_choices=(3, 4, 2, 4, 3)):
    """Log-probabilities (some choices forbidden), costs, every allowed architecture."""
    rng = np.random.default_rng(seed)
    logs = [np.log(rng.dirichlet(np.ones(n))) for n in n_choices]
    for row in logs:
        if rng.random() < 0.3:
            row[rng.integers(len(row))] = -np.inf
    costs = [
        AdditiveCost.from_integers(7, [rng.integers(0, 40, n).tolist() for n in n_choices])
        for _ in range(n_costs)
    ]
    archs = np.array(list(itertools.product(*(range(n) for n in n_choices))))
    values = sum(row[column] for row, column in zip(logs, archs.T, strict=True))
    return logs, costs, archs[np.isfinite(values)], values[np.isfinite(values)]


@pytest.mark.parametrize("narrow", [1, 256])
@pytest.mark.parametrize("n_costs", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_best_of_all_that_keep_the_limits(seed, n_costs, narrow, monkeypatch):
    monkeypatch.setattr(sys.modules["hwnas.costs.constrained_argmax"], "_NARROW", narrow)
    logs, costs, archs, values = random_problem(seed, n_costs)
    paid = np.stack([cost(archs) for cost in costs], axis=1)
    for share in (0.02, 0.1, 0.3, 0.7, 1.0):
        # limits that some allowed architecture keeps to the digit
        limits = paid[np.argsort(paid.sum(1))[round(share * (len(archs) - 1))]]
        kept = (paid <= limits).all(axis=1)
        found = constrained_argmax(logs, costs, limits.tolist())
        at = int(np.flatnonzero((archs == found).all(axis=1))[0])
        assert kept[at]
        assert values[at] == pytest.approx(values[kept].max(), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_coarse_bounds_do_not_make_it_wrong(seed, monkeypatch):
    monkeypatch.setattr(sys.modules["hwnas.costs.constrained_argmax"], "_COLUMNS", 7)
    logs, costs, archs, values = random_problem(seed, 2)
    limits = [float(np.quantile(cost(archs), 0.5)) for cost in costs]
    kept = np.all([cost(archs) <= limit for cost, limit in zip(costs, limits, strict=True)], axis=0)
    found = constrained_argmax(logs, costs, limits)
    best = archs[kept][values[kept].argmax()]
    assert (found == best).all()


def test_without_a_limit_that_bites_it_is_the_argmax():
    space = spaces.space("proxyless", input_size=224)
    rng = np.random.default_rng(0)
    logs = [np.log(rng.dirichlet(np.ones(n))) for n in space.n_choices]
    found = constrained_argmax(logs, [space.cost("macs"), space.cost("params")], [1e12, 1e12])
    assert found.tolist() == [row.argmax() for row in logs]


def test_a_whole_space_under_three_limits_beats_draws_that_keep_them():
    space = spaces.space("proxyless", input_size=224)
    rng = np.random.default_rng(1)
    logs = [np.log(rng.dirichlet(np.ones(n))) for n in space.n_choices]
    costs = [space.cost(name) for name in ("macs", "params", "bytes")]
    archs = space.sample(20_000, seed=2)
    limits = [float(np.quantile(cost(archs), 0.2)) for cost in costs]
    found = constrained_argmax(logs, costs, limits)
    assert all(cost(found[None])[0] <= limit for cost, limit in zip(costs, limits, strict=True))
    kept = np.all([cost(archs) <= limit for cost, limit in zip(costs, limits, strict=True)], axis=0)
    values = sum(row[column] for row, column in zip(logs, archs[kept].T, strict=True))
    assert sum(row[c] for row, c in zip(logs, found, strict=True)) > values.max()


def test_limits_that_nothing_allowed_keeps_are_refused():
    cost = AdditiveCost.from_integers(0, [[1, 5], [1, 5]])
    other = AdditiveCost.from_integers(0, [[5, 1], [5, 1]])
    flat = [np.zeros(2), np.zeros(2)]
    assert constrained_argmax(flat, [cost], [2]).tolist() == [0, 0]
    for logs, costs, limits in (
        (flat, [cost], [1]),
        (flat, [cost, other], [5, 5]),
        ([np.array([-np.inf, 0.0]), np.zeros(2)], [cost], [5]),
        ([np.full(2, -np.inf), np.zeros(2)], [cost], [20]),
    ):
        with pytest.raises(InfeasibleBudgetError):
            constrained_argmax(logs, costs, limits)


def test_gains_that_follow_a_cost_end_in_bounded_time_and_say_so():
    """MACs within a budget of MACs: what is kept cannot be looked through, and is about all."""
    rng = np.random.default_rng(0)
    entries = [[int(v) for v in row] for row in rng.integers(0, 10**7, (20, 7))]
    macs = AdditiveCost.from_integers(0, entries)
    limit = 0.4 * macs.maximum()[1]
    arch, exact = argmax_within([e.astype(float) for e in macs.entries], [macs], [limit])
    assert not exact
    assert 0.999 * limit < macs(arch[None])[0] <= limit


def test_gains_are_the_greatest_where_that_is_said():
    rng = np.random.default_rng(1)
    every = np.array(list(itertools.product(range(3), repeat=5)))
    for _ in range(20):
        gains = rng.integers(0, 1000, (5, 3)).astype(float)
        cost = AdditiveCost.from_integers(0, rng.integers(0, 99, (5, 3)).tolist())
        limit = float(np.median(cost(every)))
        arch, exact = argmax_within(list(gains), [cost], [limit])
        worth = gains[np.arange(5), every].sum(axis=1)
        assert exact
        assert cost(arch[None])[0] <= limit
        assert gains[np.arange(5), arch].sum() == worth[cost(every) <= limit].max()
