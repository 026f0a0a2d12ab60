"""Whether several limits can be kept together, on spaces too large to enumerate."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwnas.spaces
from hwnas.costs import AdditiveCost
from hwnas.costs.jointly_feasible import jointly_feasible, pareto


@given(st.integers(1, 3), st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=40))
def test_pareto_front(columns: int, points: list[tuple[int, int, int]]) -> None:
    sums = np.array(points, np.int64)[:, :columns]
    unique = {tuple(row) for row in sums.tolist()}
    front = {
        p
        for p in unique
        if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in unique)
    }
    got = pareto(sums).tolist()
    assert len(got) == len(front)
    assert {tuple(row) for row in got} == front


@pytest.mark.parametrize("seed", range(20))
def test_a_narrow_walk_that_finds_nothing_is_not_the_answer(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the limits are those of one architecture that no other is better than; a walk of width 1
    # misses most of these, and one step less by any cost leaves none
    monkeypatch.setattr("hwnas.costs.jointly_feasible._NARROW", 1)
    rng = np.random.default_rng(seed)
    costs = [AdditiveCost.from_integers(0, rng.integers(0, 30, (5, 4)).tolist()) for _ in range(3)]
    archs = np.array(list(itertools.product(range(4), repeat=5)))
    values = np.stack([cost(archs) for cost in costs], axis=1).astype(int)
    front = [row for row in values if not ((values <= row).all(1) & (values < row).any(1)).any()]
    reached = front[rng.integers(len(front))]
    assert jointly_feasible(costs, reached.tolist())
    for less in reached - np.eye(3, dtype=int):
        if (less >= values.min(axis=0)).all():
            assert not jointly_feasible(costs, less.tolist())


def limits(costs: list[AdditiveCost], archs: np.ndarray, tightness: float) -> list[float]:
    """Between the least of each cost (0) and its median over random architectures (1)."""
    least = [c.minimum()[1] for c in costs]
    middle = [float(np.median(c(archs))) for c in costs]
    return [a + tightness * (b - a) for a, b in zip(least, middle, strict=True)]


def random_cost(rng: np.random.Generator) -> AdditiveCost:
    space = hwnas.spaces.space("proxyless")
    return AdditiveCost.from_floats(0.5, [rng.uniform(0.1, 1, n) for n in space.n_choices])


@pytest.mark.parametrize("kind", ["analytic", "random", "opposed"])
def test_three_costs_of_a_whole_space_are_decided_at_once(kind: str) -> None:
    space = hwnas.spaces.space("proxyless")
    archs = space.sample(2000, seed=0)
    rng = np.random.default_rng(0)
    one, two = random_cost(rng), random_cost(rng)
    if kind == "analytic":
        costs = [space.cost("macs"), space.cost("bytes"), one]
    elif kind == "random":
        costs = [one, two, random_cost(rng)]
    else:  # what one saves, the others pay: the sum of all is nearly constant
        rest = [
            3 - a * one.unit - b * two.unit + rng.uniform(0, 0.1, len(a))
            for a, b in zip(one.entries, two.entries, strict=True)
        ]
        costs = [one, two, AdditiveCost.from_floats(0.5, rest)]
    found = [
        jointly_feasible(costs, limits(costs, archs, t))
        for t in (0.0, 0.2, 0.5, 0.8, 0.9, 0.99, 1.0)
    ]
    assert found == sorted(found)  # looser limits keep what was feasible
    assert (found[0], found[-1]) == (False, True)


@pytest.mark.parametrize("seed", range(5))
def test_the_least_by_a_weighted_sum_is_feasible_and_one_step_less_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = [random_cost(rng), random_cost(rng), random_cost(rng)]
    weights = rng.dirichlet([1, 1, 1])
    weighted = [
        sum(w * entry for w, entry in zip(weights, entries, strict=True))
        for entries in zip(*(c.entries for c in costs), strict=True)
    ]
    best = np.array([row.argmin() for row in weighted])
    reached = [float(c(best[None])[0]) for c in costs]
    assert jointly_feasible(costs, reached)
    assert not jointly_feasible(costs, [r - c.unit for r, c in zip(reached, costs, strict=True)])
