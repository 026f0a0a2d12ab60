"""Proposals that differ from the best in one decision, by enumeration."""

import json
import re
from itertools import product

import numpy as np
import pytest

from hwnas.costs import AdditiveCost, Budget, Constraint, FeasibleSet
from hwnas.errors import CheckpointError, OptionError
from hwnas.search.methods import betanas, spos, tnas_os
from hwnas.search.runs.run import begun_with
from hwnas.search.searchers.archive import Archive, neighbours_of
from hwnas.search.searchers.nao import Ascent, MapSearch
from hwnas.search.searchers.nao_model import Fit
from hwnas.search.searchers.trees import Trees
from hwnas.search.searchers.vae_search import VAESearch, VAESearchSettings
from hwnas.search.settings import stored
from hwnas.search.shared_settings import as_begun
from hwnas.testing import check_searcher

#: Choice 0 costs 1, choice 1 costs 2, ...
COST = AdditiveCost.from_integers(0, [[1, 2, 3, 4]] * 5)
EVERY = np.array(list(product(range(4), repeat=5)))
SEARCHERS = {
    "trees": lambda f, seed, share: Trees(f, seed, neighbour_share=share),
    "nao": lambda f, seed, share: MapSearch(
        f, seed, ascent=Ascent(maps=1, fit=Fit(steps=5)), neighbour_share=share
    ),
    "vae": lambda f, seed, share: VAESearch(
        f,
        VAESearchSettings(start=6, vae_steps=5, candidates=40, neighbour_share=share),
        seed=seed,
    ),
}


def feasible(limit):
    return FeasibleSet([Constraint(Budget("macs", limit), COST)])


def changed(archs, best):
    """In how many decisions each differs from the best."""
    return (archs != best).sum(axis=1)


def test_neighbours_are_all_that_differ_in_one_decision():
    arch = np.array([1, 0, 2])
    found = neighbours_of(arch, (2, 1, 4)).tolist()
    every = np.array(list(product(range(2), range(1), range(4))))
    assert sorted(found) == every[changed(every, arch) == 1].tolist()


def test_an_archive_gives_each_neighbour_within_the_budgets_once():
    archive = Archive(feasible(9), seed=0)
    assert archive.neighbours(3) == []  # nothing is the best yet
    told = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0]])  # cost 9 and 5
    archive.update(told, [0.9, 0.1])
    found = [arch for _ in range(4) for arch in archive.neighbours(2)]
    # one of the four choices 1 becomes 0; all else would cost more
    assert sorted(found) == [(0, 1, 1, 1, 0), (1, 0, 1, 1, 0), (1, 1, 0, 1, 0), (1, 1, 1, 0, 0)]


def test_of_equal_networks_one_is_a_neighbour():
    def canonical(archs):
        written = archs.copy()
        written[:, 4] = 0  # the last decision changes nothing
        return written

    archive = Archive(feasible(20), seed=0, canonical=canonical)
    archive.update(np.array([[0, 0, 0, 0, 0]]), [0.9])
    found = np.array(archive.neighbours(100))
    assert len(found) == 4 * 3
    assert (found[:, 4] == 0).all()


@pytest.mark.parametrize("make", SEARCHERS.values(), ids=SEARCHERS)
def test_a_share_of_what_is_proposed_differs_from_the_best_in_one_decision(make):
    searcher = make(feasible(14), 0, 0.5)
    first = searcher.suggest(12)
    best = first[0]
    searcher.update(first, np.where((first == best).all(axis=1), 0.9, 0.5))
    proposed = searcher.suggest(8)
    assert len(proposed) == 8
    assert (changed(proposed[:4], best) == 1).all()
    assert feasible(14).contains(proposed).all()
    only = make(feasible(14), 0, 1.0)
    only.update(first, np.where((first == best).all(axis=1), 0.9, 0.5))
    near = EVERY[changed(EVERY, best) == 1]
    left = feasible(14).contains(near) & ~(near[:, None] == first).all(axis=2).any(axis=1)
    found = only.suggest(int(left.sum()) + 2)  # all of them, and two that are others
    assert (changed(found, best) == 1).sum() >= left.sum()
    assert len(found) == left.sum() + 2


@pytest.mark.parametrize("make", SEARCHERS.values(), ids=SEARCHERS)
def test_they_stay_searchers(make):
    check_searcher(lambda f, seed: make(f, seed, 0.3), feasible(13))


@pytest.mark.parametrize("settings", [spos.Settings, tnas_os.Settings])
def test_it_is_of_the_searchers_that_have_it_and_earlier_runs_go_on(settings):
    assert "neighbour_share" not in stored(settings(searcher="vae"))
    assert stored(settings(searcher="vae", neighbour_share=0.3))["neighbour_share"] == 0.3
    with pytest.raises(OptionError, match=r"trees, nao and vae, got 0\.3 for evolution"):
        settings(neighbour_share=0.3)
    with pytest.raises(OptionError, match="neighbour_share is a number"):
        settings(searcher="vae", neighbour_share=1.5)


@pytest.mark.parametrize(
    ("searcher", "asked", "config", "begun"),
    [
        # a run that begins: three of ten by the VAE, none by others, or what was asked for
        ("vae", None, None, 0.3),
        ("vae", 0.0, None, 0.0),
        ("vae", 0.5, None, 0.5),
        ("nao", None, None, 0.2),
        ("trees", None, None, None),
        ("evolution", None, None, None),
        # one of earlier versions, which had none and did not write it
        ("vae", None, {}, None),
        ("vae", 0.0, {}, None),
        ("vae", 0.3, {}, 0.3),
        # one of this version
        ("vae", None, {"neighbour_share": 0.3}, 0.3),
        ("vae", None, {"neighbour_share": 0.0}, 0.0),
        ("vae", 0.0, {"neighbour_share": 0.3}, 0.0),
    ],
)
def test_a_run_goes_on_with_the_share_that_it_was_begun_with(searcher, asked, config, begun):
    settings = spos.Settings(searcher=searcher, neighbour_share=asked)
    assert as_begun(settings, config).neighbour_share == begun


@pytest.mark.parametrize(
    ("searcher", "asked", "config", "begun"),
    [
        ("nao", None, None, 1000),
        ("nao", 0, None, 0),
        ("evolution", None, None, None),
        ("nao", None, {}, None),
        ("nao", 50, {}, 50),
        ("nao", None, {"ranked_draws": 1000}, 1000),
    ],
)
def test_a_run_goes_on_with_the_draws_that_it_was_begun_with(searcher, asked, config, begun):
    settings = spos.Settings(searcher=searcher, ranked_draws=asked)
    assert as_begun(settings, config).ranked_draws == begun


def test_a_search_by_maps_of_before_has_no_neighbours():
    begun = as_begun(spos.Settings(searcher="nao"), {"ranked_draws": 1000})
    assert (begun.neighbour_share, begun.ranked_draws) == (None, 1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("neighbour_share", 1.5), ("neighbour_share", "much"), ("ranked_draws", -1)],
)
def test_what_a_run_cannot_have_begun_with_is_said_of_its_file(tmp_path, name, value):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"searcher": "vae", name: value}))
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(path))}: {name}"):
        begun_with(tmp_path)
    path.write_text(json.dumps({"searcher": "vae", name: 0}))
    assert begun_with(tmp_path)[name] == 0


def test_methods_that_do_not_evolve_have_no_share():
    settings = betanas.Settings()
    assert as_begun(settings, None) is settings


def test_the_searcher_of_the_vae_has_a_share_by_itself():
    assert VAESearchSettings().neighbour_share == 0.3
