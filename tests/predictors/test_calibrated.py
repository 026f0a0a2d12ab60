import time
from dataclasses import replace

import numpy as np
import pytest

from hwnas import spaces
from hwnas.latency_tables import LatencyTable
from hwnas.ops import MBConv, parse_workload
from hwnas.predictors import AdditivePredictor, calibrated
from hwnas.predictors.calibrated import (
    _MARGIN,
    _NOISES,
    _WIDTHS,
    Calibration,
    calibrate,
    calibrate_without_each,
    workload_groups,
)


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


def wholes_of(n, groups, seed):
    """Networks of some of the groups, whose factors differ more or less or not at all."""
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0.1, 2, (n, groups)) * (rng.random((n, groups)) < 0.7)
    rows[:, 0] += 0.5
    factors = 1 + rng.choice([0, 0.03, 0.1]) * rng.standard_normal(groups)
    wholes = (rows @ factors) * np.exp(rng.choice([0.003, 0.02]) * rng.standard_normal(n))
    parts = [{at: float(ms) for at, ms in enumerate(row) if ms} for row in rows]
    return parts, rows, wholes


def likeliest(base, table):
    """Strength by the density itself, from a Cholesky factor for every width and noise."""
    best, strength = -np.inf, np.inf
    for width in (0.0, *_WIDTHS):
        for noise in _NOISES:
            root = np.linalg.cholesky(width**2 * table @ table.T + noise**2 * np.eye(len(base)))
            ones, slope = np.linalg.solve(root, np.column_stack([np.ones(len(base)), base])).T
            rest = ones - slope * (slope @ ones) / (slope @ slope)
            evidence = -0.5 * (rest @ rest) - np.log(np.diag(root)).sum()
            evidence -= 0.5 * np.log(slope @ slope) - (0.0 if width else _MARGIN)
            if evidence > best:
                best, strength = evidence, (noise / width) ** 2 if width else np.inf
    return strength


def test_widths_are_those_of_the_density_itself():
    told = set()
    for seed in range(12):
        _, rows, wholes = wholes_of(6 + 2 * seed, 3 + seed, seed)
        table = rows / wholes[:, None]
        found = calibrated._strength(rows.sum(axis=1) / wholes, table)
        assert found == likeliest(rows.sum(axis=1) / wholes, table)
        told.add(np.isinf(found))
    assert told == {True, False}


def test_without_each_is_a_calibration_of_the_others():
    """Bit for bit, in the groups too: one that only the network left out has is not there."""
    parts, rows, wholes = wholes_of(9, 6, 3)
    parts[4]["rare"] = 0.1
    sums = rows.sum(axis=1)
    for left, found in enumerate(calibrate_without_each(parts, sums, wholes)):
        kept = [at for at in range(9) if at != left]
        assert found == calibrate([parts[at] for at in kept], sums[kept], wholes[kept])


def test_thousands_of_networks_are_calibrated_in_a_moment():
    parts, rows, wholes = wholes_of(3000, 20, 0)
    start = time.process_time()
    known = calibrate(parts, rows.sum(axis=1), wholes)
    assert time.process_time() - start < 2
    assert known.count == 3000


def test_factors_stay_positive():
    assert Calibration(1.0, {"a": -2.0}, 0.1, 5).factor(["a"]) > 0


def test_workloads_share_what_they_have_in_common():
    key = "MBConv(kernel=5,expand=3) in=24 out=40 stride=2 size=56x56"
    assert set(workload_groups(parse_workload(key))) == {
        "MBConv", "MBConv kernel=5", "MBConv expand=3", "MBConv size=56", "MBConv stride=2",
    }  # fmt: skip


def test_of_networks_that_are_far_off_none_draws_the_median():
    """Four of five take 1.1 times their sum, one nine times; each left out, the scale is 1.1."""
    sums = np.array([1.0, 2, 3, 4, 5])
    wholes = 1.1 * sums
    wholes[2] = 9 * sums[2]
    found = calibrated.calibrate_by_median(sums, wholes)
    assert found.scale == pytest.approx(1.1)
    assert found.factor(()) == pytest.approx(1.1)
    assert found.residual == pytest.approx(np.log(9 / 1.1) / 5**0.5)
    assert found.count == 5
