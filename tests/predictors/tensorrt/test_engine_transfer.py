"""Ten networks of a card at hand correct what was measured on another V100."""

import numpy as np
import pytest

from hwnas.devices import ProfileJob, transfer_to_file
from hwnas.latency_tables import LatencyTable, Measurement, check_table
from hwnas.predictors import Engine, engine_table, engine_times, load_predictor
from hwnas.predictors.transfer import fit_transfer, transferred_estimates
from hwnas.testing import SyntheticRuntime


@pytest.fixture(scope="module")
def engine(small_space):
    return engine_table(small_space, engine_times(Engine("fp32")))


def test_a_table_of_an_engine_measures_nothing(engine, small_space):
    assert engine.workloads == {}
    assert set(engine.estimates) == {w.key for w in small_space.distinct_workloads}
    assert LatencyTable.from_json(engine.to_json()).to_json() == engine.to_json()
    assert "public measurements of another V100" in engine.provenance.system


def test_ten_networks_find_the_scale_and_the_floor_of_another_card(engine, small_space):
    def truth(archs):
        """1.7 times as slow, and 0.03 ms more for each block."""
        return np.array(
            [
                0.02 + sum(1.7 * engine.latency_ms(w) + 0.03 for w in used)
                for arch in archs
                if (used := [w for w in small_space.workloads(arch) if not w.op.no_op])
            ]
        )

    archs = small_space.sample(10, seed=1)
    fit = fit_transfer(engine, small_space, archs, truth(archs), 0.02)
    call = Measurement(0.02, 0.001, 0.02, 0.02, 100)
    known = transferred_estimates(engine, fit, call)
    others = small_space.sample(100, seed=2)
    ms = [
        0.02
        + sum(known[w.key].latency_ms - 0.02 for w in small_space.workloads(a) if not w.op.no_op)
        for a in others
    ]
    assert np.abs(np.array(ms) / truth(others) - 1).max() < 0.05
    assert {entry.spread for entry in known.values()} == {fit.residual}


def test_a_card_is_measured_into_a_table_of_estimates(engine, small_space, tmp_path):
    """The synthetic card is nothing like a V100: it counts nodes and weights."""
    device = SyntheticRuntime(name="card", spell=1.0, noise=0.01, outliers=0.0)
    out = tmp_path / "card.json"
    path, table = transfer_to_file(small_space, device, engine, 10, ProfileJob(out=out))
    assert (path, table.workloads) == (out, {})
    assert table.target == device.target("fp32", 1)
    assert table.provenance.transfer.source == str(engine.target)
    predictor = load_predictor(LatencyTable.load(out))
    assert predictor.estimated == len(small_space.distinct_workloads)
    archs = small_space.sample(40, seed=7)
    true = np.array([device.true_ms(small_space.to_onnx(arch)) for arch in archs])
    raw = load_predictor("v100-tensorrt-fp32", small_space).predict(archs)
    ms, interval = predictor.predict(archs), predictor.predict_interval(archs, 0.95)
    assert np.abs(ms / true - 1).mean() < 0.5 * np.abs(raw / true - 1).mean()
    assert np.abs(ms / true - 1).mean() < 0.15
    assert ((interval[:, 0] < true) & (true < interval[:, 1])).mean() > 0.85
    assert not [f for f in check_table(table) if "not a workload" in f.problem]
