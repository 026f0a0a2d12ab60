"""Paths follow from seed and step alone, and are uniform over what they are drawn from."""

import numpy as np
import pytest

from hwnas.costs import Constraint, FeasibleSet, parse_budget
from hwnas.errors import InfeasibleBudgetError, OptionError
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    BalancedSampler,
    ConstraintSampler,
    FeasibleSampler,
    PathSampler,
    ProbabilitySampler,
    UniformSampler,
    make_sampler,
)


def feasible_set(space: SearchSpace, share: float) -> FeasibleSet:
    """The architectures below a quantile of the MACs."""
    limit = np.quantile(space.macs(space.sample(500, seed=0)), share)
    return FeasibleSet([Constraint(parse_budget(f"macs<={limit / 1e3:.3f}k"), space.cost("macs"))])


def samplers(space: SearchSpace, seed: int) -> list[PathSampler]:
    return [
        UniformSampler(space, seed=seed),
        FeasibleSampler(feasible_set(space, 0.3), seed=seed),
        ConstraintSampler(space.cost("macs"), [0, 2e6, 3e6, 1e8], seed=seed),
    ]


@pytest.mark.parametrize("which", [0, 1, 2])
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


def test_uniform_over_the_bins_of_a_constraint_and_within_each(small_space: SearchSpace) -> None:
    cost = small_space.cost("macs")
    macs = np.sort(small_space.macs(small_space.sample(2000, seed=0)))
    edges = [cost.minimum()[1] - 1, *(float(macs[at]) for at in (3, 30, 1000, 1999))]
    sampler = ConstraintSampler(cost, edges, seed=0)
    paths = np.array([sampler.sample(step) for step in range(2000)])
    drawn = np.digitize(small_space.macs(paths), edges, right=True)
    counts = np.bincount(drawn, minlength=5)[1:]
    assert counts.sum() == 2000
    assert np.abs(counts - 500).max() < 4.5 * 500**0.5  # though the bins hold 3 to 1,000 of 2,000
    within = cost.within(edges[1])
    found, times = np.unique(paths[drawn == 1], axis=0, return_counts=True)
    assert len(found) == within.count
    expected = counts[0] / within.count
    assert np.abs(times - expected).max() < 4.5 * expected**0.5 + 1


def test_bins_without_architectures_are_left_out(small_space: SearchSpace) -> None:
    cost = small_space.cost("macs")
    least = cost.minimum()[1]
    sampler = ConstraintSampler(cost, [1.0, least / 2, least, 2 * least], seed=0)
    assert sampler.bins == [(least / 2, least), (least, 2 * least)]
    with pytest.raises(InfeasibleBudgetError, match="no architecture costs between"):
        ConstraintSampler(cost, [1e15, 2e15], seed=0)
    with pytest.raises(InfeasibleBudgetError, match="is least"):
        ConstraintSampler(cost, [0.0, 1.0], seed=0)
    for edges in ([3.0], [3.0, 3.0], [4.0, 3.0]):
        with pytest.raises(OptionError, match="two edges or more that rise"):
            ConstraintSampler(cost, edges, seed=0)


def test_samplers_by_name(small_space: SearchSpace) -> None:
    limit = float(np.median(small_space.macs(small_space.sample(500, seed=0))))
    constraint = Constraint(parse_budget(f"macs<={limit / 1e3:.3f}k"), small_space.cost("macs"))
    uniform = make_sampler("uniform", small_space, constraint, seed=4)
    same = UniformSampler(small_space, seed=4)
    assert np.array_equal(uniform.sample(7), same.sample(7))
    sampler = make_sampler("constraint", small_space, constraint, seed=4)
    macs = small_space.macs([sampler.sample(step) for step in range(100)])
    assert macs.min() > constraint.budget.limit * 290 / 330
    assert macs.max() <= constraint.budget.limit * 360 / 330
    with pytest.raises(OptionError, match="one of uniform, constraint, got 'fair'"):
        make_sampler("fair", small_space, constraint, seed=4)  # type: ignore[arg-type]


def test_balanced_paths_are_equally_frequent_as_choices_die() -> None:
    n_choices = (7, 7, 6, 2, 1)
    alive = np.arange(7) < np.array(n_choices)[:, None]
    rng = np.random.default_rng(0)
    deaths = {int(step): rng.integers(0, (5, 7)).tolist() for step in rng.integers(0, 2000, 14)}
    trained = np.zeros(alive.shape, np.int64)
    for step in range(2000):
        if step in deaths:
            decision, choice = deaths[step]
            if alive[decision, choice] and alive[decision].sum() > 1:
                alive[decision, choice] = False
        path = BalancedSampler(alive, seed=1).sample(step)
        assert alive[np.arange(5), path].all()
        trained[np.arange(5), path] += 1
    assert (trained.sum(axis=1) == 2000).all()
    assert 5 <= alive.sum() < 22
    for row, living in zip(trained, alive, strict=True):
        assert row[living].max() <= 1.1 * row[living].min()


def test_balanced_choices_of_two_decisions_are_independent() -> None:
    sampler = BalancedSampler(np.ones((2, 3), bool), seed=0)
    paths = np.array([sampler.sample(step) for step in range(2700)])
    pairs = np.bincount(3 * paths[:, 0] + paths[:, 1], minlength=9)
    assert (np.bincount(paths[:, 0]) == 900).all()
    # 300 a pair; a permutation matrix of every three steps has variance 900 * (2 / 9)
    assert abs(pairs - 300).max() < 5 * (900 * 2 / 9) ** 0.5
    backwards = BalancedSampler(np.ones((2, 3), bool), seed=0)
    assert [backwards.sample(s).tolist() for s in (7, 3)] == [paths[7].tolist(), paths[3].tolist()]
    other = BalancedSampler(np.ones((2, 3), bool), seed=1)
    assert any(other.sample(step).tolist() != paths[step].tolist() for step in range(20))


def test_paths_by_probability() -> None:
    probabilities = np.array([[0.7, 0.3, 0.0], [0.0, 0.1, 0.9], [0.0, 1.0, 0.0]])
    sampler = ProbabilitySampler(probabilities, seed=0)
    paths = np.array([sampler.sample(step) for step in range(4000)])
    for row, column in zip(probabilities, paths.T, strict=True):
        drawn = np.bincount(column, minlength=3) / 4000
        assert (drawn[row == 0] == 0).all()
        assert abs(drawn - row).max() < 5 * (0.25 / 4000) ** 0.5
    assert np.array_equal(paths[3], ProbabilitySampler(probabilities, seed=0).sample(3))
    apart = ProbabilitySampler(probabilities, seed=0, stream=9)
    assert any((apart.sample(step) != paths[step]).any() for step in range(20))
