"""Fronts, and NSGA-II under budgets, on a problem whose truth is known."""

import sys

import numpy as np
import pytest

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet
from hwnas.errors import MissingPackageError
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.pareto import evolve_front, front
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.shared_settings import EvolutionSettings

RNG = np.random.default_rng(3)
COST = AdditiveCost.from_integers(
    100, [[int(v) for v in row] for row in RNG.integers(1, 60, (12, 5))]
)
SECOND = AdditiveCost.from_integers(
    0, [[int(v) for v in row] for row in RNG.integers(1, 60, (12, 5))]
)
GAIN = RNG.random((12, 5))
BOTH = FeasibleSet(
    [Constraint(Budget("macs", 420), COST), Constraint(Budget("params", 400), SECOND)]
)
NOBODY = np.empty((0, 12), np.int64)


def worth(archs):
    return GAIN[np.arange(12), archs].mean(axis=1)


def nsga2(feasible, seed, start=NOBODY, population=50, generations=20):
    asked = []

    def evaluate(archs):
        asked.append(archs.copy())
        return worth(archs)

    evolve_front(
        feasible,
        COST,
        evaluate,
        start,
        EvolutionSettings(population=population, generations=generations),
        seed=seed,
    )
    return np.concatenate(asked)


def area(archs):
    """Share of the plane, up to a cost of 420 and down to no accuracy, that a front leaves below.

    The hypervolume of two objectives: a sum of rectangles.
    """
    cost, accuracy = COST(archs), worth(archs)
    at = front(cost, accuracy)
    edges = np.append(cost[at], 420.0)
    return float(((edges[1:] - edges[:-1]) * accuracy[at]).sum())


def test_a_front_is_what_nothing_beats():
    rng = np.random.default_rng(0)
    cost, accuracy = rng.integers(0, 30, 200), rng.integers(0, 30, 200)
    beaten = [
        bool(
            (
                (cost <= cost[i])
                & (accuracy >= accuracy[i])
                & ((cost < cost[i]) | (accuracy > accuracy[i]))
            ).any()
        )
        for i in range(200)
    ]
    unbeaten = {(cost[i], accuracy[i]) for i in range(200) if not beaten[i]}
    found = front(cost, accuracy)
    assert [(cost[i], accuracy[i]) for i in found] == sorted(unbeaten)
    assert front([], []) == []


def test_the_first_of_equal_points_stays():
    assert front([2, 1, 1, 2], [0.5, 0.4, 0.4, 0.5]) == [1, 0]


def test_nsga2_finds_a_wider_front_than_random_draws():
    for seed in range(3):
        asked = nsga2(BOTH, seed)
        drawn = BOTH.sample(len(asked), np.random.default_rng(seed))
        assert area(asked) > 1.05 * area(drawn)


def test_the_same_seed_asks_the_same():
    assert np.array_equal(nsga2(BOTH, 7, generations=5), nsga2(BOTH, 7, generations=5))
    assert not np.array_equal(nsga2(BOTH, 7, generations=5), nsga2(BOTH, 8, generations=5))


def test_the_start_is_the_first_generation():
    start = BOTH.sample(3, np.random.default_rng(5))
    assert np.array_equal(nsga2(BOTH, 0, start, generations=1)[:3], start)
    assert len(nsga2(BOTH, 0, np.repeat(start, 30, axis=0), generations=1)) <= 50


def test_budgets_are_kept_by_ten_thousand_proposals_of_all_modes():
    proposed = [nsga2(BOTH, seed, generations=70) for seed in range(1)]
    for make in (Evolution, RandomSearch):
        searcher = make(BOTH, seed=0)
        for _ in range(70):
            archs = searcher.suggest(50)
            searcher.update(archs, worth(archs))
            proposed.append(archs)
    every = np.concatenate(proposed)
    assert len(every) >= 10_000
    assert (COST(every) <= 420).all()
    assert (SECOND(every) <= 400).all()


def test_without_pymoo_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(MissingPackageError, match=r"needs pymoo: pip install 'hwnas\[pareto\]'"):
        nsga2(BOTH, 0)
