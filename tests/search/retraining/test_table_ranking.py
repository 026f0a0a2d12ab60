"""Rankings against a table, by counting."""

from itertools import product

import numpy as np
import pytest

from hwnas import spaces
from hwnas.search.retraining.ranking import METRICS
from hwnas.search.retraining.table_ranking import band_agreement, free_guesses, top_share

CELLS = spaces.space("nasbench201", input_size=8)
EVERY = np.array(list(product(range(5), repeat=6)))


def test_size_ranks_between_bands_and_nothing_within_them():
    rng = np.random.default_rng(0)
    costs = np.repeat(np.arange(10.0), 20)
    truth = 10 * costs + rng.permutation(200) / 200  # the luck within a band is not of the cost
    found = band_agreement(truth, costs + rng.random(200) / 10, costs, 10)
    assert METRICS["kendall"](truth, costs) > 0.9
    assert abs(found["kendall"]) < 0.15
    perfect = band_agreement(truth, truth, costs, 10)
    assert list(perfect.values()) == pytest.approx([1.0, 1.0, 1.0])
    assert band_agreement(truth, costs, costs, 10)["kendall"] is None  # level in each band


def test_bands_are_the_mean_of_each_alone():
    rng = np.random.default_rng(1)
    truth, guess, costs = rng.random((3, 30))
    order = np.argsort(costs)
    alone = [METRICS["spearman"](truth[p], guess[p]) for p in (order[:15], order[15:])]
    assert band_agreement(truth, guess, costs, 2)["spearman"] == pytest.approx(np.mean(alone))


def test_the_top_is_counted():
    truth = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    guess = np.array([1.0, 5.0, 4.0, 2.0, 3.0])
    found = top_share(truth, guess, 2)  # chooses 0.8 and 0.7; 0.9 and 0.8 are best
    assert found["shared"] == 0.5
    assert found["lost"] == pytest.approx(0.1)
    assert top_share(truth, truth, 2) == {"shared": 1.0, "lost": 0.0}


def test_operators_on_no_path_count_for_nothing():
    guesses = free_guesses(CELLS, EVERY)
    assert list(guesses) == ["live MACs", "live params"]
    dead = CELLS.parse("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|")
    live = CELLS.parse("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|")
    at, other = (int(np.flatnonzero((a == EVERY).all(axis=1))[0]) for a in (dead, live))
    for values in guesses.values():
        assert values[at] == values[other]
    assert guesses["live MACs"][other] == CELLS.macs(live)[0]
    chain = spaces.space("proxyless", input_size=8)
    archs = chain.sample(5, seed=0)
    assert free_guesses(chain, archs)["MACs"].tolist() == chain.macs(archs).tolist()
