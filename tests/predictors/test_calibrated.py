from dataclasses import replace

import numpy as np
import pytest

from hwnas import spaces
from hwnas.latency_tables import LatencyTable
from hwnas.ops import MBConv, parse_workload
from hwnas.predictors import AdditivePredictor
from hwnas.predictors.calibrated import Calibration, calibrate, workload_groups


@pytest.fixture(scope="module")
def space():
    return spaces.space("proxyless")


@pytest.fixture(scope="module")
def measured():
    return LatencyTable.load("amd-epyc-1thread")


def device(table, space, bias, noise, count, seed):
    """A table whose wholes are written: each part alone times ``bias(op)``, and a little noise."""
    rng = np.random.default_rng(seed)
    call_ms = table.call.latency_ms
    inside = {
        key: (m.latency_ms - call_ms) * bias(parse_workload(key).op)
        for key, m in table.workloads.items()
    }

    def whole(arch):
        return call_ms + sum(inside[w.key] for w in space.workloads(arch) if not w.op.no_op)

    networks = {
        space.format(arch): replace(
            table.call, latency_ms=whole(arch) * np.exp(rng.normal(0, noise))
        )
        for arch in space.sample(count, seed=seed)
    }
    held = space.sample(100, seed=seed + 10_000)
    return replace(table, networks=networks), held, np.array([whole(arch) for arch in held])


def by_kernel(op):
    return {3: 1.0, 5: 0.9, 7: 0.8}[op.kernel] if isinstance(op, MBConv) else 1.0


def errors(table, space, bias, count, noise=0.007, seeds=6):
    """Mean error of the calibrated table, and of one scale alone."""
    calibrated, single = [], []
    for seed in range(seeds):
        known, held, truth = device(table, space, bias, noise, count, seed)
        ms = AdditivePredictor(known, space).predict(held)
        calibrated.append(np.mean(np.abs(ms / truth - 1)))
        sums = np.array([_sum(known, space, arch) for arch in held])
        wholes = [entry.latency_ms for entry in known.networks.values()]
        tried = [_sum(known, space, space.parse(name)) for name in known.networks]
        scale = np.mean(np.array(wholes) / tried)
        single.append(np.mean(np.abs(scale * sums / truth - 1)))
    return float(np.mean(calibrated)), float(np.mean(single))


def _sum(table, space, arch):
    call_ms = table.call.latency_ms
    parts = (w for w in space.workloads(arch) if not w.op.no_op)
    return call_ms + sum(table.latency_ms(w) - call_ms for w in parts)


def test_more_networks_make_smaller_errors_where_one_scale_stays_wrong(measured, space):
    results = {count: errors(measured, space, by_kernel, count) for count in (10, 20, 50)}
    ours = [results[count][0] for count in (10, 20, 50)]
    assert ours[0] > ours[1] > ours[2]
    assert all(mine < single for mine, single in results.values())
    assert ours[2] < results[50][1] / 3


def test_ten_networks_are_never_clearly_worse_than_one_scale(measured, space):
    mine, single = errors(measured, space, lambda op: 0.97, 10, seeds=12)
    assert mine < single + 0.002
    mine, single = errors(measured, space, by_kernel, 10, noise=0.05)
    assert mine < 1.15 * single


def test_factors_of_a_device_without_noise_are_found(measured, space):
    known, held, truth = device(measured, space, by_kernel, 0.0, 40, 0)
    predictor = AdditivePredictor(known, space)
    assert predictor.predict(held) == pytest.approx(truth, rel=0.01)
    factors = {
        kernel: predictor.calibration.factor((f"MBConv kernel={kernel}",)) for kernel in (3, 5, 7)
    }
    assert factors[7] / factors[3] == pytest.approx(0.8, abs=0.05)
    assert predictor.calibration.residual < 0.02


def test_the_error_left_out_is_the_error_of_a_fit_without_the_network():
    rng = np.random.default_rng(0)
    rows = rng.uniform(1, 5, (12, 2))
    wholes = rows @ [1.0, 0.7] * np.exp(rng.normal(0, 0.001, 12))
    parts = [{"a": row[0], "b": row[1]} for row in rows]
    known = calibrate(parts, rows.sum(axis=1), wholes)
    assert known.deltas
    found = []
    for at in range(12):
        kept = [i for i in range(12) if i != at]
        without = calibrate([parts[i] for i in kept], rows[kept].sum(axis=1), wholes[kept])
        ms = rows[at][0] * without.factor(["a"]) + rows[at][1] * without.factor(["b"])
        found.append(np.log(ms / wholes[at]))
    assert known.residual == pytest.approx(np.sqrt(np.mean(np.square(found))), rel=0.3)


def test_one_scale_is_kept_where_it_says_it_all():
    rng = np.random.default_rng(0)
    rows = rng.uniform(1, 5, (10, 3))
    wholes = 0.9 * rows.sum(axis=1)
    parts = [dict(zip("abc", row, strict=True)) for row in rows]
    known = calibrate(parts, rows.sum(axis=1), wholes)
    assert known.deltas == {}
    assert known.scale == pytest.approx(0.9)
    assert known.residual == pytest.approx(0, abs=1e-9)


def test_factors_stay_positive():
    assert Calibration(1.0, {"a": -2.0}, 0.1, 5).factor(["a"]) > 0


def test_workloads_share_what_they_have_in_common():
    key = "MBConv(kernel=5,expand=3) in=24 out=40 stride=2 size=56x56"
    assert set(workload_groups(parse_workload(key))) == {
        "MBConv", "MBConv kernel=5", "MBConv expand=3", "MBConv size=56", "MBConv stride=2",
    }  # fmt: skip
