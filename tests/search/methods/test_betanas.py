"""A whole search on a small space, against a synthetic device that is slower than its table."""

import json

import numpy as np
import onnx
import pytest
from problems import Device, problem

from hwnas.costs import parse_budget
from hwnas.errors import BudgetMissedError, InfeasibleBudgetError, OptionError
from hwnas.search.context import Context
from hwnas.search.methods.betanas import Settings
from hwnas.search.methods.betanas import search as betanas
from hwnas.search.runs.run import Run

pytestmark = pytest.mark.usefixtures("few_random_paths")
QUICK = {
    **{"steps": 40, "batch_size": 16, "base_lr": 2e-3, "alpha_batch": 16, "alpha_lr": 0.1},
    **{"warm_up": 0.1, "prune_margin": 0.5, "prune_start": 0.3},
}
NEVER = {"prune_margin": None, "prune_start": 0.0}


@pytest.fixture(scope="module")
def data(digits):
    return digits


@pytest.fixture(scope="module")
def space(deeper):
    return deeper


@pytest.fixture(scope="module")
def predictor(deeper_predictor):
    return deeper_predictor


@pytest.fixture(scope="module")
def limit(space, predictor):
    return float(np.median(predictor.predict(space.sample(500, seed=0))))


def search(folder, space, data, predictor, budgets, measure=None, **options):
    searched = problem(space, predictor, budgets, data=data, measure=measure)
    return betanas(Context(searched, Run(folder, {})), Settings(**{**QUICK, **options}))


@pytest.fixture(scope="module")
def found(space, data, predictor, limit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found") / "run"
    device = Device(space, predictor, 1.04)
    return folder, device, search(folder, space, data, predictor, [f"latency<={limit}ms"], device)


def test_it_ends_measured_within_the_budget(found, space, predictor, limit):
    _, device, result = found
    arch = space.parse(result["architecture"])
    assert result["method"] == "betanas"
    assert result["measured_ms"] == 1.04 * result["predicted_ms"] <= limit
    assert result["predicted_ms"] == predictor.predict(arch)[0]
    assert result["networks_measured"] == len(device.asked) == len(set(device.asked))
    assert result["beta"] == "steered"
    assert device.asked[-1] == result["architecture"]


def test_it_leaves_the_files_of_every_search(found, few_random_paths):
    folder, _, result = found
    assert json.loads((folder / "result.json").read_text()) == result
    assert set(result["files"].values()) == {"best.onnx", "accuracy_latency.png", "alpha.png"}
    for name in result["files"].values():
        assert (folder / name).stat().st_size > 1000
    assert result["weights"] == "from the supernet"
    about = {p.key: p.value for p in onnx.load(folder / "best.onnx").metadata_props}
    assert about["architecture"] == result["architecture"]
    assert len(result["living_choices"]) == 4
    assert result["dropped_choices_taken"] == 0
    assert result["random_paths"]["count"] == few_random_paths


def test_resumed_behind_its_training_it_measures_nothing_again(
    found, space, data, predictor, limit
):
    folder, _, result = found
    (folder / "result.json").unlink()
    device = Device(space, predictor, 1.04)
    again = search(folder, space, data, predictor, [f"latency<={limit}ms"], device)
    assert device.asked == []
    assert {**again, "seconds": 0} == {**result, "seconds": 0}


@pytest.fixture
def impatient(monkeypatch):
    """A device that is always slow is not waited for."""
    monkeypatch.setattr("hwnas.search.candidates.verification._PAUSES_S", ())


@pytest.mark.usefixtures("impatient")
def test_pruned_choices_come_back_where_no_active_one_keeps_the_budget_on_the_device(
    space, data, predictor, limit, tmp_path
):
    device = Device(space, predictor, 1.3)
    rule = {"prune_margin": 0.01, "prune_start": 0.0}
    budget = [f"latency<={limit}ms"]
    result = search(tmp_path, space, data, predictor, budget, device, **rule)
    assert sum(result["living_choices"]) <= 6  # of 27
    assert result["networks_measured"] > 1
    assert result["measured_ms"] <= limit
    assert result["dropped_choices_taken"] >= 1
    assert result["log_probability"] is None


@pytest.mark.usefixtures("impatient")
def test_a_device_that_keeps_no_promise_fails(space, data, predictor, limit, tmp_path):
    device = Device(space, predictor, 30.0)
    with pytest.raises(BudgetMissedError, match="no network kept"):
        search(tmp_path, space, data, predictor, [f"latency<={limit}ms"], device)
    assert 1 <= len(set(device.asked)) <= 8


def test_fixed_betas_of_two_costs_and_budgets_on_a_third(space, data, predictor, tmp_path):
    params = f"params<={np.median(space.params(space.sample(300, seed=0))) / 1e3:.3f}k"
    beta = ["latency=1", "macs=1"]
    result = search(tmp_path, space, data, predictor, [params], beta=beta, **NEVER)
    assert result["params"] <= parse_budget(params).limit
    assert result["beta"] == {"latency": 1.0, "macs": 1e-6}
    assert result["last_betas"] == [1.0, 1e-6]
    assert result["living_choices"] == list(space.n_choices)
    assert result["measured_ms"] is None


def test_a_budget_that_cannot_be_broken_steers_nothing(space, data, predictor, tmp_path):
    result = search(tmp_path, space, data, predictor, ["latency<=9s"], steps=8)
    assert result["last_betas"] == []
    assert result["architecture"] == result["most_probable"]


def test_bad_input_trains_nothing(space, data, predictor, tmp_path):
    with pytest.raises(InfeasibleBudgetError, match=r"no architecture keeps latency<=0\.00001ms"):
        search(tmp_path / "a", space, data, predictor, ["latency<=0.00001ms"])
    with pytest.raises(OptionError, match="dearer networks would be rewarded"):
        search(tmp_path / "b", space, data, predictor, ["latency<=9s"], beta=["latency=-1"])
    for name in "ab":
        assert not (tmp_path / name / "supernet.safetensors").exists()
