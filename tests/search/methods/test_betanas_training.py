"""Weights and architecture parameters in turn: what trains what, and a kill changes nothing."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from problems import problem

from hwnas import spaces
from hwnas.costs import Budget
from hwnas.errors import CheckpointError, OptionError
from hwnas.search.context import Context
from hwnas.search.gradient.alphas import cost_gradients, history
from hwnas.search.gradient.cost_weights import FixedWeights, PIController
from hwnas.search.methods.betanas import Settings, train_alphas
from hwnas.search.runs.run import Run
from hwnas.supernet import Supernet

STEPS = 30
QUICK = {
    **{"steps": STEPS, "batch_size": 16, "optimizer": "adam", "base_lr": 2e-3, "warm_up": 0.2},
    **{"alpha_every": 2, "alpha_lr": 0.1, "alpha_batch": 16},
    **{"prune_margin": 0.2, "prune_start": 0.2},
}
NEVER = {"prune_margin": None, "prune_start": 0.0}


class Ones:
    """Predicts a millisecond, whatever the network: the budget here is of MACs."""

    def predict(self, archs):
        return np.ones(len(archs))


class StoppedError(Exception):
    pass


def train(folder, space, data, *, stop_at=None, weights=None, seed=0, **options):
    """A short search under a budget of MACs; optionally killed behind a step."""
    cost = space.cost("macs")
    limit = float(np.median(cost(space.sample(200, seed=0))))
    done = 0

    def progress(task, share, remark):
        nonlocal done
        done += 1
        if done == stop_at:
            raise StoppedError

    searched = problem(space, Ones(), [Budget("macs", limit)], data=data, seed=seed)
    context = Context(searched, Run(folder, {}), progress=progress)
    supernet = Supernet(space, seed=0)
    settings = Settings(**{**QUICK, **options})
    weights = weights or PIController([limit])
    return supernet, train_alphas(context, supernet, settings, [cost], weights)


@pytest.fixture(scope="module")
def undisturbed(tiny, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, *train(folder, tiny, digits)


def test_what_was_pruned_is_never_trained_again(undisturbed):
    folder, _, alphas = undisturbed
    past = history(Run(folder, {}).logged("alpha"))
    assert [entry["step"] for entry in past] == [16, 26, 30]
    assert 3 <= alphas.active.sum() < 20
    assert (alphas.trained.sum(axis=1) == STEPS).all()
    for before, after in pairwise(past):
        for d, row in enumerate(before["alpha"]):
            for c, alpha in enumerate(row):
                if alpha is None:
                    assert after["alpha"][d][c] is None
                    assert after["trained"][d][c] == before["trained"][d][c]


@pytest.mark.parametrize("stop_at", [5, 12, 25])
def test_killed_and_resumed_it_ends_bit_for_bit_as_undisturbed(
    undisturbed, tiny, digits, tmp_path, stop_at
):
    with pytest.raises(StoppedError):
        train(tmp_path, tiny, digits, stop_at=stop_at)
    supernet, alphas = train(tmp_path, tiny, digits)
    folder, whole, expected = undisturbed
    for name, tensor in alphas.state.items():
        assert torch.equal(tensor, expected.state[name]), name
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name
    entries = [history(Run(f, {}).logged("alpha")) for f in (tmp_path, folder)]
    strip = [[{**e, "seconds": 0} for e in past] for past in entries]
    assert strip[0] == strip[1]


def test_another_seed_chooses_otherwise(undisturbed, tiny, digits, tmp_path):
    _, alphas = train(tmp_path, tiny, digits, seed=1)
    assert not torch.equal(alphas.alpha, undisturbed[2].alpha)


def test_alpha_rests_while_weights_warm_up_and_weights_while_alpha_moves(tiny, digits, tmp_path):
    with pytest.raises(StoppedError):  # no alpha is logged, or moves, before the warm-up ends
        train(tmp_path / "a", tiny, digits, warm_up=0.9, stop_at=27)
    settings = Settings(steps=STEPS, warm_up=0.9, alpha_every=2)
    assert settings.schedule == (27, 1)
    assert history(Run(tmp_path / "a", {}).logged("alpha")) == []
    again, _ = train(tmp_path / "b", tiny, digits, alpha_lr=1e-9, **NEVER)
    loud, _ = train(tmp_path / "c", tiny, digits, alpha_lr=1.0, **NEVER)
    # balanced paths do not depend on alpha, and no step of alpha touches a weight
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, dict(loud.named_parameters())[name]), name


def test_a_heavier_beta_gives_a_cheaper_network(tiny, digits, tmp_path):
    cost = tiny.cost("macs")
    expected = []
    for beta in (0.0, 1e-4):
        _, alphas = train(
            tmp_path / str(beta), tiny, digits, weights=FixedWeights([beta]), **NEVER, steps=60
        )
        expected.append(cost_gradients(alphas, [cost])[0][0])
    assert expected[1] < 0.9 * expected[0]


def test_another_space_in_the_same_folder_is_refused(undisturbed, tiny, digits):
    folder, _, _ = undisturbed
    other = spaces.space(tiny.name, **{**tiny.arguments, "head_width": 24})
    with pytest.raises(CheckpointError, match=r"holds a training of .* not of .* another --out"):
        train(folder, other, digits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warm_up": 1.0}, "warm_up is a number of at least 0 below 1, got 1.0"),
        ({"warm_up": -0.1}, "got -0.1"),
        ({"warm_up": 0.5, "alpha_every": 0}, "alpha_every is a whole number of at least 1, got 0"),
        ({"warm_up": 0.5, "alpha_every": 6}, "leave alpha no step"),
    ],
)
def test_schedules_without_a_step_of_alpha_are_refused(settings, message):
    with pytest.raises(OptionError, match=message):
        Settings(steps=10, **settings)
