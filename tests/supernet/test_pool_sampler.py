"""Paths of a pool are drawn in proportion to the size of their networks."""

import numpy as np
import pytest
from scipy.stats import chisquare

from hwnas.errors import OptionError
from hwnas.supernet import PoolSampler
from hwnas.testing import check_sampler


def test_a_pool_of_a_thousand_is_drawn_in_proportion_to_its_sizes(small_space) -> None:
    archs = np.unique(small_space.sample(3000, seed=0), axis=0)[:1000]
    assert len(archs) == 1000
    sizes = small_space.params(archs)
    assert sizes.max() > 2 * sizes.min()
    sampler = PoolSampler(archs, sizes, seed=1)
    draws = 30_000
    paths = np.array([sampler.sample(step) for step in range(draws)])
    base = 1 + np.array(small_space.n_choices).max()
    code = base ** np.arange(archs.shape[1])
    counts = np.array([(paths @ code == key).sum() for key in archs @ code])
    assert counts.sum() == draws
    assert chisquare(counts, draws * sizes / sizes.sum()).pvalue > 0.01
    assert chisquare(counts).pvalue < 1e-6  # uniform draws are something else


def test_the_weights_decide_alone() -> None:
    archs = np.arange(3)[:, None]
    sampler = PoolSampler(archs, [1.0, 0.001, 3.0], seed=0)
    drawn = np.array([sampler.sample(step)[0] for step in range(4000)])
    assert abs((drawn == 2).mean() - 0.75) < 5 * (0.75 * 0.25 / 4000) ** 0.5
    assert (drawn == 1).mean() < 0.005


def test_it_passes_the_check(small_space) -> None:
    archs = small_space.sample(50, seed=0)
    check_sampler(
        lambda seed: PoolSampler(archs, small_space.params(archs), seed=seed), small_space
    )


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([1.0], "a weight for each, got 2"),
        ([1.0, 0.0], "above 0, got 0.0 to 1.0"),
        ([1.0, np.inf], "finite"),
    ],
)
def test_wrong_weights_are_refused(weights, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        PoolSampler(np.array([[0], [1]]), weights, seed=0)
    with pytest.raises(OptionError, match="1 or more architectures"):
        PoolSampler(np.empty((0, 1), np.int64), [], seed=0)
