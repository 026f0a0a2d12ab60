"""Candidates ranked by separations: in a search, in what reuses its supernet, and in older runs."""

import json

import numpy as np
import pytest

import hwnas
from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.search.candidates.evaluation import validation_evaluator
from hwnas.search.find import find_network
from hwnas.search.result import summary
from hwnas.search.runs.stored import StoredRun
from hwnas.search.shared_settings import EvaluationSettings, as_begun

SEPARATION = EvaluationSettings(rank_by="separation")

SETTINGS = {
    "proxy_input_size": 8,
    "proxy_width": 1.0,
    "steps": 4,
    "batch_size": 16,
    "population": 6,
    "generations": 2,
    "parents": 3,
    "sampler": "balanced",
    "paths": 5,
    "rank_by": "separation",
}


class Flat:
    """Every network takes a millisecond."""

    def predict(self, archs):
        return np.ones(len(archs))


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 6)
    monkeypatch.setattr("hwnas.search.candidates.evaluation._CALIBRATION_IMAGES", 80)
    monkeypatch.setattr("hwnas.search.candidates.evaluation._VALIDATION_IMAGES", 100)


def search(out, digits, **changes):
    cells = hwnas.space("nasbench201", input_size=8, channels=4, cells=1)
    budgets, settings = ["latency<=2ms"], SETTINGS | changes
    return find_network(cells, digits, budgets, predictor=Flat(), out=out, **settings)


def logged(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {e["architecture"]: e["accuracy"] for e in lines if e["event"] == "evaluated"}


def test_a_search_ranks_by_separation(digits, tmp_path) -> None:
    out = tmp_path / "run"
    result = search(out, digits)
    source = StoredRun.open(out, digits)
    supernet, accuracies = source.supernet(), logged(out)
    assert len(accuracies) == 12
    archs = np.array([source.deployed.parse(name) for name in accuracies])
    separations = validation_evaluator(supernet, digits, SEPARATION).accuracies(archs)
    np.testing.assert_allclose(list(accuracies.values()), separations, atol=1e-6)
    assert not np.allclose(separations, validation_evaluator(supernet, digits).accuracies(archs))
    assert accuracies[result.architecture] == max(accuracies.values())
    assert result.content["rank_by"] == "separation"
    (said,) = [text for label, text in summary(result.content, out) if label == "accuracy"]
    assert "% separation, " in said
    kept = source.identity(tmp_path)
    assert (kept["rank_by"], kept["paths"]) == ("separation", 5)


def test_a_run_of_one_path_and_accuracy_says_what_earlier_versions_said(digits, tmp_path) -> None:
    out = tmp_path / "run"
    plain = {"paths": 1, "rank_by": "accuracy"}
    first = search(out, digits, **plain)
    config = json.loads((out / "config.json").read_text())
    assert not plain.keys() & config.keys()
    assert search(out, digits, **plain).architecture == first.architecture
    with pytest.raises(hwnas.HwnasError, match="rank_by"):
        search(out, digits, **plain | {"rank_by": "separation"})


def test_what_is_neither_is_refused(digits, tmp_path) -> None:
    with pytest.raises(OptionError, match="rank_by is one of accuracy, separation, or None, got"):
        search(tmp_path, digits, rank_by="loss")
    with pytest.raises(OptionError, match="paths is a whole number of at least 1, got 0"):
        search(tmp_path, digits, paths=0)


@pytest.mark.parametrize(
    ("asked", "config", "begun"),
    [
        # a run that begins
        (None, None, "separation"),
        ("accuracy", None, None),
        ("separation", None, "separation"),
        # one of earlier versions, or by accuracy, which is not written
        (None, {}, None),
        ("accuracy", {}, None),
        ("separation", {}, "separation"),
        # one that began so
        (None, {"rank_by": "separation"}, "separation"),
        ("accuracy", {"rank_by": "separation"}, None),
    ],
)
def test_a_run_goes_on_ranking_by_what_it_began_with(asked, config, begun):
    assert as_begun(EvaluationSettings(rank_by=asked), config, "separation").rank_by == begun


def test_a_space_has_what_its_new_searches_rank_by(digits, tmp_path) -> None:
    named = {key: value for key, value in SETTINGS.items() if key != "rank_by"}
    cells = hwnas.space("nasbench201", input_size=8, channels=4, cells=1)
    result = find_network(cells, digits, ["latency<=2ms"], predictor=Flat(), out=tmp_path, **named)
    assert result.content["rank_by"] == "separation"
    assert json.loads((tmp_path / "config.json").read_text())["rank_by"] == "separation"
    assert spaces.entry("proxyless").rank_by == "accuracy"
