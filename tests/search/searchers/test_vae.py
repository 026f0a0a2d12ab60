"""The VAE: its distribution adds up, it knows what it learned, and its draws keep every budget."""

from itertools import product
from math import log

import numpy as np
import pytest
import torch

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet
from hwnas.errors import OptionError
from hwnas.search.searchers.vae import (
    ArchitectureVAE,
    draw_scores,
    log_likelihoods,
    predicted,
    train_vae,
)
from hwnas.search.searchers.vae_draws import VAEDraws
from hwnas.search.searchers.vae_settings import VAESettings

UNEVEN = (3, 2, 4, 1)


def archs_of(n_choices, count, seed=0):
    rng = np.random.default_rng(seed)
    return np.unique(rng.integers(0, n_choices, (count, len(n_choices))), axis=0)


def trained(archs, n_choices, seed=0, **settings):
    model = ArchitectureVAE(n_choices, seed=seed)
    rng = np.random.default_rng(seed)
    fit = train_vae(model, archs, np.ones(len(archs), bool), rng, VAESettings(**settings))
    return model, fit


def summed(n_choices, limit, quantity="macs", seed=0, check=None):
    """A budget on a sum of random whole costs of the choices."""
    rng = np.random.default_rng(seed)
    cost = AdditiveCost.from_floats(1.0, [rng.integers(1, 9, n).astype(float) for n in n_choices])
    return Constraint(Budget(quantity, limit), cost, check=check)


def test_the_probabilities_of_all_architectures_add_up_to_one():
    every = np.array(list(product(*map(range, UNEVEN))))
    model, _ = trained(every[:3], UNEVEN, vae_steps=30)
    values = log_likelihoods(model, every, np.random.default_rng(0), draws=4000)
    assert np.exp(values).sum() == pytest.approx(1, abs=0.05)
    assert values[:3].min() > values[3:].max()


def test_likelihoods_are_the_shares_of_what_is_drawn():
    every = np.array(list(product(*map(range, UNEVEN))))
    model, _ = trained(every[:4], UNEVEN, vae_steps=30)
    rng = np.random.default_rng(1)
    scores = draw_scores(model, 20_000, rng)
    drawn = (scores + rng.gumbel(size=scores.shape)).argmax(2)
    expected = np.exp(log_likelihoods(model, every[:4], rng, draws=4000))
    for arch, share in zip(every[:4], expected, strict=True):
        assert (drawn == arch).all(1).mean() == pytest.approx(share, abs=0.02)


def test_choices_that_do_not_exist_have_no_probability():
    model = ArchitectureVAE(UNEVEN)
    scores = draw_scores(model, 50, np.random.default_rng(0))
    assert scores.shape == (50, 4, 4)
    exist = np.arange(4) < np.array(UNEVEN)[:, None]
    assert np.isneginf(scores[:, ~exist]).all()
    assert np.exp(scores).sum(2) == pytest.approx(1)


def reconstructed(model, archs):
    """Which architectures are the most probable ones given the mean of their z, (n,)."""
    rows = torch.from_numpy(archs)
    with torch.no_grad():
        mean, _ = model.encode(rows)
        return (model.decode(mean).argmax(2) == rows).all(1).numpy()


@pytest.mark.parametrize(
    ("n_choices", "count", "steps"),
    [((5,) * 6, 40, 200), ((7, 3) * 5, 40, 200), ((490,) * 4, 30, 100)],
)
def test_it_reconstructs_what_it_learned_within_the_bounds_of_its_code(n_choices, count, steps):
    archs = archs_of(n_choices, count)
    model, fit = trained(archs, n_choices, vae_steps=steps)
    assert reconstructed(model, archs).mean() >= 0.99
    # z tells apart what it reconstructs, and costs no more than writing the choices down
    assert log(len(archs)) - fit.reconstruction <= fit.kl <= sum(map(log, n_choices))


def test_the_weight_of_the_divergence_lowers_it():
    archs = archs_of((5,) * 4, 20)
    weak, strong = (trained(archs, (5,) * 4, vae_steps=40, kl_weight=w)[1] for w in (0.1, 2.0))
    assert strong.kl < weak.kl
    assert strong.reconstruction > weak.reconstruction


