"""A table's networks beside its predictions, on a device whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from hwnas.errors import TableTargetError
from hwnas.latency_tables import Estimate
from hwnas.predictors import load_predictor
from hwnas.predictors.comparison import compare, leave_out
from hwnas.predictors.plots import plot_measured_over_predicted


def test_left_out_networks_are_predicted_without_themselves(small_table):
    """A network that is measured twice too slow moves all predictions but its own."""
    plain = leave_out(small_table)
    first = next(iter(small_table.networks))
    slow = small_table.networks[first].scaled(2.0)
    changed = leave_out(replace(small_table, networks={**small_table.networks, first: slow}))
    assert changed.predicted_ms[0] == plain.predicted_ms[0]
    assert (changed.predicted_ms[1:] > plain.predicted_ms[1:] * 1.02).all()
    assert changed.measured_ms[0] == 2 * plain.measured_ms[0]


@pytest.mark.parametrize("estimated", [False, True])
def test_each_is_predicted_as_by_the_table_without_it(small_table, small_space, estimated):
    """Bit for bit."""
    table = small_table
    if estimated:
        key, entry = list(table.workloads.items())[5]
        others = {k: m for k, m in table.workloads.items() if k != key}
        estimates = {key: Estimate(entry.latency_ms, 0.2)}
        table = replace(table, workloads=others, estimates=estimates)
    found = leave_out(table, 0.8)
    for at, name in enumerate(table.networks):
        kept = {key: entry for key, entry in table.networks.items() if key != name}
        predictor = load_predictor(replace(table, networks=kept), small_space)
        arch = small_space.parse(name)
        assert predictor.predict(arch)[0] == found.predicted_ms[at]
        np.testing.assert_array_equal(
            predictor.predict_interval(arch, 0.8)[0], found.interval_ms[at]
        )


def test_progress_is_told(small_table):
    shares = []
    leave_out(small_table, progress=lambda task, share, remark: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_an_additive_device_is_reported_as_additive(small_table):
    found = leave_out(small_table, 0.9)
    report = found.report()
    assert report.count == len(small_table.networks)
    assert report.mean_error < 0.01  # medians are known to 1 %
    assert report.confidence == 0.9
    assert 0 < report.noise_floor < 0.01
    additivity = found.additivity()
    assert additivity.enough == "table x scale"
    assert additivity.granularities[0].mean_error < 0.01


def test_the_noise_floor_of_two_passes_is_their_difference(small_table, small_space):
    predictor = load_predictor(small_table, small_space)
    archs = small_space.sample(20, seed=4)
    ms = predictor.predict(archs)
    found = compare(predictor, archs, [ms * 0.99, ms * 1.01])
    assert found.report().mean_error == pytest.approx(0, abs=1e-12)
    assert found.noise_floor == pytest.approx(1 - 0.99 / 1.01)
    assert found.report().coverage == 1


def test_too_few_networks(small_table):
    few = dict(list(small_table.networks.items())[:3])
    with pytest.raises(TableTargetError, match="4 whole networks in the table, got 3"):
        leave_out(replace(small_table, networks=few))


def test_the_plot_is_a_picture(small_table, small_space, tmp_path):
    predictor = load_predictor(small_table, small_space)
    archs = small_space.sample(20, seed=4)
    ms = predictor.predict(archs)
    noisy = [ms * np.exp(np.random.default_rng(s).normal(0, 0.02, 20)) for s in (0, 1)]
    path = tmp_path / "new" / "p.png"
    found = {"own": leave_out(small_table), "measured": compare(predictor, archs, noisy)}
    plot_measured_over_predicted(path, found, title="a title")
    assert path.read_bytes().startswith(b"\x89PNG")
