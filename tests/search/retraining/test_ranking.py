"""Agreement of two rankings, against counting by hand."""

from itertools import combinations

import numpy as np
import pytest

from hwnas.errors import OptionError
from hwnas.search.retraining.ranking import METRICS, pairwise_accuracy, rank_correlation


def test_pairs_are_counted():
    truth, guess = np.array([1.0, 2.0, 3.0, 3.0]), np.array([5.0, 5.0, 6.0, 4.0])
    # (0,1) level in the guess; (0,2), (1,2) right; (0,3), (1,3) wrong; (2,3) level in truth
    assert pairwise_accuracy(truth, guess) == (0.5 + 1 + 1 + 0 + 0) / 5


def test_the_metrics_are_scipys_and_an_enumeration():
    from scipy.stats import kendalltau, spearmanr

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 20, 30).astype(float)
    guess = truth + rng.normal(0, 6, 30).round()
    assert METRICS["kendall"](truth, guess) == pytest.approx(kendalltau(truth, guess).statistic)
    assert METRICS["spearman"](truth, guess) == pytest.approx(spearmanr(truth, guess).statistic)
    pairs = [(i, j) for i, j in combinations(range(30), 2) if truth[i] != truth[j]]
    right = [
        0.5 if guess[i] == guess[j] else float((guess[i] < guess[j]) == (truth[i] < truth[j]))
        for i, j in pairs
    ]
    assert pairwise_accuracy(truth, guess) == pytest.approx(np.mean(right))


def test_equal_and_opposite_rankings():
    values = np.arange(8.0)
    same, opposite = rank_correlation(values, 2 * values), rank_correlation(values, -values)
    assert [m["value"] for m in same.values()] == pytest.approx([1.0] * 3)
    assert all(m["interval"] == pytest.approx([1.0, 1.0]) for m in same.values())
    assert [round(m["value"], 9) for m in opposite.values()] == [-1.0, -1.0, 0.0]


def test_level_accuracies_rank_nothing():
    found = rank_correlation([0.5, 0.5, 0.5], [0.1, 0.2, 0.3])
    assert all(m == {"value": None, "interval": None} for m in found.values())


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Spearman of a normal pair with correlation r is 6/pi asin(r/2) in the long run."""
    rng, r, hits = np.random.default_rng(1), 0.6, 0
    truth = 6 / np.pi * np.arcsin(r / 2)
    repeats = 25
    for seed in range(repeats):
        x = rng.normal(size=40)
        y = r * x + np.sqrt(1 - r**2) * rng.normal(size=40)
        low, high = rank_correlation(x, y, resamples=200, seed=seed)["spearman"]["interval"]
        hits += low <= truth <= high
    assert hits >= 20  # 95 % of 25 are 23.75; fewer than 20 happen once in a thousand times


@pytest.mark.parametrize(("truth", "guess"), [([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 3, 4])])
def test_too_few_or_unequal(truth, guess):
    with pytest.raises(OptionError, match="a ranking needs 3 architectures with both accuracies"):
        rank_correlation(truth, guess)