def test_only_the_best_are_learned():
    archs = archs_of((5,) * 4, 60)
    best = np.arange(len(archs)) < 12
    model = ArchitectureVAE((5,) * 4)
    train_vae(model, archs, best, np.random.default_rng(0), VAESettings())
    assert reconstructed(model, archs[best]).all()
    values = log_likelihoods(model, archs, np.random.default_rng(0))
    assert np.median(values[best]) > np.median(values[~best]) + 1


def test_predictors_learn_what_is_told_of_all():
    archs = archs_of((4,) * 5, 80)
    worths = (archs == 2).sum(1) - 1.25
    model = ArchitectureVAE((4,) * 5, predictors=3)
    best = worths > 0.5
    train_vae(model, archs, best, np.random.default_rng(0), VAESettings(), worths)
    unseen = archs_of((4,) * 5, 200, seed=1)
    said = predicted(model, unseen)
    assert said.shape == (len(unseen), 3)
    assert np.corrcoef(said.mean(1), (unseen == 2).sum(1))[0, 1] > 0.9
    assert np.ptp(said, axis=1).max() > 1e-3  # each has its own bootstrap


def test_the_seed_decides_and_nothing_global_is_drawn():
    archs = archs_of(UNEVEN, 12)
    state = torch.random.get_rng_state()
    weights = [trained(archs, UNEVEN, seed, vae_steps=5)[0].state_dict() for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["written_choices"], weights[2]["written_choices"])


def test_more_architectures_than_a_batch_are_learned():
    archs = archs_of((6,) * 5, 400)
    _, fit = trained(archs, (6,) * 5, vae_steps=60)
    _, before = trained(archs, (6,) * 5, vae_steps=1)
    assert fit.reconstruction < before.reconstruction - 1


@pytest.mark.parametrize("budgets", ["one sum", "two sums", "a check"])
def test_ten_thousand_draws_keep_the_budgets(budgets):
    n_choices = (5, 3, 7, 4, 5, 6)
    constraints = [summed(n_choices, 24.0)]
    if budgets == "two sums":
        constraints.append(summed(n_choices, 26.0, "params", seed=1))
    if budgets == "a check":
        exact = constraints[0].cost
        bumpy = summed(n_choices, 24.0, check=lambda a: exact(a) + 2.0 * (a[:, 0] == a[:, 3]))
        constraints = [bumpy]
    feasible = FeasibleSet(constraints)
    model, _ = trained(archs_of(n_choices, 40), n_choices, vae_steps=20)
    archs, limited = VAEDraws(feasible)(model, 10_000, np.random.default_rng(0))
    assert archs.shape == (10_000, 6)
    assert feasible.contains(archs).all()
    assert 0 < limited.mean() < 1


def test_a_budget_that_all_keep_changes_no_draw():
    n_choices = (5, 3, 7)
    model = ArchitectureVAE(n_choices)
    loose, tight = (FeasibleSet([summed(n_choices, limit)]) for limit in (1000.0, 8.0))
    archs, limited = VAEDraws(loose)(model, 500, np.random.default_rng(0))
    assert not limited.any()
    within, limited = VAEDraws(tight)(model, 500, np.random.default_rng(0))
    # of the same draws, those that keep the tight budget anyway are as they were
    assert np.array_equal(within[~limited], archs[~limited])
    assert not tight.contains(archs[limited]).any()


def test_one_hundred_and_sixty_decisions():
    n_choices = (7, 5) * 80
    model, fit = trained(archs_of(n_choices, 20), n_choices, vae_steps=3)
    assert np.isfinite(fit.kl)
    feasible = FeasibleSet([summed(n_choices, 700.0)])
    archs, _ = VAEDraws(feasible)(model, 20, np.random.default_rng(0))
    assert feasible.contains(archs).all()


@pytest.mark.parametrize(
    ("name", "value"), [("top_share", 0.0), ("kl_weight", 0.0), ("vae_steps", 0)]
)
def test_settings_out_of_bounds_are_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} is a"):
        VAESettings(**{name: value})
