"""Tables transferred to synthetic devices whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import OptionError, WorkloadNotInTableError
from hwnas.latency_tables import LatencyTable, Measurement, default_path, find_table
from hwnas.predictors import load_predictor
from hwnas.predictors.transfer import fit_transfer, transferred


def exact(ms):
    return Measurement(ms, 0.001, ms, ms, 100)


def truth(table, space, archs, factor, block_ms=0.0, call_ms=0.02):
    """Networks on a device where each workload takes factor(w) times as long, and block_ms more."""
    return np.array(
        [
            call_ms
            + sum(
                factor(w) * max(table.latency_ms(w) - table.call.latency_ms, 0) + block_ms
                for w in space.workloads(arch)
                if not w.op.no_op
            )
            for arch in archs
        ]
    )


DEVICES = {
    "twice as fast": (lambda w: 0.5, 0.0),
    "slow at large maps": (lambda w: 1.8 if w.height >= 16 else 0.9, 0.0),
    "slow to start a kernel": (lambda w: 0.7, 0.05),
}


def transfer(table, space, archs, ms):
    """The table of a device from some of its networks, and the record of it."""
    fit = fit_transfer(table, space, archs, ms, 0.02)
    entries, record = transferred(table, fit, exact(0.02))
    networks = {space.format(a): exact(float(m)) for a, m in zip(archs, ms, strict=True)}
    record = replace(record, networks=len(networks))
    return replace(
        table,
        call=exact(0.02),
        workloads=entries,
        networks=networks,
        provenance=replace(table.provenance, transfer=record),
    )


@pytest.mark.parametrize("device", DEVICES)
def test_finds_the_device_from_ten_networks(small_table, small_space, device):
    factor, block_ms = DEVICES[device]
    others = small_space.sample(200, seed=4)
    wanted = truth(small_table, small_space, others, factor, block_ms)
    inside = []
    for seed in range(4):  # an interval is right on average over what was sampled
        noise = np.exp(np.random.default_rng(seed).normal(0, 0.004, 10))
        archs = small_space.sample(10, seed=seed)
        ms = truth(small_table, small_space, archs, factor, block_ms) * noise
        predictor = load_predictor(transfer(small_table, small_space, archs, ms), small_space)
        assert np.abs(predictor.predict(others) / wanted - 1).mean() < 0.015
        low, high = predictor.predict_interval(others, 0.95).T
        inside.append(np.mean((low <= wanted) & (wanted <= high)))
    assert np.mean(inside) >= 0.90  # 0.95 and the luck of four samples


def test_the_interval_is_honest_where_the_devices_differ_in_a_way_the_model_has_not(
    small_table, small_space
):
    rng = np.random.default_rng(0)
    odd = {w.key: float(np.exp(rng.normal(0, 0.4))) for w in small_space.distinct_workloads}
    archs = small_space.sample(12, seed=5)
    ms = truth(small_table, small_space, archs, lambda w: odd[w.key])
    table = transfer(small_table, small_space, archs, ms)
    others = small_space.sample(400, seed=6)
    low, high = load_predictor(table, small_space).predict_interval(others, 0.95).T
    wanted = truth(small_table, small_space, others, lambda w: odd[w.key])
    assert np.mean((low <= wanted) & (wanted <= high)) >= 0.90
    assert table.provenance.transfer.residual > 0.03


def test_noise_pulls_the_fit_to_one_scale(small_table, small_space):
    archs = small_space.sample(10, seed=7)
    rng = np.random.default_rng(1)
    ms = truth(small_table, small_space, archs, lambda w: 1.3) * np.exp(rng.normal(0, 0.03, 10))
    fit = fit_transfer(small_table, small_space, archs, ms, 0.02)
    assert fit.common == pytest.approx(1.3, rel=0.03)
    assert fit.strength >= 0.1
    assert all(weight == pytest.approx(1, abs=0.15) for weight in fit.weights.values())
    assert 0.01 < fit.residual < 0.08


def test_a_transferred_table_is_kept_and_read_but_never_found_as_measured(
    small_table, small_space, tmp_path
):
    archs = small_space.sample(8, seed=8)
    ms = truth(small_table, small_space, archs, lambda w: 2.0)
    table = transfer(small_table, small_space, archs, ms)
    path = default_path(table.target, table.space)
    table.save(path)
    assert LatencyTable.load(path).provenance.transfer == table.provenance.transfer
    assert table.provenance.transfer.networks == 8
    assert find_table(table.target, small_space.distinct_workloads) is None
    small_table.save(path)
    assert find_table(table.target, small_space.distinct_workloads) is not None


def test_bad_requests(small_table, small_space):
    archs = small_space.sample(5, seed=0)
    with pytest.raises(OptionError, match="at least 5 measured networks, got 4"):
        fit_transfer(small_table, small_space, archs[:4], [1.0] * 4, 0.02)
    with pytest.raises(OptionError, match="longer than the runtime call"):
        fit_transfer(small_table, small_space, archs, [0.01] * 5, 0.02)
    part = replace(small_table, workloads=dict(list(small_table.workloads.items())[:3]))
    with pytest.raises(WorkloadNotInTableError):
        fit_transfer(part, small_space, archs, [1.0] * 5, 0.02)
