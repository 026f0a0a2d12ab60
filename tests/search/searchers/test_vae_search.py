from itertools import product

import numpy as np
import pytest

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet
from hwnas.search.searchers.vae_search import (
    VAESearch,
    VAESearchSettings,
    best_of,
    worths_of,
)
from hwnas.testing import check_searcher

QUICK = {"start": 12, "vae_steps": 15, "candidates": 60}
#: All 4^5 architectures; the more choices are 2 the better, without exception.
EVERY = np.array(list(product(range(4), repeat=5)))


def feasible_within(limit):
    entries = [np.array([1.0, 2.0, 4.0, 3.0])] * 5
    cost = AdditiveCost.from_floats(0.0, entries)
    return FeasibleSet([Constraint(Budget("macs", limit), cost)])


def worth(archs):
    return 0.5 + 0.08 * (archs == 2).sum(1)


def searched(settings, limit=100.0, seed=0, generations=6):
    searcher = VAESearch(feasible_within(limit), settings, seed=seed)
    found = []
    for _ in range(generations):
        archs = searcher.suggest(12)
        searcher.update(archs, worth(archs))
        found.append(worth(archs))
    return searcher, found


@pytest.mark.parametrize("predictors", [0, 4])
def test_it_is_a_searcher(predictors):
    settings = VAESearchSettings(predictors=predictors, **QUICK)
    check_searcher(
        lambda feasible, seed: VAESearch(feasible, settings, seed=seed), feasible_within(13.0)
    )


@pytest.mark.parametrize("predictors", [0, 4])
def test_what_it_draws_is_better_than_uniform(predictors):
    settings = VAESearchSettings(predictors=predictors, explore=0.0, start=24, vae_steps=60)
    _, found = searched(settings)
    assert np.mean(found[-1]) > np.mean(found[0]) + 0.08  # by one more choice that is 2


def test_predictors_find_the_best_within_a_budget():
    searcher, _ = searched(VAESearchSettings(start=24), limit=14.0)
    most = worth(EVERY[feasible_within(14.0).contains(EVERY)]).max()
    assert searcher.best()[1] == most
    assert 0 < searcher.limited <= searcher.drawn


def test_what_it_proposes_depends_on_what_it_was_told_alone():
    settings = VAESearchSettings(**QUICK)
    first, _ = searched(settings, generations=3)
    second, _ = searched(settings, generations=3)
    assert np.array_equal(first.suggest(5), second.suggest(5))


def test_all_of_a_small_set_is_found_and_no_more():
    feasible = feasible_within(6.0)
    count = int(feasible.contains(EVERY).sum())
    searcher = VAESearch(feasible, VAESearchSettings(start=3, vae_steps=5, candidates=20))
    rows = []
    while len(archs := searcher.suggest(2)):
        searcher.update(archs, worth(archs))
        rows += archs.tolist()
    assert len(rows) == len({tuple(row) for row in rows}) == count == 6


def test_the_best_share_counts_ten_at_least():
    accuracies = np.arange(100) / 100
    assert np.flatnonzero(best_of(accuracies, 0.25)).tolist() == list(range(75, 100))
    assert best_of(accuracies, 0.01).sum() == 10
    assert best_of(accuracies[:4], 0.01).sum() == 4


def test_worths_count_halved_errors_alike():
    worths = worths_of(1.01 - np.array([0.8, 0.4, 0.2, 0.1]))
    assert np.diff(worths) == pytest.approx(np.diff(worths)[0])
    assert worths.mean() == pytest.approx(0, abs=1e-9)
    assert worths.std() == pytest.approx(1)
    assert np.isfinite(worths_of(np.full(5, 0.5))).all()
