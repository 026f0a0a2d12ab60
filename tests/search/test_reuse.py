"""A trained supernet, searched again: every budget gets the best of all that is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from problems import Bumpy, Device

from hwnas.costs import Budget
from hwnas.errors import BudgetMissedError, InfeasibleBudgetError
from hwnas.predictors import load_predictor
from hwnas.search.deployment import Deployment
from hwnas.search.find import find_network
from hwnas.search.problem import Problem
from hwnas.search.reuse import Reuse, budget_name, search_front, search_supernet
from hwnas.search.runs.run import CHECKPOINT, Run
from hwnas.search.runs.stored import StoredRun
from hwnas.search.searchers.pareto import front
from hwnas.search.shared_settings import EvolutionSettings

QUICK = {"population": 6, "generations": 3, "parents": 3}


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 6)
        patched.setattr("hwnas.search.candidates.evaluation._CALIBRATION_IMAGES", 64)
        patched.setattr("hwnas.search.candidates.evaluation._VALIDATION_IMAGES", 100)
        patched.setattr("hwnas.search.candidates.verification._PAUSES_S", ())
        yield


@pytest.fixture(scope="module")
def predictor(deeper, deeper_predictor):
    """No sum, so that budgets are checked exactly and proposed by a guide."""
    return load_predictor(Bumpy(deeper_predictor), deeper)


@pytest.fixture(scope="module")
def limits(deeper, predictor):
    ms = predictor.predict(deeper.sample(500, seed=0))
    return [float(v) for v in np.quantile(ms, [0.3, 0.7])]


@pytest.fixture(scope="module")
def source(deeper, digits, predictor, limits, _quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("source") / "run"
    find_network(
        deeper,
        "digits",
        [f"latency<={limits[1]}ms"],
        predictor=predictor,
        out=out,
        proxy_input_size=8,
        proxy_width=1.0,
        steps=8,
        batch_size=16,
        **QUICK,
    )
    return StoredRun.open(out)


def reuse(folder, source, predictor):
    deployment = Deployment(predictor, None, None, [])
    return Reuse(Run(folder, {}), source, deployment, EvolutionSettings(**QUICK))


def problems(source, predictor, digits, limits, measure=None):
    return [
        Problem(
            source.deployed, source.proxy, digits, predictor, [Budget("latency", limit)], measure
        )
        for limit in limits
    ]


def known(folder, space, event="evaluated"):
    """Architectures and accuracies of a log."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    found = {e["architecture"]: e["accuracy"] for e in lines if e["event"] == event}
    return np.array([space.parse(name) for name in found]), np.array(list(found.values()))


def test_every_budget_gets_the_best_of_all_that_was_evaluated(
    source, predictor, digits, limits, tmp_path
):
    space, before = source.deployed, (source.folder / CHECKPOINT).read_bytes()
    asked = problems(source, predictor, digits, limits)
    result = search_supernet(reuse(tmp_path, source, predictor), asked)
    old, new = known(source.folder, space), known(tmp_path, space)
    archs, accuracies = (np.concatenate(pair) for pair in zip(old, new, strict=True))
    ms = predictor.predict(archs)
    for found, limit, stated in zip(result["budgets"], limits, asked, strict=True):
        assert found["predicted_ms"] <= limit
        assert found["accuracy"] == accuracies[ms <= limit].max()
        assert found["folder"] == budget_name(stated.budgets)
        assert json.loads((tmp_path / found["folder"] / "result.json").read_text()) == found
    assert ms.max() <= limits[1]
    chosen = [(entry["predicted_ms"], entry["accuracy"]) for entry in result["front"]]
    assert chosen == [(ms[at], accuracies[at]) for at in front(ms, accuracies)]
    assert result["accuracies_reused"] == len(old[0])
    assert result["architectures_evaluated"] == len(new[0])
    assert not {tuple(a) for a in old[0].tolist()} & {tuple(a) for a in new[0].tolist()}
    assert (source.folder / CHECKPOINT).read_bytes() == before
    # once more, in the same folder: nothing is evaluated again, and the end is the same
    again = search_supernet(reuse(tmp_path, source, predictor), asked)
    assert known(tmp_path, space)[0].tolist() == new[0].tolist()
    assert [b["architecture"] for b in again["budgets"]] == [
        b["architecture"] for b in result["budgets"]
    ]


@pytest.mark.parametrize("images", [{}, {"calibration_images": 20, "validation_images": 30}])
def test_a_supernet_is_searched_again_on_the_images_of_its_run(
    source, predictor, digits, limits, tmp_path, images
):
    own = replace(source, config={**source.config, **images})
    again = reuse(tmp_path, own, predictor)
    (stated,) = problems(own, predictor, digits, limits[:1])
    seen, shown, _, _ = again.evaluation(again.context(stated)).validation.inputs()
    assert (len(seen), len(shown)) == ((20, 30) if images else (64, 100))
    assert {key: own.identity(tmp_path).get(key) for key in images} == images


def test_a_budget_that_the_device_misses_does_not_take_the_others_with_it(
    source, predictor, digits, limits, tmp_path
):
    least = float(predictor.predict(predictor.cost.minimum()[0][None])[0])
    device = Device(source.deployed, predictor, lambda: 1.1)
    asked = problems(source, predictor, digits, [1.02 * least, limits[1]], device)
    with pytest.raises(BudgetMissedError, match=r"1 of 2 budgets have a result in .*; no network"):
        search_supernet(reuse(tmp_path, source, predictor), asked)
    written = [p.parent.name for p in tmp_path.glob("*/result.json")]
    assert written == [budget_name(asked[1].budgets)]
    content = json.loads((tmp_path / written[0] / "result.json").read_text())
    assert content["measured_ms"] <= limits[1]


def test_an_infeasible_budget_searches_nothing(source, predictor, digits, limits, tmp_path):
    with pytest.raises(InfeasibleBudgetError):
        search_supernet(
            reuse(tmp_path, source, predictor),
            problems(source, predictor, digits, [limits[1], 1e-5]),
        )
    assert not list(known(tmp_path, source.deployed)[0])


def test_a_whole_front_keeps_the_budget_and_is_one(source, predictor, digits, limits, tmp_path):
    (stated,) = problems(source, predictor, digits, limits[:1])
    result = search_front(reuse(tmp_path, source, predictor), stated)
    space = source.deployed
    archs, _ = known(tmp_path, space)
    assert len(archs)
    assert predictor.predict(archs).max() <= limits[0]
    ms = [entry["predicted_ms"] for entry in result["front"]]
    accuracies = [entry["accuracy"] for entry in result["front"]]
    assert ms == sorted(ms)
    assert max(ms) <= limits[0]
    assert accuracies == sorted(set(accuracies))


def test_without_a_budget_a_front_reaches_over_all(source, predictor, digits, tmp_path):
    anything = Problem(source.deployed, source.proxy, digits, predictor, [])
    result = search_front(reuse(tmp_path, source, predictor), anything)
    assert result["budget"] == []
    archs, accuracies = (
        np.concatenate(pair)
        for pair in zip(
            known(source.folder, source.deployed), known(tmp_path, source.deployed), strict=True
        )
    )
    assert max(entry["accuracy"] for entry in result["front"]) == accuracies.max()
    assert len(archs) > result["accuracies_reused"]
