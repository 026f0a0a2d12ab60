"""The loop that single-path methods share, and a path sampler that learns from it."""

import numpy as np
import pytest
import torch

from hwnas.errors import CheckpointError, OptionError
from hwnas.search.methods import spos
from hwnas.search.runs.run import CHECKPOINT, Run
from hwnas.search.shared_settings import TrainingSettings
from hwnas.search.supernet_training import checkpoint_due, lr_at, train_supernet
from hwnas.supernet import Supernet, UniformSampler
from hwnas.testing import check_sampler

STEPS = 14
QUICK = {"steps": STEPS, "batch_size": 8, "base_lr": 2e-3}


class Learning:
    """Draws choices in proportion to how well the paths that had them did; its state learns."""

    def __init__(self, space, *, seed):
        self.space, self.seed = space, seed
        shape = (len(space.n_choices), max(space.n_choices))
        self.state = {"loss": torch.zeros(shape), "told": torch.zeros(shape, dtype=torch.int64)}
        self.drawn = []

    def sample(self, step):
        rng = np.random.default_rng([self.seed, step])
        mean = self.state["loss"] / self.state["told"].clamp(min=1)
        path = []
        for row, n in zip(torch.exp(-mean).double().numpy(), self.space.n_choices, strict=True):
            path.append(rng.choice(n, p=row[:n] / row[:n].sum()))
        self.drawn.append((step, tuple(int(choice) for choice in path)))
        return np.array(path, np.int64)

    def update(self, step, arch, loss):
        rows = np.arange(len(arch))
        self.state["loss"][rows, arch] += loss
        self.state["told"][rows, arch] += 1


class StoppedError(Exception):
    pass


def train(folder, space, data, sampler, *, stop_at=None, settings=None):
    """Train a fresh supernet; optionally killed behind a step."""
    done = []

    def progress(task, share, remark):
        done.append(share)
        if len(done) == stop_at:
            raise StoppedError

    supernet = Supernet(space, seed=0)
    settings = settings or TrainingSettings(**QUICK)
    train_supernet(Run(folder, {}), supernet, sampler, data, settings, seed=0, progress=progress)
    return supernet


def equal(one, other):
    return all(torch.equal(t, other.state_dict()[name]) for name, t in one.state_dict().items())


def test_it_is_a_sampler(tiny):
    check_sampler(lambda seed: Learning(tiny, seed=seed), tiny)


@pytest.fixture(scope="module")
def whole(tiny, digits, tmp_path_factory):
    sampler = Learning(tiny, seed=0)
    return train(tmp_path_factory.mktemp("whole"), tiny, digits, sampler), sampler


def test_what_it_learned_changes_what_is_drawn(whole, tiny):
    drawn = [path for _, path in whole[1].drawn]
    innocent = Learning(tiny, seed=0)
    assert drawn[0] == tuple(innocent.sample(0))
    assert drawn != [tuple(innocent.sample(step)) for step in range(STEPS)]
    assert (whole[1].state["told"].sum(1) == STEPS).all()


@pytest.mark.parametrize("stop_at", [2, 7, 13])
def test_killed_and_resumed_a_learning_sampler_draws_as_undisturbed(
    whole, tiny, digits, tmp_path, stop_at
):
    """Checkpoints are written behind steps 4, 8, 12: one kill is before the first of them."""
    with pytest.raises(StoppedError):
        train(tmp_path, tiny, digits, Learning(tiny, seed=0), stop_at=stop_at)
    resumed = Learning(tiny, seed=0)
    supernet = train(tmp_path, tiny, digits, resumed)
    first = resumed.drawn[0][0]
    assert first == stop_at - stop_at % 4
    assert resumed.drawn == whole[1].drawn[first:]
    assert equal(supernet, whole[0])
    for name, tensor in resumed.state.items():
        assert torch.equal(tensor, whole[1].state[name]), name


def test_a_finished_training_trains_nothing(whole, tiny, digits, tmp_path):
    train(tmp_path, tiny, digits, Learning(tiny, seed=0))
    again = Learning(tiny, seed=0)
    assert equal(train(tmp_path, tiny, digits, again), whole[0])
    assert again.drawn == []


def test_what_a_sampler_learned_is_not_lost_silently(tiny, digits, tmp_path):
    train(tmp_path, tiny, digits, UniformSampler(tiny, seed=0))
    with pytest.raises(CheckpointError):
        train(tmp_path, tiny, digits, Learning(tiny, seed=0))


def test_who_does_not_lead_writes_nothing_and_trains_alike(whole, tiny, digits, tmp_path):
    supernet = Supernet(tiny, seed=0)
    settings = TrainingSettings(**QUICK)
    train_supernet(None, supernet, Learning(tiny, seed=0), digits, settings, seed=0)
    assert equal(supernet, whole[0])
    assert list(tmp_path.iterdir()) == []


def test_a_batch_is_divisible_by_its_micro_batches(tiny, digits, tmp_path):
    settings = spos.Settings(**QUICK, micro_batches=3)
    with pytest.raises(OptionError, match="8"):
        train(tmp_path, tiny, digits, UniformSampler(tiny, seed=0), settings=settings)
    assert not (tmp_path / CHECKPOINT).exists()


def test_the_lr_rises_and_falls_linearly_to_0():
    settings = TrainingSettings(steps=100, base_lr=0.5)
    for step in range(100):
        rise = min(1.0, (step + 1) / 10)  # a tenth of the steps, at most 30
        assert lr_at(step, settings.steps, settings.peak_lr) == pytest.approx(
            0.5 * rise * (1 - step / 100)
        )


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 14, 100, 600])
def test_a_state_is_saved_at_the_end_and_every_quarter_or_50_steps(steps):
    due = [step for step in range(1, steps + 1) if checkpoint_due(step, steps)]
    assert due[-1] == steps
    assert max(np.diff([0, *due])) <= min(50, 1 + steps / 4)


def test_several_paths_a_step_are_drawn_in_turn_and_go_on_behind_a_kill(tiny, digits, tmp_path):
    settings = spos.Settings(paths=3, **QUICK)
    sampler = Learning(tiny, seed=0)
    supernet = train(tmp_path / "whole", tiny, digits, sampler, settings=settings)
    assert [draw for draw, _ in sampler.drawn] == list(range(3 * STEPS))
    assert int(sampler.state["told"].sum()) == 3 * STEPS * len(tiny.n_choices)
    with pytest.raises(StoppedError):
        train(
            tmp_path / "killed",
            tiny,
            digits,
            Learning(tiny, seed=0),
            stop_at=9,
            settings=settings,
        )
    again = train(tmp_path / "killed", tiny, digits, Learning(tiny, seed=0), settings=settings)
    assert equal(supernet, again)
