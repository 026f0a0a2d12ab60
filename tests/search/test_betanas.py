"""The recipe on a small space: its mathematics, its balance, and that a kill changes nothing."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hwnas.search.beta import FixedBeta, Steering
from hwnas.search.betanas import (
    Alphas,
    alpha_steps,
    cost_gradients,
    history,
    likeliest,
    train_alphas,
)
from hwnas.search.betanas_session import random_living
from hwnas.search.drop import DropRule
from hwnas.search.run import Run

from hwnas import spaces
from hwnas.costs import Budget, Constraint
from hwnas.data import load_data
from hwnas.errors import CheckpointError, InfeasibleBudgetError, OptionError
from hwnas.predictors import load_predictor
from hwnas.supernet import Supernet

STEPS = 30


@pytest.fixture
def alphas(small_space):
    alphas = Alphas(small_space)
    generator = torch.Generator().manual_seed(0)
    alphas.alpha.normal_(generator=generator)
    alphas.alive[0, [1, 4]] = False
    alphas.alive[3, 6] = False
    return alphas


@pytest.fixture
def costs(small_space, small_table):
    return [load_predictor(small_table, small_space).cost, small_space.cost("macs")]


def all_of(alphas):
    """Every living architecture and its probability."""
    living = [np.flatnonzero(row) for row in alphas.alive]
    archs = np.array(list(product(*living)))
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
        assert (gradient[~torch.from_numpy(alphas.alive)] == 0).all()


def test_the_choice_is_the_most_probable_within_all_budgets(alphas, costs):
    archs, weights = all_of(alphas)
    assert (likeliest(alphas) == archs[weights.argmax()]).all()
    limits = [float(np.quantile(cost(archs), 0.2)) for cost in costs]
    budgets = [
        Constraint(Budget(name, limit), cost)
        for name, limit, cost in zip(("latency", "macs"), limits, costs, strict=True)
    ]
    kept = np.all([c.cost(archs) <= c.budget.limit for c in budgets], axis=0)
    assert (likeliest(alphas, budgets) == archs[kept][weights[kept].argmax()]).all()
    assert not kept[weights.argmax()]
    with pytest.raises(InfeasibleBudgetError):
        likeliest(alphas, [Constraint(Budget("macs", 1.0), costs[1])])


def test_random_paths_live_and_keep_the_budgets(alphas, costs):
    limit = float(np.quantile(costs[0](all_of(alphas)[0]), 0.3))
    drawn = random_living(alphas, [Constraint(Budget("latency", limit), costs[0])], 200, seed=0)
    assert alphas.alive[np.arange(4), drawn].all()
    assert (costs[0](drawn) <= limit).all()
    assert len(np.unique(drawn, axis=0)) > 50


@pytest.fixture(scope="module")
def data():
    return load_data("digits", input_size=8)


@pytest.fixture(scope="module")
def tiny(data):
    return spaces.space(
        "proxyless",
        input_size=8,
        classes=data.classes,
        stage_widths=(8, 8),
        stage_depths=(1, 2),
        stage_strides=(1, 2),
        first_width=8,
        stem_width=8,
        head_width=16,
    )


class StoppedError(Exception):
    pass


def train(folder, space, data, *, stop_at=None, beta=None, rule=None, **options):
    """A short search under a budget of MACs; optionally killed behind a step."""
    cost = space.cost("macs")
    limit = float(np.median(cost(space.sample(200, seed=0))))
    constraints = [Constraint(Budget("macs", limit), cost)]
    done = 0

    def progress(task, share, remark):
        nonlocal done
        done += 1
        if done == stop_at:
            raise StoppedError

    supernet = Supernet(space, seed=0)
    alphas = train_alphas(
        Run(folder, {}),
        supernet,
        data,
        [cost],
        beta or Steering([limit]),
        rule or DropRule(margin=0.2, start=0.2),
        constraints,
        **{
            **{"steps": STEPS, "batch": 16, "optimizer": "adam", "base_rate": 2e-3},
            **{"warm_up": 0.2, "alpha_every": 2, "alpha_rate": 0.1, "alpha_batch": 16, "seed": 0},
            **options,
        },
        progress=progress,
    )
    return supernet, alphas


@pytest.fixture(scope="module")
def undisturbed(tiny, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, *train(folder, tiny, data)


def test_what_was_dropped_is_never_trained_again(undisturbed):
    folder, _, alphas = undisturbed
    past = history(Run(folder, {}))
    assert [entry["step"] for entry in past] == [16, 26, 30]
    assert 3 <= alphas.alive.sum() < 20
    assert (alphas.trained.sum(axis=1) == STEPS).all()
    for before, after in pairwise(past):
        for d, row in enumerate(before["alpha"]):
            for c, alpha in enumerate(row):
                if alpha is None:
                    assert after["alpha"][d][c] is None
                    assert after["trained"][d][c] == before["trained"][d][c]


@pytest.mark.parametrize("stop_at", [5, 12, 25])
def test_killed_and_resumed_it_ends_bit_for_bit_as_undisturbed(
    undisturbed, tiny, data, tmp_path, stop_at
):
    with pytest.raises(StoppedError):
        train(tmp_path, tiny, data, stop_at=stop_at)
    supernet, alphas = train(tmp_path, tiny, data)
    folder, whole, expected = undisturbed
    for name, tensor in alphas.state.items():
        assert torch.equal(tensor, expected.state[name]), name
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name
    entries = [history(Run(f, {})) for f in (tmp_path, folder)]
    strip = [[{**e, "seconds": 0} for e in past] for past in entries]
    assert strip[0] == strip[1]


def test_another_seed_chooses_otherwise(undisturbed, tiny, data, tmp_path):
    _, alphas = train(tmp_path, tiny, data, seed=1)
    assert not torch.equal(alphas.alpha, undisturbed[2].alpha)


def test_alpha_rests_while_weights_warm_up_and_weights_while_alpha_moves(tiny, data, tmp_path):
    with pytest.raises(StoppedError):  # no alpha is logged, or moves, before the warm-up ends
        train(tmp_path / "a", tiny, data, warm_up=0.9, stop_at=27)
    assert alpha_steps(STEPS, 0.9, 2) == (27, 1)
    assert history(Run(tmp_path / "a", {})) == []
    again, _ = train(tmp_path / "b", tiny, data, alpha_rate=1e-9, rule=DropRule())
    loud, _ = train(tmp_path / "c", tiny, data, alpha_rate=1.0, rule=DropRule())
    # balanced paths do not depend on alpha, and no step of alpha touches a weight
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, dict(loud.named_parameters())[name]), name


def test_a_heavier_beta_gives_a_cheaper_network(tiny, data, tmp_path):
    cost = tiny.cost("macs")
    expected = []
    for beta in (0.0, 1e-4):
        _, alphas = train(
            tmp_path / str(beta), tiny, data, beta=FixedBeta([beta]), rule=DropRule(), steps=60
        )
        expected.append(cost_gradients(alphas, [cost])[0][0])
    assert expected[1] < 0.9 * expected[0]


def test_another_space_in_the_same_folder_is_refused(undisturbed, tiny, data):
    folder, _, _ = undisturbed
    other = spaces.space(tiny.name, **{**tiny.arguments, "head_width": 24})
    with pytest.raises(CheckpointError, match=r"holds a training of .* not of .* another --out"):
        train(folder, other, data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 1.0, 1), "from 0 to below 1"),
        ((10, -0.1, 1), "got -0.1 and 1"),
        ((10, 0.5, 0), "every 1 or more"),
        ((10, 0.5, 6), "leave alpha no step"),
    ],
)
def test_schedules_without_a_step_of_alpha_are_refused(arguments, message):
    with pytest.raises(OptionError, match=message):
        alpha_steps(*arguments)
