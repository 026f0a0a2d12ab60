"""A map of architectures: what it learns, where its ascent leads, and what the search proposes."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet, decode, nearest_sum
from hwnas.errors import OptionError
from hwnas.search.methods import nao, spos
from hwnas.search.searchers import nao as nao_searcher
from hwnas.search.searchers.making import make_searcher
from hwnas.search.searchers.nao import Ascent, MapSearch
from hwnas.search.searchers.nao_model import ArchitectureMap, Decoding, Fit, Scale, ascend, fit
from hwnas.search.searchers.random_search import RandomSearch
from hwnas.search.settings import stored
from hwnas.spaces import space
from hwnas.testing import check_searcher

N_CHOICES = (3, 5, 2, 4, 3)
COST = AdditiveCost.from_integers(
    10, [[int(v) for v in np.arange(n) * 7 % 5 + 1] for n in N_CHOICES]
)
GAIN = [np.random.default_rng(n).random(n) for n in range(11, 16)]
GAIN = [gain[:n] for gain, n in zip(GAIN, N_CHOICES, strict=True)]
QUICK = Ascent(top=5, steps=4, maps=2, fit=Fit(steps=30))


def worth(archs):
    """Accuracies, 0.2 to 0.9, with a sum behind them."""
    total = sum(gain[column] for gain, column in zip(GAIN, archs.T, strict=True))
    return 0.2 + 0.7 * total / 5


def within(limit):
    return FeasibleSet([Constraint(Budget("macs", limit), COST)])


def drawn(count, seed=0):
    return np.random.default_rng(seed).integers(0, N_CHOICES, (count, len(N_CHOICES)))


@pytest.fixture(scope="module")
def trained():
    """A map of a hundred of the 360 architectures."""
    archs = drawn(100)
    scale = Scale.of(worth(archs))
    network = ArchitectureMap(N_CHOICES, seed=0)
    fit(network, archs, scale.targets(worth(archs)), Fit(steps=300), seed=0)
    return network, scale


def test_targets_are_logarithms_from_the_least_to_the_most_accurate():
    accuracies = np.array([0.91, 0.01, 1.01 - 10**-0.5])
    scale = Scale.of(accuracies)
    np.testing.assert_allclose(scale.targets(accuracies), [1.0, 0.0, 0.5])
    np.testing.assert_allclose(scale.accuracies(scale.targets(accuracies)), accuracies)
    level = Scale.of(np.array([0.5, 0.5]))
    assert level.targets(np.array([0.5, 0.5])).tolist() == [0.0, 0.0]


def test_the_predictor_ranks_architectures_that_it_has_not_seen(trained):
    network, _ = trained
    archs = drawn(300, seed=1)
    with torch.no_grad():
        predicted = network.predict(network.encode(torch.from_numpy(archs))).numpy()
    assert np.corrcoef(predicted, worth(archs))[0, 1] > 0.9


def test_points_are_decoded_as_the_architectures_that_they_are_of(trained):
    network, _ = trained
    archs = drawn(300, seed=1)
    points = network.encode(torch.from_numpy(archs))
    assert points.shape == (300, 5, 64)
    np.testing.assert_allclose(points.detach().norm(dim=-1), 1, rtol=1e-5)
    everything = within(1e9)
    decoded, limited = decode(everything, Decoding(network, points.detach()), 300)
    assert (decoded == archs).all(axis=1).mean() >= 0.99
    assert not limited.any()


def test_choices_are_scored_one_by_one_as_in_training():
    network = ArchitectureMap(N_CHOICES, seed=3)  # untrained: every choice is in doubt
    archs = drawn(20, seed=2)
    points = network.encode(torch.from_numpy(archs)).detach()
    scores = Decoding(network, points)
    likelihoods = []
    for at in range(len(N_CHOICES)):
        values = torch.from_numpy(scores(archs[:, :at]))
        assert values.shape == (20, N_CHOICES[at])
        likelihoods.append(values.log_softmax(1)[np.arange(20), archs[:, at]])
    with torch.no_grad():
        mean = network.negative_log_likelihood(points, torch.from_numpy(archs))
    np.testing.assert_allclose(-torch.stack(likelihoods).mean(), mean, rtol=1e-5)


def test_an_ascent_rises_in_steps_of_one_length(trained):
    network, _ = trained
    archs = drawn(30, seed=3)
    path = ascend(network, archs, step=0.02, steps=5)
    assert path.shape == (6, 30, 5, 64)
    lengths = (path[1:] - path[:-1]).detach().flatten(2).norm(dim=2)
    np.testing.assert_allclose(lengths, 0.02 * 5**0.5, rtol=1e-3)
    with torch.no_grad():
        predicted = torch.stack([network.predict(points) for points in path])
    assert (predicted.diff(dim=0) > 0).all()


def test_what_is_decoded_on_the_way_up_is_better(trained):
    network, _ = trained
    archs = drawn(100, seed=4)
    top = ascend(network, archs, step=0.8, steps=4)[-1]
    decoded, _ = decode(within(1e9), Decoding(network, top), 100)
    assert worth(decoded).mean() > worth(archs).mean() + 0.05


def test_the_seed_decides_the_weights_and_nothing_else_is_disturbed():
    torch.manual_seed(5)
    untouched = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (ArchitectureMap(N_CHOICES, seed=seed) for seed in (1, 1, 2))
    for network in (first, again):
        fit(network, drawn(40), worth(drawn(40)), Fit(steps=3), seed=7)
    assert torch.equal(torch.rand(3), untouched)
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


# The searcher


def test_conform():
    check_searcher(lambda f, seed: MapSearch(f, seed, ascent=QUICK), within(24))


def test_costs_that_are_no_sums_are_kept():
    def coupled(archs):
        return COST(archs) + 3.0 * (archs[:, 0] == archs[:, 4])

    guide = nearest_sum(coupled, N_CHOICES).cost
    feasible = FeasibleSet([Constraint(Budget("latency", 23.0), guide, check=coupled)])
    check_searcher(lambda f, seed: MapSearch(f, seed, ascent=QUICK), feasible)


def test_finds_the_best_within_a_budget_with_fewer_evaluations_than_random_search():
    found = []
    for make in (lambda f, s: MapSearch(f, s, ascent=QUICK), RandomSearch):
        values = []
        for seed in range(3):
            searcher = make(within(24), seed)
            for count in (20, 10, 10, 10):
                archs = searcher.suggest(count)
                searcher.update(archs, worth(archs))
            values.append(searcher.best()[1])
        found.append(np.mean(values))
    assert found[0] > found[1]


def test_with_enough_ranked_draws_the_maps_best_of_all_that_is_left_are_proposed():
    feasible, few = within(20), replace(QUICK, top=1, steps=1)
    every = np.array(list(product(*map(range, N_CHOICES))))
    every = every[feasible.contains(every)]
    for draws in (0, 15 * len(every)):
        searcher = MapSearch(feasible, ascent=replace(few, ranked_draws=draws))
        told = searcher.suggest(20)
        searcher.update(told, worth(told))
        proposed = searcher.suggest(20)
        left = every[~(every[:, None] == told).all(axis=2).any(axis=1)]
        votes = searcher.scale.targets(searcher.predict(left))
        best = left[np.argsort(-votes.mean(axis=0) - votes.std(axis=0), kind="stable")[:20]]
        alike = sorted(proposed.tolist()) == sorted(best.tolist())
        assert alike == (draws > 0)  # the ascents alone do not come to all of them


def test_both_ways_to_a_search_on_maps_rank_as_many_draws_as_is_asked_for():
    problem = SimpleNamespace(feasible=within(20), seed=0, space=SimpleNamespace(canonical=None))
    made = make_searcher(spos.Settings(searcher="nao", ranked_draws=9), problem)
    assert made.ascent == replace(nao_searcher.QUICK, ranked_draws=9)
    of_method = nao._searcher(problem, nao.Settings(ranked_draws=9), problem.feasible)
    assert of_method.ascent.ranked_draws == 9


def test_draws_are_ranked_by_maps_alone_and_earlier_runs_go_on():
    assert "ranked_draws" not in stored(spos.Settings(searcher="nao"))
    assert stored(spos.Settings(searcher="nao", ranked_draws=9))["ranked_draws"] == 9
    assert "ranked_draws" not in stored(nao.Settings())
    with pytest.raises(OptionError, match="of --searcher nao, got 9 for trees"):
        spos.Settings(searcher="trees", ranked_draws=9)
    with pytest.raises(OptionError, match="draws that are ranked are 0 or more, got -1"):
        Ascent(ranked_draws=-1)


def test_equal_networks_are_proposed_once():
    cells = space("nasbench201")
    feasible = FeasibleSet([Constraint(Budget("macs", 1e12), cells.cost("macs"))])
    searcher = MapSearch(feasible, ascent=QUICK, canonical=cells.canonical)
    first = searcher.suggest(20)
    searcher.update(first, 0.5 + 0.01 * (first == 3).sum(axis=1))
    proposed = searcher.suggest(10)
    written = cells.canonical(np.concatenate([first, proposed]))
    assert len(proposed) == 10
    assert len(np.unique(written, axis=0)) == len(np.unique(written[:20], axis=0)) + 10


def test_an_exhausted_space_ends_the_suggestions():
    cost = AdditiveCost.from_integers(0, [[1, 2], [1, 2]])
    searcher = MapSearch(FeasibleSet([Constraint(Budget("macs", 3.0), cost)]), ascent=QUICK)
    searcher.update(searcher.suggest(2), [0.1, 0.2])
    assert len(searcher.suggest(10)) == 1
    assert len(searcher.suggest(10)) == 0


def test_an_ascent_that_would_stay_is_refused():
    with pytest.raises(OptionError, match="step is above 0, got 0: it would stay"):
        Ascent(step=0)
    with pytest.raises(OptionError, match="1 or more starts, steps and maps, got 0, 8 and 3"):
        Ascent(top=0)


@pytest.mark.parametrize("n_choices", [(49, 147, 294, 490) * 2, (2,) * 160, (4,), (1, 3, 1)])
def test_any_space_can_be_mapped(n_choices):
    cost = AdditiveCost.from_integers(1, [list(range(n)) for n in n_choices])
    limit = 1.0 + sum((n - 1) // 2 for n in n_choices)
    feasible = FeasibleSet([Constraint(Budget("macs", limit), cost)])
    ascent = Ascent(top=2, steps=1, maps=1, fit=Fit(steps=2))
    searcher = MapSearch(feasible, ascent=ascent)
    first = searcher.suggest(2)
    searcher.update(first, np.linspace(0.1, 0.2, len(first)))
    for archs in (first, searcher.suggest(3)):
        assert feasible.contains(archs).all()
        assert archs.shape[1] == len(n_choices)
