"""Paths follow from seed and step alone, and are uniform over what they are drawn from."""

import numpy as np
import pytest
import torch

from hwnas.costs import Budget, Constraint, FeasibleSet, nearest_sum, parse_budget
from hwnas.errors import InfeasibleBudgetError, OptionError
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    BalancedSampler,
    ConstraintSampler,
    FeasibleSampler,
    LearningSampler,
    PathSampler,
    ProbabilitySampler,
    UniformSampler,
    make_sampler,
    sampler_state,
    tell_sampler,
)
from hwnas.testing import check_sampler


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
    # all that keeps the constraint, or all budgets, with equal probability
    params = float(np.median(small_space.params(small_space.sample(500, seed=0))))
    both = FeasibleSet(
        [
            constraint,
            Constraint(parse_budget(f"params<={params / 1e3:.3f}k"), small_space.cost("params")),
        ]
    )
    for known in (None, both):
        sampler = make_sampler("feasible", small_space, constraint, seed=4, feasible=known)
        same_paths = FeasibleSampler(known or FeasibleSet([constraint]), seed=4)
        paths = np.array([sampler.sample(step) for step in range(60)])
        assert np.array_equal(paths, [same_paths.sample(step) for step in range(60)])
        assert small_space.macs(paths).max() <= constraint.budget.limit
        assert (small_space.params(paths).max() <= params) == (known is both)
    balanced = make_sampler("balanced", small_space, constraint, seed=4)
    paths = np.array([balanced.sample(step) for step in range(6)])
    assert all(len(set(column)) == 6 for column in paths.T[:3])  # of 6 or 7 choices
    largest = make_sampler("proportional", small_space, constraint, seed=4)
    sizes = small_space.params([largest.sample(step) for step in range(300)])
    assert sizes.mean() > 1.02 * small_space.params(small_space.sample(3000, seed=0)).mean()
    with pytest.raises(OptionError, match=r"one of uniform, balanced, .* got 'fair'"):
        make_sampler("fair", small_space, constraint, seed=4)  # type: ignore[arg-type]


def test_balanced_paths_are_equally_frequent_as_choices_are_pruned() -> None:
    n_choices = (7, 7, 6, 2, 1)
    active = np.arange(7) < np.array(n_choices)[:, None]
    rng = np.random.default_rng(0)
    prunings = {int(step): rng.integers(0, (5, 7)).tolist() for step in rng.integers(0, 2000, 14)}
    trained = np.zeros(active.shape, np.int64)
    for step in range(2000):
        if step in prunings:
            decision, choice = prunings[step]
            if active[decision, choice] and active[decision].sum() > 1:
                active[decision, choice] = False
        path = BalancedSampler(active, seed=1).sample(step)
        assert active[np.arange(5), path].all()
        trained[np.arange(5), path] += 1
    assert (trained.sum(axis=1) == 2000).all()
    assert 5 <= active.sum() < 22
    for row, left in zip(trained, active, strict=True):
        assert row[left].max() <= 1.1 * row[left].min()


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


@pytest.mark.parametrize("which", [0, 1, 2])
def test_samplers_pass_the_check(small_space: SearchSpace, which: int) -> None:
    check_sampler(lambda seed: samplers(small_space, seed)[which], small_space)


# Costs that are no sums: an exact check, and the nearest sum as a guide


def coupled(archs: np.ndarray) -> np.ndarray:
    """A sum of prices, and what two neighbours cost together."""
    total = 20.0 + (archs * [3, 2, 4, 1]).sum(axis=1)
    return total + 3 * (archs[:, 1] == archs[:, 3]) - 2.5 * (archs[:, 0] > archs[:, 2])


def guided(space: SearchSpace, limit: float) -> Constraint:
    guide = nearest_sum(coupled, space.n_choices).cost
    return Constraint(Budget("latency", limit), guide, check=coupled)


def test_a_check_decides_within_a_guided_budget(small_space: SearchSpace) -> None:
    feasible = FeasibleSet([guided(small_space, 36.0)])
    sampler = FeasibleSampler(feasible, seed=0)
    paths = np.array([sampler.sample(step) for step in range(300)])
    assert coupled(paths).max() <= 36.0
    assert (feasible.constraints[0].cost(paths) > 36.0).any()  # the guide would have refused it
    check_sampler(lambda seed: FeasibleSampler(feasible, seed=seed), small_space)


