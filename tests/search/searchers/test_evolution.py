from itertools import product

import numpy as np
import pytest

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet
from hwnas.errors import OptionError
from hwnas.search.searchers.archive import Choose
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.testing import check_searcher

COST = AdditiveCost.from_integers(
    100, [[int(v) for v in row] for row in np.random.default_rng(3).integers(1, 60, (12, 5))]
)


def feasible(limit):
    return FeasibleSet([Constraint(Budget("macs", limit), COST)])


def test_conform():
    middle = feasible(450)
    check_searcher(lambda f, seed: Evolution(f, seed=seed), middle)
    check_searcher(lambda f, seed: RandomSearch(f, seed), middle)


def run(searcher, worth, generations=12, population=20):
    for _ in range(generations):
        archs = searcher.suggest(population)
        searcher.update(archs, worth(archs))
    return searcher.best()


def test_finds_better_architectures_than_random_search_under_the_same_budget():
    gain = np.random.default_rng(0).random((12, 5))
    worth = lambda archs: gain[np.arange(12), archs].mean(axis=1)  # noqa: E731
    for seed in range(5):
        evolved = run(Evolution(feasible(400), seed=seed), worth)[1]
        drawn = run(RandomSearch(feasible(400), seed), worth)[1]
        assert evolved > drawn


def test_finds_the_best_of_a_small_space():
    cost = AdditiveCost.from_integers(0, [[1, 2, 3]] * 4)
    within = FeasibleSet([Constraint(Budget("macs", 9.0), cost)])
    gain = np.random.default_rng(1).random((4, 3))
    worth = lambda archs: gain[np.arange(4), archs].sum(axis=1)  # noqa: E731
    best, value = run(Evolution(within, parents=5, seed=0), worth)
    rows = np.array(list(product(range(3), repeat=4)))
    rows = rows[within.contains(rows)]
    assert value == worth(rows).max()
    assert worth(best[None])[0] == value


def test_an_exhausted_space_ends_the_suggestions():
    cost = AdditiveCost.from_integers(0, [[1, 2], [1, 2]])
    searcher = Evolution(FeasibleSet([Constraint(Budget("macs", 3.0), cost)]), seed=0)
    first = searcher.suggest(10)
    assert sorted(map(tuple, first.tolist())) == [(0, 0), (0, 1), (1, 0)]
    searcher.update(first, [0.1, 0.2, 0.3])
    assert searcher.suggest(10).shape == (0, 2)


def test_equally_accurate_architectures_are_ranked_by_cost():
    searcher = Evolution(feasible(10_000), seed=0)
    archs = searcher.suggest(30)
    searcher.update(archs, np.full(len(archs), 0.5))
    assert COST(searcher.best()[0][None])[0] == COST(archs).min()


def test_what_breaks_the_budget_is_never_the_best():
    searcher = Evolution(feasible(400), seed=0)
    archs = searcher.suggest(10)
    searcher.update(archs, np.full(10, 0.1))
    dear = np.array([[int(entry.argmax()) for entry in COST.entries]])
    searcher.update(dear, [1.0])
    assert searcher.best()[1] == 0.1


def test_children_come_from_the_parents():
    searcher = Evolution(feasible(10_000), parents=2, mutation=0.1, seed=0)
    archs = searcher.suggest(50)
    searcher.update(archs, np.linspace(0, 1, 50))
    parents, children = archs[-2:], searcher.suggest(50)
    crossed, mutated = children[:25], children[25:]
    assert all(((child == parents[0]) | (child == parents[1])).all() for child in crossed)
    changes = [min((child != parent).sum() for parent in parents) for child in mutated]
    assert 0.5 < np.mean(changes) < 2.5  # 12 decisions, each redrawn with 0.1


@pytest.mark.parametrize(("parents", "mutation"), [(0, 0.1), (10, 0.0), (10, 1.5)])
def test_bad_settings(parents, mutation):
    with pytest.raises(OptionError, match="needs 1 or more parents and 0 < mutation <= 1"):
        Evolution(feasible(400), parents=parents, mutation=mutation)


def test_what_was_told_is_not_suggested_again():
    cost = AdditiveCost.from_integers(0, [[1, 2], [1, 2]])
    searcher = Evolution(FeasibleSet([Constraint(Budget("macs", 4.0), cost)]), seed=0)
    searcher.update(np.array([[0, 0], [1, 1]]), [0.1, 0.2])
    assert sorted(map(tuple, searcher.suggest(10).tolist())) == [(0, 1), (1, 0)]


def test_the_largest_of_several_children_is_suggested_and_the_first_generation_is_as_before():
    size = lambda archs: archs.sum(axis=1)  # noqa: E731
    within = feasible(450)
    plain, picky = (Evolution(within, seed=1, choose=Choose(n, size)) for n in (1, 8))
    first = plain.suggest(30)
    assert np.array_equal(first, picky.suggest(30))
    assert np.array_equal(first, Evolution(within, seed=1).suggest(30))
    for searcher in (plain, picky):
        searcher.update(first, np.arange(30) / 30)
    assert size(picky.suggest(30)).mean() > size(plain.suggest(30)).mean() + 1
    check_searcher(lambda f, seed: Evolution(f, seed=seed, choose=Choose(3, size)), within)


def test_each_group_of_candidates_sends_its_largest():
    archs = np.array([[5], [1], [2], [7], [3]])
    choose = Choose(3, lambda rows: rows[:, 0])
    assert choose(archs, 2) == [0, 3]  # of 5, 2, 3 and of 1, 7
    assert choose(archs, 9) == [0, 1, 2, 3, 4]
    assert choose(archs[:0], 2) == []
    assert Choose()(archs, 2) == [0, 1]
