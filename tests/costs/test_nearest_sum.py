"""The nearest sum to a cost, against sums, and against a pair whose residue is known."""

import numpy as np
import pytest

from hwnas.costs import nearest_sum

N_CHOICES = (5,) * 6
PRICES = np.arange(30).reshape(6, 5) % 7 / 4


def sums(archs):
    return 3 + PRICES[np.arange(6), archs].sum(axis=1)


def pairs(archs):
    return sums(archs) + (archs[:, 0] == archs[:, 1])


def test_a_sum_is_its_own_nearest_sum():
    nearest = nearest_sum(sums, N_CHOICES)
    archs = np.random.default_rng(9).integers(0, N_CHOICES, (500, 6))
    np.testing.assert_allclose(nearest.cost(archs), sums(archs), rtol=1e-4)
    assert nearest.relative_error < 1e-4
    assert all(entry.min() >= 0 for entry in nearest.cost.entries)


def test_the_nearest_sum_says_how_far_it_is_off():
    every = np.stack(np.unravel_index(np.arange(5**6), (5,) * 6), axis=1)
    # what is left of the pair: an indicator of probability 1/5, independent of each of both
    residual = (every[:, 0] == every[:, 1]) - 1 / 5
    expected = np.sqrt(np.mean((residual / pairs(every)) ** 2))
    assert nearest_sum(pairs, N_CHOICES).relative_error == pytest.approx(expected, rel=0.05)


def test_a_cost_that_is_0_somewhere_has_an_error_elsewhere():
    def jumps(archs):
        return np.where(archs.sum(axis=1) > 12, 100.0, 0.0)

    assert 0 < nearest_sum(jumps, N_CHOICES).relative_error < 5
