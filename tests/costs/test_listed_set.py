"""Feasible sets of listed architectures, against looking through the list."""

from itertools import product

import numpy as np
import pytest

from hwnas.costs import AdditiveCost, Budget, Constraint, ListedSet, decode
from hwnas.errors import InfeasibleBudgetError
from hwnas.search.searchers.evolution import Evolution
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.testing import check_searcher

MACS = AdditiveCost.from_integers(10, [[1, 5, 9], [2, 4, 8], [0, 3, 7], [1, 2, 3]])
EVERY = np.array(list(product(range(3), repeat=4)))
LISTED = EVERY[np.random.default_rng(0).permutation(81)[:50]]


def bumpy(archs):
    return MACS(archs) * (1 + (archs[:, 0] == archs[:, 3]))


def constraints(macs=26, latency=40):
    return [
        Constraint(Budget("macs", macs), MACS),
        Constraint(Budget("latency", latency), MACS, check=bumpy),
    ]


def test_it_holds_what_is_listed_and_keeps_all():
    within = ListedSet(constraints(), LISTED)
    kept = [a for a in LISTED.tolist() if MACS([a]) <= 26 and bumpy(np.array([a])) <= 40]
    assert within.count == len(kept) > 0
    assert within.exact
    assert within.contains(EVERY).tolist() == [a in kept for a in EVERY.tolist()]
    drawn = within.sample(4000, np.random.default_rng(1))
    rows, counts = np.unique(drawn, axis=0, return_counts=True)
    assert sorted(rows.tolist()) == sorted(kept)
    expected = 4000 / len(kept)
    assert ((counts - expected) ** 2 / expected).sum() < 2.5 * len(kept)
    assert within.known.tolist() in kept


def test_searchers_stay_within_it():
    within = ListedSet(constraints(60, 90), EVERY)
    check_searcher(lambda f, seed: Evolution(f, seed=seed), within)
    check_searcher(lambda f, seed: RandomSearch(f, seed), within)


def test_what_cannot_be_kept_is_said_with_the_least_of_the_list():
    first = LISTED[MACS(LISTED).argmin()]
    with pytest.raises(InfeasibleBudgetError, match=r"macs<=0.005k: the least is") as caught:
        ListedSet(constraints(macs=5), LISTED)
    assert str(caught.value).endswith(f"of {first}")
    apart = [
        Constraint(Budget("macs", 14), MACS),
        Constraint(Budget("latency", 30), MACS, check=lambda archs: 60 - MACS(archs)),
    ]
    with pytest.raises(InfeasibleBudgetError, match="together, though each alone can be kept"):
        ListedSet(apart, EVERY)
    with pytest.raises(InfeasibleBudgetError, match="no architecture is listed"):
        ListedSet(constraints(), LISTED[:0])


@pytest.mark.parametrize("count", [0, 1, 5])
def test_choices_are_left_for_as_many_architectures_as_were_begun(count):
    within = ListedSet(constraints(), LISTED)
    assert within.allowed(np.zeros((count, 2), np.int64)).shape == (count, 3)
    decided, limited = decode(within, lambda begun: np.zeros((len(begun), 3)), count)
    assert (decided.shape, limited.shape) == ((count, 4), (count,))
    assert within.contains(decided).all()
