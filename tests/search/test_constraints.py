"""Budgets with confidence: who is feasible, and what measuring decides."""

from itertools import product

import numpy as np
import pytest
from problems import problem

from hwnas import spaces
from hwnas.costs import Budget, FeasibleSet, most_probable_within, parse_budget
from hwnas.errors import InfeasibleBudgetError, OptionError
from hwnas.predictors import LatencyRegressor, load_predictor
from hwnas.search.candidates.verification import verify_proposals
from hwnas.search.constraints import constraints_for, of_any
from hwnas.search.runs.run import Run


@pytest.fixture(scope="module")
def predictor(small_table, small_space):
    return load_predictor(small_table, small_space)


@pytest.fixture(scope="module")
def everything(small_space):
    return np.array(list(product(*map(range, small_space.n_choices))))


@pytest.fixture(scope="module")
def budget(predictor, everything):
    return parse_budget(f"latency<={float(np.median(predictor.predict(everything))):.6f}ms")


def feasible(budget, space, predictor, *confidence, measured=False):
    constraints = constraints_for([budget], space, predictor, *confidence, measured=measured)
    return FeasibleSet(constraints, space.format)


def test_without_a_device_the_upper_end_keeps_the_budget(
    budget, small_space, predictor, everything
):
    upper = predictor.predict_interval(everything, 0.9)[:, 1]
    near = np.abs(upper / budget.limit - 1) < 1e-4  # rounding of the cost to its unit
    kept = feasible(budget, small_space, predictor, 0.9).contains(everything)
    assert np.array_equal(kept[~near], (upper <= budget.limit)[~near])
    plain = feasible(budget, small_space, predictor).contains(everything)
    assert kept.sum() < plain.sum()


def test_with_a_device_doubts_are_left_to_it(budget, small_space, predictor, everything):
    lower = predictor.predict_interval(everything, 0.9)[:, 0]
    near = np.abs(lower / budget.limit - 1) < 1e-4
    kept = feasible(budget, small_space, predictor, 0.9, measured=True).contains(everything)
    assert np.array_equal(kept[~near], (lower <= budget.limit)[~near])


@pytest.mark.parametrize("attempts", [1, 3])
def test_the_last_attempt_is_one_that_is_sure(
    attempts, budget, small_space, predictor, everything, tmp_path
):
    def slowest(tightened, _):
        kept = everything[FeasibleSet(tightened).contains(everything)]
        return kept[predictor.predict(kept).argmax()], 0.5

    def export(arch):
        return small_space.format(arch).encode()

    def measure(model, _):
        arch = small_space.parse(model.decode())[None]
        upper = predictor.predict_interval(arch, 0.9)[0, 1]
        doubtful = upper > budget.limit * (1 + 1e-4)  # and a little too slow, every time
        return {"latency_ms": budget.limit * (1.0001 if doubtful else 0.99)}

    run = Run(tmp_path, {})
    searched = problem(small_space, predictor, [budget], measure=measure, confidence=0.9)
    found = verify_proposals(run, searched, slowest, export, max_attempts=attempts)
    assert found.attempts == attempts
    upper = predictor.predict_interval(found.architecture[None], 0.9)[0, 1]
    assert upper <= budget.limit * (1 + 1e-4)


def test_confidence_is_a_probability(budget, small_space, predictor):
    with pytest.raises(OptionError, match=r"between 0 and 1, such as 0.95, got 95"):
        feasible(budget, small_space, predictor, 95)


# Predictors that are no sums


@pytest.fixture(scope="module")
def fitted(small_space, everything, predictor):
    archs = small_space.sample(80, seed=3)
    bumps = 1 + 0.05 * (archs[:, 1] == archs[:, 3])
    return load_predictor(
        LatencyRegressor(small_space).fit(archs, predictor.predict(archs) * bumps)
    )


def test_a_fitted_predictor_is_a_hard_budget(small_space, fitted, everything):
    ms = fitted.predict(everything)
    budget = Budget("latency", float(np.median(ms)))
    (constraint,) = constraints_for([budget], small_space, fitted)
    assert constraint.check is not None
    chosen = FeasibleSet([constraint], small_space.format)
    assert np.array_equal(chosen.contains(everything), ms <= budget.limit)
    drawn = chosen.sample(500, np.random.default_rng(0))
    assert (fitted.predict(drawn) <= budget.limit).all()


def test_ends_of_its_intervals_keep_the_budget(small_space, fitted, everything):
    low, high = fitted.predict_interval(everything, 0.9).T
    budget = Budget("latency", float(np.median(fitted.predict(everything))))
    (sure,) = constraints_for([budget], small_space, fitted, 0.9)
    assert np.array_equal(sure.keeps(everything), high <= budget.limit)
    (doubtful,) = constraints_for([budget], small_space, fitted, 0.9, measured=True)
    assert np.array_equal(doubtful.keeps(everything), low <= budget.limit)
    assert np.array_equal(doubtful.upper_bound.keeps(everything), high <= budget.limit)
    for constraint in (sure, doubtful, doubtful.upper_bound):
        FeasibleSet([constraint], small_space.format)
    with pytest.raises(OptionError, match="between 0 and 1"):
        constraints_for([budget], small_space, fitted, 95)


