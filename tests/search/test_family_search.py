"""A family of own modules is searched, gone on with, retrained and verified like any other space."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from families import cnn_space, vit_space

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


@pytest.mark.parametrize("method", ["betanas", "amended-darts", "tnas-g"])
def test_methods_that_need_operators_refuse_it(tmp_path: Path, method: str) -> None:
    with pytest.raises(OptionError, match="--method spos"):
        hwnas.find_network(cnn_space(), "digits", ["macs<=50k"], method=method, out=tmp_path)


def test_data_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="proxy_input_size 16"):
        found(tmp_path, ["macs<=50k"], proxy_input_size=16)
