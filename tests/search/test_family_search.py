"""A family of own modules is searched, gone on with and verified like any other space."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from families import cnn_space, vit_space
from torch import nn

import hwnas
from hwnas.devices.whole_networks import whole_table
from hwnas.errors import OptionError
from hwnas.profilers import Plan
from hwnas.search.runs.run import CHECKPOINT
from hwnas.testing.devices import SyntheticRuntime

QUICK = {"steps": 8, "batch_size": 32, "population": 6, "generations": 2}


def found(out: Path, budgets: list[str], **changes):
    return hwnas.find_network(cnn_space(), "digits", budgets, out=out, **{**QUICK, **changes})


def test_what_is_found_keeps_its_budgets_and_is_what_it_says(tmp_path: Path) -> None:
    result = found(tmp_path, ["macs<=50k", "params<=8k"])
    space = result.space
    assert space.macs(result.arch)[0] <= 50_000
    assert space.params(result.arch)[0] <= 8_000
    assert np.isnan(result.predicted_ms)
    x = torch.randn(3, 3, 8, 8)
    session = onnxruntime.InferenceSession(result.onnx)
    got = np.concatenate([session.run(None, {"input": image[None].numpy()})[0] for image in x])
    with torch.no_grad():
        assert np.allclose(got, result.module(x), atol=1e-4)


def test_it_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch) -> None:
    space = vit_space()  # has dropout

    def search(out: Path):
        return hwnas.find_network(space, "digits", ["params<=6k"], out=out, **QUICK)

    whole = search(tmp_path / "whole")
    from hwnas.search import supernet_training

    real = supernet_training.train_path

    def killed(*args, **settings):
        if args[4] == 6:
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(supernet_training, "train_path", killed)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "parts")
    monkeypatch.setattr(supernet_training, "train_path", real)
    parts = search(tmp_path / "parts")
    assert parts.architecture == whole.architecture
    assert parts.accuracy == whole.accuracy
    ends = [(tmp_path / name / CHECKPOINT).read_bytes() for name in ("whole", "parts")]
    assert ends[0] == ends[1]


def test_a_latency_budget_is_kept_by_the_prediction(tmp_path: Path) -> None:
    space, few = cnn_space(), Plan(tolerance=0.05, min_runs=10, max_runs=20)
    hwnas.register_space("cnn", space)
    runtime = SyntheticRuntime(spell=1.0)
    path, _ = whole_table(space, runtime, plan=few, out=tmp_path / "t.json")
    result = found(tmp_path / "run", ["latency<=0.11ms"], predictor=path)
    assert result.predicted_ms <= 0.11
    assert result.measured_ms is None  # the table is of another machine
    assert runtime.true_ms(result.onnx) < 0.12
    interval = result.predicted_interval_ms
    assert interval is not None
    assert interval[0] < result.predicted_ms < interval[1]
    predictor = hwnas.load_predictor(path, space)
    assert predictor.predict_interval(result.arch, 0.9)[0, 1] <= 0.11  # the margin


@pytest.mark.parametrize("method", ["betanas", "amended-darts", "tnas-g"])
def test_methods_that_need_operators_refuse_it(tmp_path: Path, method: str) -> None:
    with pytest.raises(OptionError, match="--method spos"):
        hwnas.find_network(cnn_space(), "digits", ["macs<=50k"], method=method, out=tmp_path)


def test_data_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="proxy_input_size 16"):
        found(tmp_path, ["macs<=50k"], proxy_input_size=16)


def test_a_persons_own_evaluate_replaces_the_training(tmp_path: Path) -> None:
    handed = []

    def evaluate(model: nn.Module) -> float:
        handed.append(model)
        return sum(p.numel() for p in model.parameters()) / 1e5

    space = cnn_space(evaluate=evaluate)
    settings = {"population": 6, "generations": 3}
    budgets = ["params<=8k"]
    result = hwnas.find_network(space, None, budgets, out=tmp_path, **settings)
    every = np.array(np.meshgrid(*map(np.arange, space.n_choices))).reshape(4, -1).T
    params = space.params(every)
    assert result.accuracy == pytest.approx(params[params <= 8_000].max() / 1e5)
    assert result.content["weights"].startswith("drawn at random")
    asked = len(handed)
    hwnas.find_network(space, None, budgets, out=tmp_path, **settings)
    assert len(handed) == asked  # finished: only read


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        (lambda model: 1 / 0, "evaluate of cnn failed for w1=.*ZeroDivisionError"),
        (lambda model: "good", "evaluate of cnn failed for .*ValueError"),
        (lambda model: float("nan"), "gives an accuracy from 0 to 1, got nan for w1="),
        (lambda model: 87.5, "gives an accuracy from 0 to 1, got 87.5"),
    ],
)
def test_what_is_no_accuracy_is_refused(tmp_path: Path, evaluate, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        hwnas.find_network(cnn_space(evaluate=evaluate), None, ["params<=8k"], out=tmp_path)


def test_each_network_may_be_trained_for_itself() -> None:
    data = hwnas.load_data("digits", input_size=8)
    space = cnn_space(evaluate=hwnas.brief_training(data, steps=40))
    arch = space.parse("12-24-3-3")
    first, again = (space.modules.evaluate(space.drawn(arch, seed=0)) for _ in range(2))
    assert first == again > 0.5