def test_a_confidence_needs_intervals(budget, small_space):
    class Own:
        def predict(self, archs):
            return 1.0 + archs.sum(axis=1)

    own = load_predictor(Own(), small_space)
    (plain,) = constraints_for([budget], small_space, own)
    assert plain.check is not None
    with pytest.raises(
        OptionError,
        match="a confidence that the budget is kept needs intervals, which Own does not give",
    ):
        constraints_for([budget], small_space, own, 0.9)


def test_costs_of_a_space_that_are_no_sums_are_counted_exactly(small_space, predictor, everything):
    class Unused:
        """The small space, whose second decision counts only where the first is not 0."""

        additive = may_be_cut = False
        modules = None
        name, n_choices, quantised = "unused", small_space.n_choices, False

        def exact(self, quantity):
            def cost(archs):
                counted = archs.copy()
                counted[archs[:, 0] == 0, 1] = 0
                return small_space.cost(quantity)(counted)

            return cost

    exact = Unused().exact("macs")(everything)
    budget = Budget("macs", float(np.median(exact)))
    (constraint,) = constraints_for([budget], Unused(), predictor)
    assert np.array_equal(constraint.keeps(everything), exact <= budget.limit)
    drawn = FeasibleSet([constraint]).sample(200, np.random.default_rng(0))
    assert (Unused().exact("macs")(drawn) <= budget.limit).all()


def test_no_budget_is_kept_by_a_cell_without_a_path() -> None:
    space = spaces.space("nasbench201", input_size=8, channels=4, cells=1)
    every = np.array(list(product(range(5), repeat=6)))
    connected = space.connected(every)
    macs = space.macs(every)
    for limit in (float(np.quantile(macs, 0.02)), float(np.median(macs)), float(macs.max())):
        budgets = [Budget("macs", limit), Budget("params", 1e9)]
        feasible = FeasibleSet(constraints_for(budgets, space, None), space.format)
        np.testing.assert_array_equal(feasible.contains(every), connected & (macs <= limit))
        drawn = feasible.sample(300, np.random.default_rng(0))
        assert space.connected(drawn).all()
        assert feasible.known is not None
        # edges that are not there are the most probable by far
        logs = [np.log([0.96, 0.01, 0.01, 0.01, 0.01])] * 6
        found = most_probable_within(logs, constraints_for(budgets[:1], space, None))
        kept = connected & (macs <= limit)
        assert space.connected(found[None]).all()
        assert (found == 0).sum() == max((every[kept] == 0).sum(axis=1))


def test_the_least_budget_is_that_of_a_cell_with_a_path() -> None:
    space = spaces.space("nasbench201", input_size=8, channels=4, cells=1)
    least = int(space.macs([[0, 0, 0, 1, 0, 0]])[0])  # the identity from input to output is free
    (constraint,) = constraints_for([Budget("macs", least)], space, None)
    found = FeasibleSet([constraint]).sample(20, np.random.default_rng(0))
    assert space.connected(found).all()
    with pytest.raises(InfeasibleBudgetError, match="the least"):
        FeasibleSet(constraints_for([Budget("macs", least - 1)], space, None), space.format)


def test_what_a_loss_weighs_is_finite_for_a_cell_without_a_path() -> None:
    space = spaces.space("nasbench201", input_size=8, channels=4, cells=1)
    (constraint,) = constraints_for([Budget("macs", 1e9)], space, None)
    assert constraint.values([[0] * 6]) == np.inf
    assert of_any(constraint).values([[0] * 6]) == space.macs([[0] * 6])


def test_a_percentile_limits_the_predicted_runs(small_space, predictor, everything):
    factor = predictor.percentile_factor(90)
    assert factor > 1
    steady_ms = predictor.predict(everything)
    limit = float(np.median(steady_ms)) * factor
    for confidence in (None, 0.95):
        (steady,) = constraints_for(
            [Budget("latency", limit / factor)], small_space, predictor, confidence
        )
        (at_p90,) = constraints_for(
            [Budget("latency", limit, 90.0)], small_space, predictor, confidence
        )
        assert at_p90.values(everything) == pytest.approx(factor * steady.values(everything))
        assert 0 < at_p90.keeps(everything).sum() < len(everything)
        if confidence is not None:
            assert at_p90.upper_bound.values(everything) == pytest.approx(
                factor * steady.upper_bound.values(everything)
            )


def test_a_percentile_needs_the_spread_of_runs(small_space):
    class Own:
        def predict(self, archs):
            return np.ones(len(archs))

    own = load_predictor(Own(), small_space)
    with pytest.raises(OptionError, match="the budget latency<=6ms@p90 needs the spread of single"):
        constraints_for([Budget("latency", 6.0, 90.0)], small_space, own)


def test_a_memory_budget_is_exact(small_space, predictor, everything):
    bytes_of = small_space.memory(everything)
    limit = float(np.quantile(bytes_of, 0.3))
    (constraint,) = constraints_for([Budget("memory", limit)], small_space, predictor)
    assert (constraint.keeps(everything) == (bytes_of <= limit)).all()
    found = FeasibleSet([constraint], small_space.format)
    drawn = found.sample(50, np.random.default_rng(0))
    assert (small_space.memory(drawn) <= limit).all()
    too_little = [Budget("memory", float(bytes_of.min()) - 1)]
    impossible = constraints_for(too_little, small_space, predictor)
    with pytest.raises(InfeasibleBudgetError, match="no architecture keeps memory<="):
        FeasibleSet(impossible, small_space.format)
