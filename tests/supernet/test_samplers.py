"""Paths follow from seed and step alone, and are uniform over what they are drawn from."""

import numpy as np
import pytest

from hwnas.costs import Constraint, FeasibleSet, parse_budget
from hwnas.spaces import SearchSpace
from hwnas.supernet import FeasibleSampler, PathSampler, UniformSampler


def feasible_set(space: SearchSpace, share: float) -> FeasibleSet:
    """The architectures below a quantile of the MACs."""
    limit = np.quantile(space.macs(space.sample(500, seed=0)), share)
    return FeasibleSet([Constraint(parse_budget(f"macs<={limit / 1e3:.3f}k"), space.cost("macs"))])


def samplers(space: SearchSpace, seed: int) -> list[PathSampler]:
    return [
        UniformSampler(space, seed=seed),
        FeasibleSampler(feasible_set(space, 0.3), seed=seed),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_a_step_has_one_path_in_whatever_order_it_is_asked(
    small_space: SearchSpace, which: int
) -> None:
    forwards = samplers(small_space, 5)[which]
    backwards = samplers(small_space, 5)[which]
    paths = [forwards.sample(step) for step in range(20)]
    again = [backwards.sample(step) for step in reversed(range(20))][::-1]
    np.testing.assert_array_equal(paths, again)
    assert len({tuple(path) for path in paths}) > 15
    assert paths[0].shape == (4,)
    assert paths[0].dtype == np.int64
    other_seed = samplers(small_space, 6)[which]
    assert not np.array_equal(paths, [other_seed.sample(step) for step in range(20)])


def test_uniform_over_the_choices(small_space: SearchSpace) -> None:
    sampler = UniformSampler(small_space, seed=0)
    paths = np.array([sampler.sample(step) for step in range(4200)])
    for decision, n in enumerate(small_space.n_choices):
        counts = np.bincount(paths[:, decision], minlength=n)
        assert len(counts) == n
        expected = 4200 / n
        assert np.abs(counts - expected).max() < 4.5 * expected**0.5  # binomial spread


def test_within_the_budget_and_uniform_there(small_space: SearchSpace) -> None:
    feasible = feasible_set(small_space, 0.02)
    sampler = FeasibleSampler(feasible, seed=0)
    paths = np.array([sampler.sample(step) for step in range(2000)])
    assert feasible.contains(paths).all()
    assert 4 < feasible.count < 100
    drawn, counts = np.unique(paths, axis=0, return_counts=True)
    assert len(drawn) == feasible.count
    expected = 2000 / feasible.count
    assert np.abs(counts - expected).max() < 4.5 * expected**0.5
