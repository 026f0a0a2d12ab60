"""Trees on the decisions: features by hand, and proposals better than chance."""

import numpy as np

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.searchers.trees import Trees, features
from hwnas.testing import check_searcher

COST = AdditiveCost.from_integers(
    100, [[int(v) for v in row] for row in np.random.default_rng(3).integers(1, 60, (8, 4))]
)


def feasible(limit):
    return FeasibleSet([Constraint(Budget("macs", limit), COST)])


def test_conform():
    check_searcher(lambda f, seed: Trees(f, seed), feasible(320))


def test_features_are_the_choices_and_how_often_each_occurs():
    archs = np.array([[0, 2, 1], [1, 1, 1]])
    assert features(archs, (2, 3, 2)).tolist() == [
        [1, 0, 0, 0, 1, 0, 1, 1, 1, 1],
        [0, 1, 0, 1, 0, 0, 1, 0, 3, 0],
    ]


def test_finds_better_architectures_than_random_search_under_the_same_budget():
    gain = np.random.default_rng(0).random((8, 4))
    worth = lambda archs: gain[np.arange(8), archs].mean(axis=1)  # noqa: E731
    for seed in range(3):
        best = []
        for searcher in (Trees(feasible(300), seed), RandomSearch(feasible(300), seed)):
            for count in (20, *[10] * 5):
                archs = searcher.suggest(count)
                searcher.update(archs, worth(archs))
            best.append(searcher.best()[1])
        assert best[0] > best[1]


def test_an_exhausted_space_ends_the_suggestions():
    cost = AdditiveCost.from_integers(0, [[1, 2], [1, 2]])
    searcher = Trees(FeasibleSet([Constraint(Budget("macs", 3.0), cost)]))
    searcher.update(searcher.suggest(2), [0.1, 0.2])
    assert len(searcher.suggest(10)) == 1
    assert len(searcher.suggest(10)) == 0
