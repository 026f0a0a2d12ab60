"""Architecture parameters against enumeration and finite differences."""

from itertools import product

import numpy as np
import pytest
import torch
from problems import Expecting

from hwnas.costs import Budget, Constraint
from hwnas.errors import InfeasibleBudgetError, OptionError
from hwnas.predictors import load_predictor
from hwnas.search.gradient.alphas import (
    Alphas,
    alpha_adam,
    constrained_argmax,
    cost_gradients,
    history,
    move_alphas,
    random_active,
)
from hwnas.search.gradient.cost_weights import FixedWeights


@pytest.fixture
def alphas(small_space):
    alphas = Alphas(small_space)
    generator = torch.Generator().manual_seed(0)
    alphas.alpha.normal_(generator=generator)
    alphas.active[0, [1, 4]] = False
    alphas.active[3, 6] = False
    return alphas


@pytest.fixture
def costs(small_space, small_table):
    return [load_predictor(small_table, small_space).cost, small_space.cost("macs")]


def all_of(alphas):
    """Every active architecture and its probability."""
    active = [np.flatnonzero(row) for row in alphas.active]
    archs = np.array(list(product(*active)))
    return archs, alphas.probabilities[np.arange(archs.shape[1]), archs].prod(axis=1)


def test_equation_6_is_the_mean_over_all_architectures(alphas, costs):
    archs, weights = all_of(alphas)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    means, _ = cost_gradients(alphas, costs)
    for mean, cost in zip(means, costs, strict=True):
        assert mean == pytest.approx(weights @ cost(archs), rel=1e-12)


def test_the_gradient_of_equation_6_is_that_of_finite_differences(alphas, costs):
    nudge = 1e-5
    _, gradients = cost_gradients(alphas, costs)
    for which, gradient in enumerate(gradients):
        slopes = torch.zeros_like(gradient)
        for at in product(range(4), range(7)):
            ends = []
            for by in (nudge, -nudge):
                alphas.alpha[at] += by
                ends.append(cost_gradients(alphas, costs)[0][which])
                alphas.alpha[at] -= by
            slopes[at] = (ends[0] - ends[1]) / (2 * nudge)
        assert ((gradient - slopes).norm() / slopes.norm()).item() < 1e-6
        assert (gradient[~torch.from_numpy(alphas.active)] == 0).all()


def test_the_choice_is_the_most_probable_within_all_budgets(alphas, costs):
    archs, weights = all_of(alphas)
    assert (constrained_argmax(alphas) == archs[weights.argmax()]).all()
    limits = [float(np.quantile(cost(archs), 0.2)) for cost in costs]
    budgets = [
        Constraint(Budget(name, limit), cost)
        for name, limit, cost in zip(("latency", "macs"), limits, costs, strict=True)
    ]
    kept = np.all([c.cost(archs) <= c.budget.limit for c in budgets], axis=0)
    assert (constrained_argmax(alphas, budgets) == archs[kept][weights[kept].argmax()]).all()
    assert not kept[weights.argmax()]
    with pytest.raises(InfeasibleBudgetError):
        constrained_argmax(alphas, [Constraint(Budget("macs", 1.0), costs[1])])


def test_pruned_choices_take_part_where_they_are_asked_to(alphas, costs):
    values = alphas.alpha.clone()
    alphas.alpha[0, 1] = values[0].max() + 1  # the most probable of the first decision is pruned
    anything = [Constraint(Budget("macs", 1e12), costs[1])]
    assert constrained_argmax(alphas, anything)[0] != 1
    assert constrained_argmax(alphas, anything, pruned=True)[0] == 1


def test_a_step_that_was_done_again_is_in_the_history_once():
    events = [{"step": 5, "loss": 1.0}, {"step": 10, "loss": 0.9}, {"step": 10, "loss": 0.8}]
    assert history(events) == [events[0], events[2]]


def test_random_paths_are_active_and_keep_the_budgets(alphas, costs):
    limit = float(np.quantile(costs[0](all_of(alphas)[0]), 0.3))
    drawn = random_active(alphas, [Constraint(Budget("latency", limit), costs[0])], 200, seed=0)
    assert alphas.active[np.arange(4), drawn].all()
    assert (costs[0](drawn) <= limit).all()
    assert len(np.unique(drawn, axis=0)) > 50


def test_the_expectation_of_an_own_predictor_that_is_no_sum_is_that_of_enumeration(
    alphas, small_space, small_table
):
    own = Expecting(load_predictor(small_table, small_space))
    archs, weights = all_of(alphas)
    (mean,), _ = cost_gradients(alphas, [load_predictor(own, small_space)])
    assert mean == pytest.approx(weights @ own.predict(archs), rel=1e-9)


def test_a_step_of_alpha_against_accuracy_and_cost(small_space):
    alphas, cost = Alphas(small_space), small_space.cost("macs")
    adam, moments = alpha_adam(alphas, 0.1, (0.0, 0.999))
    expected, (of_cost,) = cost_gradients(alphas, [cost])
    of_accuracy = torch.zeros_like(of_cost)
    of_accuracy[0, 0] = of_cost.abs().max()
    told, betas = move_alphas(alphas, adam, of_accuracy, [cost], FixedWeights([2.0]), 0.5)
    assert told == expected
    assert betas.tolist() == [2.0]
    gradient = of_accuracy + 2 * of_cost
    moved = gradient.abs() > 1e-6 * gradient.abs().max()
    wanted = -0.1 * gradient.sign()  # Adam's first step
    torch.testing.assert_close(alphas.alpha.detach()[moved], wanted[moved], rtol=1e-3, atol=0)
    assert moments["adam step"] == 1
    assert moments["adam exp_avg_sq"].any()


def test_what_diverged_is_said(small_space):
    alphas = Alphas(small_space)
    adam, _ = alpha_adam(alphas, 0.1, (0.0, 0.999))
    of_accuracy = torch.full_like(alphas.alpha, torch.nan)
    with pytest.raises(OptionError, match="the weights diverged"):
        move_alphas(alphas, adam, of_accuracy, [], FixedWeights([]), 0.5)
    assert not alphas.alpha.any()
