"""Paths in proportion to size: exact where sizes are sums, by rejection elsewhere."""

from itertools import product

import numpy as np
from branches import branches

from hwnas import spaces
from hwnas.ops import MBConv, Stem
from hwnas.ops.stem_head import Classifier
from hwnas.spaces import SearchSpace
from hwnas.spaces.chain import chain
from hwnas.supernet.proportional import ProportionalSampler
from hwnas.testing import check_sampler

#: Two blocks of three operators each: nine architectures.
CHAIN = SearchSpace(
    "two-blocks",
    {},
    chain(
        (3, 8, 8),
        [
            ("stem", Stem(3), 8, 1),
            ("a", [MBConv(3, 1), MBConv(3, 3), MBConv(5, 6)], 8, 1),
            ("b", [MBConv(3, 3), MBConv(5, 3), MBConv(7, 6)], 16, 2),
            ("head", Classifier(), 10, 1),
        ],
    ),
)
BRANCHES = branches()


def chi_square(space: SearchSpace, draws: int) -> float:
    """Of draws against sizes, over all architectures; 1 a degree of freedom is expected."""
    archs = [tuple(arch) for arch in product(*map(range, space.n_choices))]
    sampler = ProportionalSampler(space, seed=3)
    drawn = [tuple(sampler.sample(step).tolist()) for step in range(draws)]
    counts = np.array([drawn.count(arch) for arch in archs])
    assert counts.sum() == draws
    sizes = np.array(space.params(archs), float)
    assert sizes.max() > 1.3 * sizes.min()  # uniform draws would not pass
    expected = draws * sizes / sizes.sum()
    return float(((counts - expected) ** 2 / expected).sum() / (len(archs) - 1))


def test_draws_are_proportional_to_sums() -> None:
    assert chi_square(CHAIN, 9000) < 2.5  # 8 degrees of freedom: 99.0 % lie below 2.51


def test_draws_are_proportional_where_sizes_are_no_sums() -> None:
    assert not BRANCHES.additive
    assert chi_square(BRANCHES, 6000) < 3  # 5 degrees of freedom: 99.0 % lie below 3.02


def test_nasbench201_prefers_convolutions() -> None:
    space = spaces.space("nasbench201", input_size=8, channels=16, cells=1)
    sampler = ProportionalSampler(space, seed=0)
    paths = np.array([sampler.sample(step) for step in range(4000)])
    archs = np.array(list(product(range(5), repeat=6)))
    weights = space.params(archs) / space.params(archs).sum()
    shares = np.array([weights @ (archs == choice).mean(1) for choice in range(5)])
    got = np.array([(paths == choice).mean() for choice in range(5)])
    np.testing.assert_allclose(got, shares, atol=5 * (0.25 / 24_000) ** 0.5)
    assert shares[3] > 1.3 * shares[0]


def test_they_pass_the_check(small_space: SearchSpace) -> None:
    check_sampler(lambda seed: ProportionalSampler(small_space, seed=seed), small_space)
    check_sampler(lambda seed: ProportionalSampler(BRANCHES, seed=seed), BRANCHES)
