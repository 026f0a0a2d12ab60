"""Whole networks are measured until others are predicted well, and are kept."""

from pathlib import Path

import numpy as np
import pytest
from families import cnn_space, layered_space

import hwnas
from hwnas.devices.whole_networks import whole_table
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable
from hwnas.predictors.whole_networks import WholeNetworkPredictor
from hwnas.profilers import Plan
from hwnas.testing.devices import SyntheticRuntime

QUICK = Plan(tolerance=0.02, min_runs=20, max_runs=60)


@pytest.fixture
def space():
    made = cnn_space()
    hwnas.register_space("cnn", made)
    return made


def test_others_are_predicted_within_the_interval(space, tmp_path: Path) -> None:
    runtime = SyntheticRuntime(spell=1.0)  # which would outlast all that is measured here
    path, table = whole_table(space, runtime, plan=QUICK, out=tmp_path / "cnn.json")
    assert table.workloads == {}
    assert len(table.networks) == 20
    predictor = hwnas.load_predictor(path, space)
    assert isinstance(predictor, WholeNetworkPredictor)
    assert predictor.interval_factor(0.9) <= 1.05
    archs = space.sample(30, seed=5)
    true_ms = np.array([runtime.true_ms(space.to_onnx(arch)) for arch in archs])
    assert np.abs(predictor.predict(archs) / true_ms - 1).mean() < 0.05
    low, high = predictor.predict_interval(archs, 0.9).T
    assert ((low <= true_ms) & (true_ms <= high)).mean() >= 0.8
    assert (low < predictor.predict(archs)).all()


def test_it_goes_on_from_what_was_measured(space, tmp_path: Path) -> None:
    noisy = SyntheticRuntime(noise=0.3)
    few = Plan(tolerance=0.5, min_runs=3, max_runs=4, warm_up=0)
    path, table = whole_table(space, noisy, plan=few, most=24, out=tmp_path / "cnn.json")
    assert len(table.networks) == 24  # never narrow enough
    runs = noisy.runs
    _, again = whole_table(space, noisy, plan=few, most=24, out=path)
    assert again.networks == table.networks
    assert noisy.runs == runs
    _, more = whole_table(space, noisy, plan=few, most=30, out=path)
    assert len(more.networks) == 30
    assert list(more.networks)[:24] == list(table.networks)
    ratios = {more.networks[k].latency_ms / m.latency_ms for k, m in table.networks.items()}
    assert max(ratios) == pytest.approx(min(ratios))  # one factor: the mean scale of both
    assert more.reference_ms == pytest.approx(np.mean(more.reference_sessions_ms))


def test_equal_networks_are_measured_once(tmp_path: Path) -> None:
    space = layered_space()
    few = Plan(tolerance=0.5, min_runs=3, max_runs=4, warm_up=0)
    _, table = whole_table(space, SyntheticRuntime(), plan=few, out=tmp_path / "l.json")
    rows = np.array([space.parse(name) for name in table.networks])
    assert np.array_equal(space.canonical(rows), rows)
    assert len(table.networks) <= 2 + 4 + 8


def test_what_is_too_little_is_refused(space, tmp_path: Path) -> None:
    few = Plan(tolerance=0.5, min_runs=3, max_runs=4, warm_up=0)
    path, table = whole_table(space, SyntheticRuntime(), plan=few, out=tmp_path / "cnn.json")
    other = layered_space()
    with pytest.raises(OptionError, match="networks of layered are measured whole, or predicted"):
        hwnas.load_predictor(LatencyTable.load(path), other)
    one = dict(list(table.networks.items())[:3])
    object.__setattr__(table, "networks", one)
    with pytest.raises(OptionError, match="5 whole networks or more"):
        WholeNetworkPredictor.of_table(table, space)
