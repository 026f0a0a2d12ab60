"""Budgets on costs that are no sums: the check decides, whatever the guide says."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.costs import (
    AdditiveCost,
    Budget,
    Constraint,
    FeasibleSet,
    can_be_kept,
    nearest_sum,
    sample_choices,
)
from hwnas.errors import InfeasibleBudgetError

SHAPE = (3, 4, 3, 4, 3)
ARCHS = np.array(list(itertools.product(*map(range, SHAPE))))
RNG = np.random.default_rng(7)
PRICES = [RNG.integers(1, 30, n) for n in SHAPE]
MACS = AdditiveCost.from_integers(5, [RNG.integers(1, 30, n).tolist() for n in SHAPE])


def coupled(archs):
    """A sum, and what two neighbours cost together, up to a tenth of it."""
    total = sum(row[c] for row, c in zip(PRICES, archs.T, strict=True)).astype(float)
    return 20 + total + 5.0 * (archs[:, 0] == archs[:, 2]) - 4.0 * (archs[:, 1] < archs[:, 3])


GUIDE = nearest_sum(coupled, SHAPE).cost


def limited(limit: float) -> Constraint:
    return Constraint(Budget("latency", limit), GUIDE, check=coupled)


def few_macs(limit: float) -> Constraint:
    return Constraint(Budget("macs", limit), MACS)


def test_a_constraint_goes_by_its_check() -> None:
    limit = float(np.median(coupled(ARCHS)))
    constraint = limited(limit)
    assert np.array_equal(constraint.values(ARCHS), coupled(ARCHS))
    assert np.array_equal(constraint.keeps(ARCHS), coupled(ARCHS) <= limit)
    assert not np.array_equal(constraint.keeps(ARCHS), GUIDE(ARCHS) <= limit)
    assert constraint.keeps(ARCHS[:0]).shape == (0,)
    plain = few_macs(40)
    assert np.array_equal(plain.values(ARCHS), MACS(ARCHS))
    assert plain.n_choices == constraint.n_choices == SHAPE


def test_a_restricted_constraint_is_asked_by_positions() -> None:
    choices = [np.array([0, 2]), np.array([1, 3]), np.array([2]), np.arange(4), np.array([1, 2])]
    upper = Constraint(Budget("latency", 80.0), MACS)
    whole = Constraint(Budget("latency", 60.0), GUIDE, upper, coupled)
    left = whole.restrict(choices)
    positions = np.array(list(itertools.product(*(range(len(c)) for c in choices))))
    archs = np.stack([c[p] for c, p in zip(choices, positions.T, strict=True)], axis=1)
    assert np.array_equal(left.values(positions), coupled(archs))
    assert np.array_equal(left.cost(positions), GUIDE(archs))
    assert left.upper_bound is not None
    assert np.array_equal(left.upper_bound.values(positions), MACS(archs))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_feasibility_is_decided_as_by_enumeration(share: float, other: float) -> None:
    constraints = [
        limited(float(np.quantile(coupled(ARCHS), share, method="lower"))),
        few_macs(float(np.quantile(MACS(ARCHS), other, method="lower"))),
    ]
    kept = constraints[0].keeps(ARCHS) & constraints[1].keeps(ARCHS)
    assert can_be_kept(constraints) == kept.any()
    if not kept.any():
        with pytest.raises(InfeasibleBudgetError, match=r"was found that keeps .* together"):
            FeasibleSet(constraints)
        return
    chosen = FeasibleSet(constraints)
    assert np.array_equal(chosen.contains(ARCHS), kept)
    assert not chosen.exact
    assert chosen.known is not None
    assert chosen.contains(chosen.known[None]).all()
    if kept.sum() > 3:
        drawn = chosen.sample(40, np.random.default_rng(0))
        assert drawn.shape == (40, len(SHAPE))
        assert chosen.contains(drawn).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_least_of_a_rugged_cost_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rugged = rng.uniform(0.9, 1.1, len(ARCHS))
    row_of = np.cumprod([1, *SHAPE[:0:-1]])[::-1]

    def check(archs):
        return coupled(archs) * rugged[archs @ row_of]

    guide = nearest_sum(check, SHAPE).cost
    least = check(ARCHS).min()
    constraint = Constraint(Budget("latency", float(least)), guide, check=check)
    chosen = FeasibleSet([constraint])
    assert chosen.contains(ARCHS).sum() == 1
    assert np.array_equal(chosen.known, ARCHS[check(ARCHS).argmin()])


def test_the_least_found_is_named() -> None:
    least = coupled(ARCHS).min()
    text = str(ARCHS[coupled(ARCHS).argmin()]).replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(
        InfeasibleBudgetError,
        match=rf"keeps latency<=20ms: the least found is {least:g}ms, of {text}",
    ):
        FeasibleSet([limited(20.0)])
    assert not can_be_kept([limited(20.0)])


def test_draws_are_nearly_uniform_and_the_count_is_near() -> None:
    limit = float(np.quantile(coupled(ARCHS), 0.3))
    kept = ARCHS[coupled(ARCHS) <= limit]
    chosen = FeasibleSet([limited(limit)])
    assert abs(chosen.count / len(kept) - 1) < 0.1
    drawn = chosen.sample(200 * len(kept), np.random.default_rng(3))
    counts = np.array([(drawn == arch).all(axis=1).sum() for arch in kept])
    assert counts.sum() == len(drawn)
    drawable = counts[counts > 0]
    assert len(drawable) > 0.97 * len(kept)
    mean = len(drawn) / len(drawable)
    assert abs(drawable - mean).max() < 5 * mean**0.5


def test_the_seed_gives_the_draws() -> None:
    limit = float(np.median(coupled(ARCHS)))
    first, second = (FeasibleSet([limited(limit)]) for _ in range(2))
    same = [s.sample(50, np.random.default_rng(1)).tolist() for s in (first, second)]
    assert same[0] == same[1]
    assert first.sample(50, np.random.default_rng(2)).tolist() != same[0]


def test_what_the_guide_can_hardly_propose_ends_with_counts(monkeypatch) -> None:
    monkeypatch.setattr("hwnas.costs.feasible_set._MAX_CHECKED", 500)
    rare = ARCHS[coupled(ARCHS).argmax()]

    def check(archs):
        return np.where((archs == rare).all(axis=1), 1.0, coupled(archs))

    chosen = FeasibleSet([Constraint(Budget("latency", 1.5), GUIDE, check=check)])
    assert np.array_equal(chosen.known, rare)  # the space is small enough to be looked through
    with pytest.raises(InfeasibleBudgetError, match=r"only \d+ of \d+ draws kept all of latency"):
        chosen.sample(100_000, np.random.default_rng(0))


def test_draws_of_certain_choices_are_of_these() -> None:
    choices = [np.array([1, 2]), np.array([0, 3]), np.array([0, 1]), np.arange(4), np.array([2])]
    allowed = np.all([np.isin(c, take) for c, take in zip(ARCHS.T, choices, strict=True)], axis=0)
    limit = float(np.quantile(coupled(ARCHS[allowed]), 0.4))
    constraints = [limited(limit), few_macs(float(MACS(ARCHS).max()))]
    drawn = sample_choices(constraints, choices, 60, np.random.default_rng(0))
    assert all(np.isin(c, take).all() for c, take in zip(drawn.T, choices, strict=True))
    assert (coupled(drawn) <= limit).all()
    few = [np.array([int(coupled(ARCHS).argmax() and c)]) for c in ARCHS[coupled(ARCHS).argmax()]]
    with pytest.raises(InfeasibleBudgetError, match="the least found is"):
        sample_choices(constraints, few, 1, np.random.default_rng(0))


def test_sums_alone_are_counted_as_before() -> None:
    one = FeasibleSet([few_macs(60)])
    assert one.exact
    assert one.count == (MACS(ARCHS) <= 60).sum()
    assert one.known is None
    assert one.n_choices == SHAPE
    assert not FeasibleSet([few_macs(60), few_macs(70)]).exact
    assert can_be_kept([])
    assert can_be_kept([few_macs(60)])
    assert not can_be_kept([few_macs(5)])