def test_bins_of_a_guided_cost_are_those_of_the_check(small_space: SearchSpace) -> None:
    constraint = guided(small_space, 40.0)
    edges = [22.0, 26.0, 30.0, 34.0, 40.0, 500.0, 501.0]

    def make(seed: int) -> ConstraintSampler:
        return ConstraintSampler(constraint.cost, edges, seed=seed, check=coupled)

    sampler = make(0)
    assert sampler.bins == [(22.0, 26.0), (26.0, 30.0), (30.0, 34.0), (34.0, 40.0), (40.0, 500.0)]
    paths = np.array([sampler.sample(step) for step in range(1000)])
    drawn = np.digitize(coupled(paths), edges, right=True)
    counts = np.bincount(drawn, minlength=6)[1:6]
    assert counts.sum() == 1000
    assert np.abs(counts - 200).max() < 4.5 * 200**0.5
    check_sampler(make, small_space)
    named = make_sampler("constraint", small_space, constraint, seed=1)
    costs = coupled(np.array([named.sample(step) for step in range(100)]))
    assert costs.min() > 40 * 290 / 330
    assert costs.max() <= 40 * 360 / 330
    with pytest.raises(InfeasibleBudgetError, match="no architecture costs between"):
        ConstraintSampler(constraint.cost, [500.0, 501.0], seed=0, check=coupled)


# Samplers that learn


class Bandit:
    """Draws the choices of lower losses more often."""

    def __init__(self, space: SearchSpace, seed: int):
        self.seed = seed
        self.n_choices = space.n_choices
        self.scores = torch.zeros(len(space.n_choices), max(space.n_choices))
        self.asked = 0

    @property
    def state(self) -> dict[str, torch.Tensor]:
        return {"scores": self.scores}

    def sample(self, step: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, step])
        noise = rng.gumbel(size=self.scores.shape) + self.scores.double().numpy()
        rows = zip(noise, self.n_choices, strict=True)
        return np.array([row[:n].argmax() for row, n in rows], np.int64)

    def update(self, step: int, arch: np.ndarray, loss: float) -> None:
        self.scores[range(len(arch)), arch] -= loss


class Forgetful(Bandit):
    """Keeps something beside its state."""

    shift = 0

    def sample(self, step: int) -> np.ndarray:
        return (super().sample(step) + self.shift) % np.array(self.n_choices)

    def update(self, step: int, arch: np.ndarray, loss: float) -> None:
        self.shift += 1


class Counting(UniformSampler):
    """Depends on how often it was asked."""

    asked = 0

    def sample(self, step: int) -> np.ndarray:
        self.asked += 1
        return super().sample(self.asked)


class Unseeded(UniformSampler):
    """Does not use its seed."""

    def sample(self, step: int) -> np.ndarray:
        return np.array([step % n for n in self.space.n_choices], np.int64)


def test_a_sampler_that_learns_keeps_what_it_learned_in_its_state(small_space) -> None:
    check_sampler(lambda seed: Bandit(small_space, seed), small_space)
    told = Bandit(small_space, 0)
    assert isinstance(told, LearningSampler)
    tell_sampler(told, 0, told.sample(0), 2.0)
    assert sampler_state(told).keys() == {"sampler scores"}
    assert sampler_state(told)["sampler scores"] is told.scores
    assert told.scores.sum() == -8.0
    plain = UniformSampler(small_space, seed=0)
    assert not isinstance(plain, LearningSampler)
    assert sampler_state(plain) == {}
    tell_sampler(plain, 0, plain.sample(0), 2.0)


def test_the_check_sees_what_is_wrong_with_a_sampler(small_space: SearchSpace) -> None:
    for make, says in (
        (lambda seed: Forgetful(small_space, seed), "not in the state"),
        (lambda seed: Counting(small_space, seed=seed), "depends on what was asked before"),
        (lambda seed: Unseeded(small_space, seed=seed), "the seed is not used"),
    ):
        with pytest.raises(AssertionError, match=says):
            check_sampler(make, small_space)
