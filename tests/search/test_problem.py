"""What is searched is stated once, and what cannot be searched fails before anything trains."""

import numpy as np
import pytest
from problems import Bumpy, Device, Plain, Unseen, problem

from hwnas import spaces
from hwnas.costs import Budget
from hwnas.errors import BudgetError, InfeasibleBudgetError, OptionError
from hwnas.predictors import load_predictor
from hwnas.search.context import Context
from hwnas.search.problem import Problem
from hwnas.search.runs.run import CHECKPOINT, Run


@pytest.fixture(scope="module")
def predictor(small_table, small_space):
    return load_predictor(small_table, small_space)


@pytest.fixture(scope="module")
def limit(small_space, predictor):
    return float(np.median(predictor.predict(small_space.sample(500, seed=0))))


def test_budgets_become_constraints_of_what_they_limit(small_space, predictor, limit):
    macs = float(np.median(small_space.macs(small_space.sample(500, seed=0))))
    stated = problem(small_space, predictor, [Budget("macs", macs), f"latency<={limit}ms"])
    archs = small_space.sample(300, seed=1)
    kept = (small_space.macs(archs) <= macs) & (predictor.predict(archs) <= limit)
    assert np.array_equal(stated.feasible.contains(archs), kept)
    assert 0 < kept.sum() < 300
    assert [c.budget.quantity for c in stated.constraints] == ["macs", "latency"]
    assert stated.latency_limit_ms == limit
    assert problem(small_space, predictor, ["macs<=1G"]).latency_limit_ms is None


def test_a_proxy_has_the_same_decisions(small_space, tiny, predictor):
    with pytest.raises(OptionError, match=r"decisions of the space, got \(7, 6, 7\)"):
        problem(small_space, predictor, ["macs<=1G"], proxy=tiny)
    narrow = spaces.proxy(small_space, 8, 10, 0.5)
    stated = problem(small_space, predictor, ["macs<=1G"], proxy=narrow)
    assert not stated.trains_deployed
    assert problem(small_space, predictor, ["macs<=1G"]).trains_deployed


def test_data_have_the_shape_that_is_trained(small_space, predictor, digits):
    message = "takes images of 3 x 32 x 32, and digits has 3 x 8 x 8: give data"
    with pytest.raises(OptionError, match=message):
        problem(small_space, predictor, ["macs<=1G"], data=digits)


def test_a_predictor_is_of_the_deployed_space(small_space, predictor):
    other = spaces.space("proxyless", **{**small_space.arguments, "head_width": 64})
    with pytest.raises(
        OptionError, match=r"predicts proxyless-\w+, got the space proxyless-.*: load what"
    ):
        Problem(other, other, Unseen(other), predictor, [Budget("macs", 1e9)])


def test_an_infeasible_budget_fails_in_problem_and_context(small_space, predictor, tmp_path):
    stated = problem(small_space, predictor, ["latency<=0.00001ms"])
    with pytest.raises(InfeasibleBudgetError, match=r"no architecture keeps latency<=0\.00001ms"):
        _ = stated.feasible
    with pytest.raises(InfeasibleBudgetError):
        Context(stated, Run(tmp_path, {}))
    assert not (tmp_path / CHECKPOINT).exists()


def test_under_a_predictor_that_is_no_sum_infeasible_is_infeasible_too(small_space, predictor):
    own = load_predictor(Bumpy(predictor), small_space)
    least = own.predict(predictor.cost.minimum()[0][None])[0]
    assert problem(small_space, own, [Budget("latency", 1.2 * least)]).feasible
    with pytest.raises(InfeasibleBudgetError):
        _ = problem(small_space, own, [Budget("latency", 0.5 * least)]).feasible


@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("own", [Plain, Bumpy])
def test_a_confidence_needs_intervals(small_space, predictor, limit, tmp_path, own, measured):
    device = Device(small_space, predictor) if measured else None
    stated = problem(
        small_space, own(predictor), [f"latency<={limit}ms"], measure=device, confidence=0.9
    )
    message = f"a confidence that the budget is kept needs intervals, which {own.__name__} does"
    with pytest.raises(OptionError, match=message):
        _ = stated.constraints
    with pytest.raises(OptionError, match=message):
        Context(stated, Run(tmp_path, {}))


def test_confidence_leaves_fewer_and_a_device_decides_about_doubts(small_space, predictor, limit):
    budget = [f"latency<={limit}ms"]
    plain, sure, doubtful = (
        problem(small_space, predictor, budget, **options).feasible.count
        for options in (
            {},
            {"confidence": 0.95},
            {"confidence": 0.95, "measure": Device(small_space, predictor)},
        )
    )
    assert sure < plain < doubtful


def test_bitops_are_of_spaces_that_quantise(small_space, predictor):
    with pytest.raises(BudgetError, match="proxyless quantises nothing"):
        _ = problem(small_space, predictor, ["bitops<=1G"]).constraints


def test_a_target_in_words_is_no_target(small_space, predictor):
    assert problem(small_space, predictor, ["macs<=1G"]).target == predictor.target
    own = Bumpy(predictor)
    own.target = "my phone"
    assert problem(small_space, own, ["macs<=1G"]).target is None
