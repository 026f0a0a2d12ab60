"""Budgets with confidence: who is feasible, and what measuring decides."""

from itertools import product

import numpy as np
import pytest

from hwnas.costs import FeasibleSet, parse_budget
from hwnas.errors import OptionError
from hwnas.predictors import load_predictor
from hwnas.search.constraints import constraints_for
from hwnas.search.run import Run
from hwnas.search.verification import verify_proposals


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
    constraints = constraints_for([budget], small_space, predictor, 0.9, measured=True)

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
    found = verify_proposals(
        run, small_space, constraints, slowest, export, measure, max_attempts=attempts
    )
    assert found.attempts == attempts
    upper = predictor.predict_interval(found.architecture[None], 0.9)[0, 1]
    assert upper <= budget.limit * (1 + 1e-4)


def test_confidence_is_a_probability(budget, small_space, predictor):
    with pytest.raises(OptionError, match=r"between 0 and 1, such as 0.95, got 95"):
        feasible(budget, small_space, predictor, 95)
