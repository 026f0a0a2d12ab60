"""Additive costs against enumeration."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwnas.costs.additive
from hwnas.costs import AdditiveCost
from hwnas.errors import InfeasibleBudgetError, OptionError

rows = st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), min_size=1, max_size=5)


def every(cost: AdditiveCost) -> np.ndarray:
    """All architectures, (size, n_decisions)."""
    return np.array(list(itertools.product(*[range(len(entry)) for entry in cost.entries])))


def assert_uniform(drawn: np.ndarray, among: np.ndarray) -> None:
    """Chi-square: the statistic has mean k - 1 and variance 2 (k - 1); 5 sigma are allowed."""
    counts = Counter(map(tuple, drawn.tolist()))
    cells = set(map(tuple, among.tolist()))
    assert set(counts) <= cells
    expected = len(drawn) / len(cells)
    assert expected > 20
    statistic = sum((counts[cell] - expected) ** 2 / expected for cell in cells)
    assert statistic < (len(cells) - 1) + 5 * math.sqrt(2 * (len(cells) - 1)) + 1e-9


@given(rows, st.integers(0, 100))
def test_cost_is_the_sum(entries: list[list[int]], fixed: int) -> None:
    cost = AdditiveCost.from_integers(fixed, entries)
    archs = every(cost)
    sums = [fixed + sum(row[c] for row, c in zip(entries, arch, strict=True)) for arch in archs]
    assert cost(archs).tolist() == sums
    arch, least = cost.minimum()
    assert least == min(sums) == cost(arch[None])[0]


def test_unit_is_the_greatest_common_divisor() -> None:
    cost = AdditiveCost.from_integers(12, [[18, 30], [6, 60]])
    assert (cost.unit, cost.fixed) == (6.0, 2)
    assert [entry.tolist() for entry in cost.entries] == [[3, 5], [1, 10]]


def test_cost_of_nothing_is_zero() -> None:
    cost = AdditiveCost.from_integers(0, [[0, 0], [0]])
    assert cost(every(cost)).tolist() == [0, 0]
    assert cost.within(1).count == 2


@settings(deadline=None)
@given(rows, st.integers(0, 50), st.data())
def test_count_and_samples_within_a_limit(
    entries: list[list[int]], fixed: int, data: st.DataObject
) -> None:
    cost = AdditiveCost.from_integers(fixed, entries)
    archs = every(cost)
    costs = cost(archs)
    # limits exactly on an architecture, the next floats beside it, and anything else
    exactly = float(data.draw(st.sampled_from(sorted(set(costs)))))
    beside = [exactly, math.nextafter(exactly, 0), math.nextafter(exactly, math.inf)]
    limit = data.draw(st.one_of(st.sampled_from(beside), st.floats(0, 300)))
    feasible = archs[costs <= limit]
    if not len(feasible):
        with pytest.raises(InfeasibleBudgetError, match=r"nothing costs at most .* is least"):
            cost.within(limit)
        return
    within = cost.within(limit)
    assert within.exact
    assert within.count == len(feasible)
    drawn = within.sample(50, np.random.default_rng(0))
    assert drawn.shape == (50, len(entries))
    assert (cost(drawn) <= limit).all()


@given(st.integers(1, 2**40), st.integers(1, 2**12))
def test_the_next_float_below_a_sum_excludes_it(unit: int, steps: int) -> None:
    cost = AdditiveCost(float(unit), 0, (np.array([steps - 1, steps]),))
    exactly = float(unit * steps)
    assert cost.steps_within(exactly) == steps
    assert cost.steps_within(math.nextafter(exactly, 0)) == steps - 1
    assert cost.within(exactly).count == 2
    assert cost.within(math.nextafter(exactly, 0)).count == 1


def test_samples_are_uniform_over_what_is_within() -> None:
    cost = AdditiveCost.from_integers(3, [[0, 1, 5, 7], [2, 0, 9], [4, 4, 1, 0], [0, 6]])
    archs = every(cost)
    feasible = archs[cost(archs) <= 14]
    assert 20 < len(feasible) < len(archs)
    drawn = cost.within(14).sample(200 * len(feasible), np.random.default_rng(1))
    assert_uniform(drawn, feasible)


def test_samples_follow_from_the_generator() -> None:
    within = AdditiveCost.from_integers(0, [list(range(5))] * 8).within(15)
    one, same, other = (within.sample(40, np.random.default_rng(s)) for s in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-3, 8), min_size=1, max_size=4), min_size=1, max_size=4),
    st.floats(-2, 5),
    st.floats(0, 1),
)
def test_floats_are_rounded_to_a_fine_grid(
    entries: list[list[float]], fixed: float, position: float
) -> None:
    largest = abs(fixed) + sum(max(map(abs, row)) for row in entries)
    if largest < 1e-3:
        return
    cost = AdditiveCost.from_floats(fixed, entries)
    assert 2**-18 * largest <= cost.unit / 2 <= 2**-17 * largest
    assert math.log2(cost.unit).is_integer()
    archs = every(cost)
    sums = np.array([fixed + sum(r[c] for r, c in zip(entries, a, strict=True)) for a in archs])
    assert np.abs(cost(archs) - sums).max() <= (len(entries) + 1) * cost.unit / 2 * (1 + 1e-9)
    costs = cost(archs)
    limit = float(costs.min() + position * np.ptp(costs))
    assert cost.within(limit).count == int((costs <= limit).sum())
    assert cost.within(float(costs.max())).count == len(archs)
    assert cost.minimum()[1] == costs.min()


@pytest.mark.parametrize("entries", [[[0.0, 0.0]], [[1.0, math.inf]], [[math.nan, 1.0]]])
def test_impossible_floats_are_refused(entries: list[list[float]]) -> None:
    with pytest.raises(OptionError, match="finite and not all zero"):
        AdditiveCost.from_floats(0.0, entries)


def test_counts_beyond_64_bits_are_exact() -> None:
    cost = AdditiveCost.from_integers(0, [[0, 1]] * 70)  # binomial coefficients
    for limit in (2, 35, 70):
        assert cost.within(limit).count == sum(math.comb(70, k) for k in range(limit + 1))
    assert cost.within(70).count == 2**70 > 2**62


def test_samples_beyond_64_bits_are_uniform() -> None:
    cost = AdditiveCost.from_integers(0, [[0, 1]] * 70)
    total = sum(math.comb(70, k) for k in range(34))
    drawn = cost.within(33).sample(4000, np.random.default_rng(5))
    sums = Counter(drawn.sum(axis=1).tolist())
    assert max(sums) <= 33
    for ones in (31, 32, 33):  # the share of each sum, within 5 sigma
        share = math.comb(70, ones) / total
        assert abs(sums[ones] / 4000 - share) < 5 * math.sqrt(share * (1 - share) / 4000)
    # by symmetry every decision is 1 equally often
    mean = drawn.mean()
    assert np.abs(drawn.mean(axis=0) - mean).max() < 5 * math.sqrt(0.25 / 4000)


def test_big_and_small_integers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [[0, 2, 3], [1, 0], [5, 0, 1]]
    copies = 42  # decisions of one choice make no difference, those of three zeros make it big
    small = AdditiveCost.from_integers(0, entries)
    big = AdditiveCost.from_integers(0, [*entries, *[[0, 0, 0]] * copies])
    assert big.within(5).count == small.within(5).count * 3**copies
    drawn = big.within(5).sample(4000, np.random.default_rng(0))[:, :3]
    archs = every(small)
    assert_uniform(drawn, archs[small(archs) <= 5])


@pytest.mark.parametrize("columns", [2, 3, 8, 20])
def test_coarse_grid_still_samples_uniformly_what_is_within(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    cost = AdditiveCost.from_integers(1, [[0, 13, 29, 7], [0, 31, 17], [5, 0, 11, 23]])
    archs = every(cost)
    feasible = archs[cost(archs) <= 41]
    monkeypatch.setattr(hwnas.costs.additive, "_MAX_COLUMNS", columns)
    within = cost.within(41)
    assert not within.exact
    assert within.count >= len(feasible)
    drawn = within.sample(200 * len(feasible), np.random.default_rng(2))
    assert_uniform(drawn, feasible)


def test_grid_that_is_just_large_enough_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    cost = AdditiveCost.from_integers(0, [[0, 3, 6], [0, 9]])  # the unit is 3: 0 to 5 steps
    monkeypatch.setattr(hwnas.costs.additive, "_MAX_COLUMNS", 6)
    assert cost.within(15).exact
    assert cost.within(15).count == 6
    monkeypatch.setattr(hwnas.costs.additive, "_MAX_COLUMNS", 5)
    assert not cost.within(15).exact


def test_many_steps_cost_no_memory() -> None:
    within = AdditiveCost.from_integers(0, [[0, 10**12], [0, 10**12 + 1]]).within(10**12)
    assert within.count >= 2
    drawn = within.sample(100, np.random.default_rng(0))
    assert set(map(tuple, drawn.tolist())) == {(0, 0), (1, 0)}


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(-3, 20), min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(-5, 60),
    st.integers(-5, 60),
    st.sampled_from([2**23, 40, 12]),
)
def test_bands_hold_what_costs_more_than_one_limit_and_at_most_another(
    entries: list[list[int]], above: int, limit: int, columns: int
) -> None:
    cost = AdditiveCost.from_integers(0, entries)
    archs = every(cost)
    costs = cost(archs)
    wanted = {tuple(a) for a in archs[(costs > above) & (costs <= limit)].tolist()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hwnas.costs.additive, "_MAX_COLUMNS", columns)
        whole = cost.within(float(costs.max()))
        try:
            band = whole.band(above, limit)
        except InfeasibleBudgetError:
            assert not wanted
            return
    assert band.count == len(wanted) if band.exact else band.count >= len(wanted)
    if wanted:
        drawn = band.sample(60, np.random.default_rng(0)).tolist()
        assert {tuple(arch) for arch in drawn} <= wanted
    assert band.band(-1000, 1000).count == band.count  # a band of a band is no wider


def test_bands_beyond_64_bits_are_exact_and_uniform() -> None:
    cost = AdditiveCost.from_integers(0, [[0, 1]] * 70)
    band = cost.within(70).band(31, 34)
    counts = {k: math.comb(70, k) for k in (32, 33, 34)}
    assert band.count == sum(counts.values())
    sums = Counter(band.sample(4000, np.random.default_rng(1)).sum(axis=1).tolist())
    for ones, count in counts.items():
        share = count / band.count
        assert abs(sums[ones] / 4000 - share) < 5 * math.sqrt(share * (1 - share) / 4000)
    assert sum(sums.values()) == sum(sums[k] for k in counts)


def test_empty_bands_are_refused() -> None:
    whole = AdditiveCost.from_integers(0, [[0, 10], [0, 20]]).within(30)
    with pytest.raises(InfeasibleBudgetError, match="nothing costs more than 10 and at most 15"):
        whole.band(10, 15)
