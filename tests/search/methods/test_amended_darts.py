"""Whole searches by mixed edges on small spaces, against a synthetic device."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from branches import branches
from problems import Device, Plain, problem
from safetensors.torch import load_file
from torch.nn import BatchNorm2d

from hwnas import spaces
from hwnas.errors import (
    CheckpointError,
    InfeasibleBudgetError,
    OptionError,
)
from hwnas.predictors import load_predictor
from hwnas.predictors.looked_up import UnknownLatency
from hwnas.profilers import Plan, profile_space
from hwnas.search.auxiliary import mixed_head
from hwnas.search.context import Context
from hwnas.search.gradient.alphas import history
from hwnas.search.gradient.cost_weights import FixedWeights
from hwnas.search.methods.amended_darts import Settings, check, train_mixed
from hwnas.search.methods.amended_darts import search as amended_darts
from hwnas.search.runs.run import Run
from hwnas.search.supernet_training import make_supernet
from hwnas.supernet import Supernet, load_weights
from hwnas.testing import SyntheticRuntime

pytestmark = pytest.mark.usefixtures("few_random_paths")
QUICK = {
    **{"steps": 24, "batch_size": 16, "alpha_batch": 16, "alpha_every": 2, "alpha_lr": 0.1},
    **{"calibration_images": 64, "validation_images": 100},
}
CELLS = spaces.space("nasbench201", input_size=8, classes=10, channels=4, cells=1)


@pytest.fixture(scope="module")
def predictor():
    plan = Plan(tolerance=1.0, min_runs=30, max_runs=30)
    return load_predictor(profile_space(CELLS, SyntheticRuntime(), plan=plan), CELLS)


@pytest.fixture(scope="module")
def limit(predictor):
    return float(np.median(predictor.predict(CELLS.sample(500, seed=0))))


def search(folder, data, predictor, budgets, measure=None, space=CELLS, **options):
    searched = problem(space, predictor, budgets, data=data, measure=measure)
    settings = check(searched, Settings(**{**QUICK, **options}))
    return amended_darts(Context(searched, Run(folder, {})), settings)


@pytest.fixture(scope="module")
def found(digits, predictor, limit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found") / "run"
    device = Device(CELLS, predictor, 1.02)
    return folder, device, search(folder, digits, predictor, [f"latency<={limit}ms"], device)


def test_it_ends_measured_within_the_budget(found, predictor, limit):
    folder, device, result = found
    arch = CELLS.parse(result["architecture"])
    assert result["method"] == "amended-darts"
    assert result["measured_ms"] == 1.02 * predictor.predict(arch)[0] <= limit
    assert device.asked[-1] == result["architecture"]
    assert (result["eta"], result["beta"], result["converged"]) == (0.1, "steered", False)
    assert result["trained_steps"] == 24
    assert result["log_probability"] < 0
    assert json.loads((folder / "result.json").read_text()) == result
    for name in result["files"].values():
        assert (folder / name).stat().st_size > 1000


def test_the_log_tells_alpha_from_the_first_step_to_the_last(found):
    folder, _, result = found
    past = history(Run(folder, {}).logged("alpha"))
    assert [entry["step"] for entry in past] == list(range(1, 24, 2))
    assert np.abs(np.array(past[0]["alpha"])).max() == pytest.approx(
        0.1, rel=1e-3
    )  # a step of Adam
    assert past[-1]["expected"] == result["last_expected"]
    assert past[-1]["beta"] == result["last_betas"]
    assert (np.array(past[-1]["trained"]) == 22).all()


def test_steering_moves_the_expected_latency_to_the_budget(digits, predictor, tmp_path):
    archs = predictor.predict(CELLS.sample(500, seed=0))
    ends = {}
    for share in (0.2, 0.8):
        budget = [f"latency<={np.quantile(archs, share)}ms"]
        settings = {"steps": 30, "alpha_every": 1, "alpha_lr": 0.2, "eta": 0.0}
        result = search(tmp_path / str(share), digits, predictor, budget, **settings)
        ends[share] = result["last_expected"][0]
        arch = CELLS.parse(result["most_probable"])
        assert predictor.predict(arch)[0] == pytest.approx(np.quantile(archs, share), rel=0.3)
    assert ends[0.2] < ends[0.8]


def test_a_fixed_weight_and_a_budget_on_another_cost(digits, predictor, tmp_path):
    macs = f"macs<={np.median(CELLS.macs(CELLS.sample(300, seed=0))) / 1e6:.4f}M"
    result = search(tmp_path / "a", digits, predictor, [macs], beta=["latency=1000"], steps=12)
    assert result["beta"] == {"latency": 1000.0}
    assert result["last_betas"] == [1000.0]
    free = search(tmp_path / "b", digits, predictor, [macs], beta=["latency=0"], steps=12)
    assert result["last_expected"][0] < free["last_expected"][0]


@pytest.fixture(scope="module")
def usual(digits, predictor, tmp_path_factory):
    """Alpha after a few steps with the usual settings."""
    return few_steps(tmp_path_factory.mktemp("usual"), digits, predictor)


def few_steps(folder, digits, predictor, **options):
    searched = problem(CELLS, predictor, ["latency<=9s"], data=digits)
    settings = check(searched, Settings(**{**QUICK, "steps": 6, **options}))
    supernet = make_supernet(CELLS, settings, seed=0)
    train_mixed(Context(searched, Run(folder, {})), supernet, settings, [], FixedWeights([]))
    return history(Run(folder, {}).logged("alpha"))[-1]["alpha"]


@pytest.mark.parametrize(
    "options",
    [
        {"eta": 0.0},
        {"order": "second"},
        {"products": "finite"},
        {"cutout": 3},
        {"path_drop": 0.3},
        {"batch_norms": "affine"},
        {"initial_weights": "alike"},
        {"label_smoothing": 0.2},
    ],
)
def test_each_setting_is_used(usual, digits, predictor, tmp_path, options):
    assert few_steps(tmp_path, digits, predictor, **options) != usual


def test_the_supernet_can_be_used_again(found):
    folder, _, result = found
    supernet = Supernet(CELLS, sharing="separate", seed=0)
    assert load_weights(folder / "supernet.safetensors", supernet, 24) == 24
    scales = [p for m in supernet.modules() if isinstance(m, BatchNorm2d) for p in m.parameters()]
    assert all(((scale == 1) | (scale == 0)).all() for scale in scales)
    deployed = supernet.weights(CELLS.parse(result["architecture"]))
    kept = load_file(folder / "weights.safetensors")
    for name in (name for name in kept if name.endswith("conv.weight")):
        assert torch.equal(kept[name], torch.from_numpy(deployed[name]))


def test_it_stops_where_alpha_rests_and_does_not_go_on(digits, predictor, tmp_path):
    budget = [f"macs<={CELLS.cost('macs').maximum()[1] / 1e6 + 1}M"]
    options = {"steps": 400, "alpha_lr": 1.0, "alpha_decay": 0.0, "eta": 0.0, "still": 0.2}
    folder = tmp_path / "run"
    result = search(folder, digits, predictor, budget, **options)
    assert result["converged"] is True
    assert result["trained_steps"] < 400
    assert result["least_sure"] >= 0.5
    assert result["last_change"] < 0.2
    steps = [entry["step"] for entry in Run(folder, {}).logged("trained")]
    (folder / "result.json").unlink()
    again = search(folder, digits, predictor, budget, **options)
    assert {**again, "seconds": 0} == {**result, "seconds": 0}
    assert [entry["step"] for entry in Run(folder, {}).logged("trained")] == steps


def test_another_methods_checkpoint_is_not_taken(found, digits, predictor, limit):
    folder, _, _ = found
    with pytest.raises(CheckpointError, match="not of"):
        search(folder, digits, predictor, [f"latency<={limit}ms"], sharing="slices")


# Bad input


def test_bad_settings_are_refused():
    with pytest.raises(OptionError, match=r"eta is a number of at least 0, got -0\.1"):
        Settings(eta=-0.1)
    with pytest.raises(OptionError, match="order is one of amended, second, first"):
        Settings(order="third")
    with pytest.raises(OptionError, match="dearer networks would be rewarded"):
        Settings(beta=["latency=-1"])
    with pytest.raises(OptionError, match="leave alpha no step"):
        Settings(steps=10, warm_up=0.9, alpha_every=5)


def test_bad_problems_train_nothing(digits, predictor, tmp_path):
    with pytest.raises(InfeasibleBudgetError, match="no architecture keeps"):
        search(tmp_path / "a", digits, predictor, ["latency<=0.00001ms"])
    with pytest.raises(OptionError, match="so 539 a half"):
        search(tmp_path / "b", digits, predictor, ["latency<=9s"], batch_size=540)
    with pytest.raises(OptionError, match="the method amended-darts needs"):
        search(tmp_path / "c", digits, Plain(predictor), ["latency<=9s"])
    for name in "abc":
        assert not (tmp_path / name / "supernet.safetensors").exists()


def test_a_space_without_mixed_edges_is_refused(digits):
    space = branches()
    few = replace(digits, classes=3)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    predictor = load_predictor(profile_space(space, SyntheticRuntime(), plan=plan), space)
    searched = problem(space, predictor, ["latency<=9s"], data=few)
    with pytest.raises(OptionError, match="mixed edges need slots that each follow one decision"):
        check(searched, Settings(**QUICK))


def test_a_mixture_that_no_machine_holds_is_refused(digits, predictor, monkeypatch):
    monkeypatch.setattr("hwnas.memory.machine_bytes", lambda: 1e6)
    searched = problem(CELLS, predictor, ["latency<=9s"], data=digits)
    with pytest.raises(OptionError, match="mixing all operators of nasbench201 at 8 pixels takes"):
        check(searched, Settings(**QUICK))


# The auxiliary head


class StoppedError(Exception):
    """Ends a training in the middle."""


FIXED = spaces.space("darts-s1", input_size=8, classes=10, channels=4, cells=3)


def mixed(folder, data, stop_at=1.0, **options):
    """Train the mixture of a space that has reductions, up to a share of its steps."""

    def tell(task, share, remark):
        if stop_at < share < 1:
            raise StoppedError(task)

    searched = problem(FIXED, UnknownLatency(FIXED), ["macs<=1G"], data=data)
    few = {"steps": 3, "batch_size": 4, "alpha_batch": 4}
    settings = Settings(**{**QUICK, **few, "auxiliary": 0.4, **options})
    check(searched, settings)
    supernet = Supernet(FIXED, sharing="separate", seed=0)
    run = Run(folder, {})
    alphas = train_mixed(
        Context(searched, run, progress=tell), supernet, settings, [], FixedWeights([])
    )
    return alphas.alpha.tolist(), supernet.state_dict(), load_file(folder / "supernet.safetensors")


def test_an_auxiliary_head_learns_and_is_resumed(digits, tmp_path):
    alpha, weights, stored = mixed(tmp_path / "whole", digits)
    with pytest.raises(StoppedError):
        mixed(tmp_path / "cut", digits, stop_at=0.3)
    again, resumed, stored_again = mixed(tmp_path / "cut", digits)
    assert alpha == again
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in weights.items())
    fresh = mixed_head(FIXED, seed=0)[0].state_dict()
    for name, tensor in fresh.items():
        learned = stored[f"extra auxiliary {name}"]
        assert not torch.equal(learned, tensor), name
        assert torch.equal(learned, stored_again[f"extra auxiliary {name}"]), name


def test_an_auxiliary_head_has_no_place_in_nasbench201(digits, predictor):
    searched = problem(CELLS, predictor, ["latency<=9s"], data=digits)
    with pytest.raises(OptionError, match="nasbench201 has none: train with auxiliary 0"):
        check(searched, Settings(**QUICK, auxiliary=0.4))
