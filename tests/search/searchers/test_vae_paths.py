"""Paths that a VAE learns: how often they are its own, when it learns, and what it costs."""

from itertools import product

import numpy as np
import pytest

from hwnas import spaces
from hwnas.costs import Budget, Constraint, FeasibleSet
from hwnas.errors import CheckpointError, OptionError
from hwnas.search.searchers.vae_draws import VAEDraws
from hwnas.search.searchers.vae_paths import Rounds, VAEPaths
from hwnas.search.searchers.vae_settings import PathSettings
from hwnas.supernet import UniformSampler
from hwnas.testing import check_sampler

SETTINGS = PathSettings(vae_steps=60, top_share=0.5)


class Uniform:
    """Every path is marked as none of the VAE's."""

    def sample(self, step):
        return np.full(3, -1)


@pytest.fixture(scope="module")
def feasible(tiny):
    cost = tiny.cost("macs")
    archs = np.array(list(product(*map(range, tiny.n_choices))))
    return FeasibleSet([Constraint(Budget("macs", float(np.median(cost(archs)))), cost)])


def first_choices(archs):
    """An accuracy: the share of decisions whose first choice is taken."""
    return (archs == 0).mean(1)


class Numbered:
    """Every path is marked with its number as none of the VAE's."""

    def sample(self, step):
        return np.full(3, -1 - step)


def paths_of(feasible, uniform, evaluate=first_choices, seed=0, eps_inc=0.25, told=None, paths=1):
    rounds = Rounds((5, 10, 15, 20), 8, eps_inc, paths)
    tell = (lambda **facts: None) if told is None else lambda **facts: told.append(facts)
    return VAEPaths(VAEDraws(feasible), uniform, evaluate, rounds, SETTINGS, seed=seed, tell=tell)


def run(paths, steps):
    for step in range(steps):
        paths.update(step, paths.sample(step), 1.0)


def test_it_is_a_sampler(tiny, feasible):
    check_sampler(lambda seed: paths_of(feasible, UniformSampler(tiny, seed=seed), seed=seed), tiny)


@pytest.mark.parametrize(
    ("steps", "eps_inc", "share"),
    # 4 of each round are learned, 10 must be known
    [(4, 0.25, 0), (10, 0.25, 0), (15, 0.25, 0.75), (20, 0.25, 1), (20, 0.1, 0.4), (20, 0.0, 0)],
)
def test_eps_rises_with_the_rounds(feasible, steps, eps_inc, share):
    paths = paths_of(feasible, Uniform(), eps_inc=eps_inc)
    run(paths, steps)
    assert paths.eps == pytest.approx(share)
    own = np.mean([paths.sample(step)[0] >= 0 for step in range(100, 500)])
    assert own == pytest.approx(share, abs=0.08)


def test_its_paths_keep_the_budgets_and_are_better(feasible):
    paths = paths_of(feasible, Uniform(), eps_inc=1.0)
    run(paths, 20)
    drawn = np.array([paths.sample(step) for step in range(100, 300)])
    assert feasible.contains(drawn).all()
    uniform = feasible.sample(2000, np.random.default_rng(0))
    assert first_choices(drawn).mean() > first_choices(uniform).mean() + 0.1
    assert feasible.contains(paths.draw(100)).all()


def test_what_is_evaluated_keeps_the_budgets_and_is_told(feasible):
    asked, told = [], []

    def evaluate(archs):
        asked.append(archs)
        return first_choices(archs)

    paths = paths_of(feasible, Uniform(), evaluate, told=told)
    run(paths, 30)
    assert [len(archs) for archs in asked] == [8] * 4
    assert feasible.contains(np.concatenate(asked)).all()
    assert [facts["step"] for facts in told] == [5, 10, 15, 20]
    assert [facts["best"] for facts in told] == [first_choices(archs).max() for archs in asked]
    assert [facts["eps"] for facts in told] == [0, 0, 0, 0.75]
    assert paths.facts["architectures_evaluated"] == 32
    assert told[-1]["of_vae"] > 0
    assert paths.limited_share == told[-1]["limited"] / told[-1]["of_vae"]


def test_rounds_go_by_steps_however_many_paths_each_trains(feasible):
    told = []
    paths = paths_of(feasible, Numbered(), told=told, paths=3)
    run(paths, 3 * 15 - 1)
    assert [facts["step"] for facts in told] == [5, 10]
    paths.update(3 * 15 - 1, paths.sample(3 * 15 - 1), 1.0)
    assert [facts["step"] for facts in told] == [5, 10, 15]
    # three rounds: 0.75 of the paths are drawn, and the others are those of their places
    firsts = np.array([paths.sample(draw)[0] for draw in range(160)])
    own = firsts >= 0
    assert own.mean() == pytest.approx(0.75, abs=0.1)
    assert (firsts[~own] == -1 - np.flatnonzero(~own)).all()
    mixed = own.reshape(-1, 4).sum(axis=1)
    assert len(np.unique(mixed)) > 2  # a group holds some of both


def test_nobody_was_drawn_yet(feasible):
    assert paths_of(feasible, Uniform()).limited_share is None


@pytest.mark.parametrize(
    ("name", "value"), [("archs", 99), ("archs", -1), ("rounds", 5), ("vae read_choices", np.nan)]
)
def test_a_state_that_no_training_leads_to_is_refused(feasible, name, value):
    paths = paths_of(feasible, Uniform())
    paths.state[name].fill_(value)
    with pytest.raises(CheckpointError, match="the checkpoint's VAE"):
        paths.sample(0)


def test_rounds_cost_their_share_of_the_training():
    settings = PathSettings(steps=600, batch_size=128, metric_share=0.2, rounds=10, vae_start=0.25)
    rounds = Rounds.of(settings, 692, 0.05)
    # 600 steps pass 128 images forward and, at twice the cost, backward; a fifth pays for 66
    assert int(0.2 * 600 * 3 * 128 / 692) == 66
    assert rounds.each == 6
    assert rounds.after == tuple(range(150, 600, 45))
    # each of five paths passes the batch, which pays for 332 at the same steps
    assert int(5 * 0.2 * 600 * 3 * 128 / 692) == 332
    assert Rounds.of(settings, 692, 0.05, 5) == Rounds(rounds.after, 33, 0.05, 5)


def test_every_round_has_its_own_step():
    settings = PathSettings(steps=21, batch_size=50, metric_share=1.0, rounds=20, vae_start=0.0)
    assert Rounds.of(settings, 1, 0.1).after == tuple(range(1, 21))


@pytest.mark.parametrize("changes", [{"metric_share": 0.001}, {"steps": 15}, {"rounds": 500}])
def test_a_share_that_pays_for_too_little_is_refused(changes):
    settings = PathSettings(**{"steps": 600, "batch_size": 128, **changes})
    with pytest.raises(OptionError, match="give fewer rounds, more steps, or a larger metric_sh"):
        Rounds.of(settings, 692, 0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [("metric_share", 0.0), ("metric_share", 1.5), ("rounds", 0), ("vae_start", 1.0)],
)
def test_settings_out_of_bounds_are_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} is a"):
        PathSettings(**{name: value})


def test_it_draws_from_a_space_of_cells():
    space = spaces.space("nasbench201")
    cost = space.cost("macs")
    feasible = FeasibleSet([Constraint(Budget("macs", 60e6), cost)])
    paths = paths_of(feasible, UniformSampler(space, seed=0), eps_inc=1.0)
    run(paths, 15)
    assert feasible.contains(np.array([paths.sample(step) for step in range(50, 60)])).all()
