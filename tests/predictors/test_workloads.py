from dataclasses import replace

import numpy as np
import pytest

from hwnas import spaces
from hwnas.costs import graph_macs
from hwnas.errors import TableFormatError, TableTargetError, WorkloadNotInTableError
from hwnas.latency_tables import Estimate, LatencyTable, check_table
from hwnas.predictors import AdditivePredictor, WorkloadRegressor, fill_gaps, load_predictor
from hwnas.profilers import Plan, extend_table, profile_space
from hwnas.testing import SyntheticRuntime, check_predictor


@pytest.fixture(scope="module")
def space():
    return spaces.space("proxyless")


@pytest.fixture(scope="module")
def measured():
    """68 workloads of a real machine."""
    return LatencyTable.load("amd-epyc-1thread")


def without(table, kept, seed=0):
    """A table that lacks all but some of the bottlenecks."""
    keys = [key for key in table.workloads if key.startswith("MBConv")]
    drawn = np.random.default_rng(seed).permutation(len(keys))[kept:]
    lacking = {keys[at] for at in drawn}
    left = {key: entry for key, entry in table.workloads.items() if key not in lacking}
    return replace(table, workloads=left)


@pytest.fixture(scope="module")
def filled(measured, space):
    return fill_gaps(without(measured, 25), space.distinct_workloads)


def test_workloads_that_were_left_out_are_estimated(measured, filled):
    errors = np.array(
        [
            np.log(estimate.latency_ms / measured.workloads[key].latency_ms)
            for key, estimate in filled.estimates.items()
        ]
    )
    spreads = np.array([estimate.spread for estimate in filled.estimates.values()])
    assert len(errors) == len(measured.workloads) - len(filled.workloads) > 30
    assert np.sqrt(np.mean(errors**2)) < 0.12
    assert np.mean(np.abs(errors) < 2 * spreads) > 0.9


def test_what_was_measured_stays_as_it_was(measured, filled):
    assert filled.workloads == without(measured, 25).workloads
    assert not filled.estimates.keys() & filled.workloads.keys()
    assert filled.missing([]) == []


def test_networks_of_estimates_are_close_and_say_that_they_are_unsure(measured, filled, space):
    archs = space.sample(50, seed=0)
    sure, unsure = AdditivePredictor(measured, space), AdditivePredictor(filled, space)
    assert np.abs(unsure.predict(archs) / sure.predict(archs) - 1).mean() < 0.03
    widths = [np.diff(np.log(p.predict_interval(archs, 0.9)))[:, 0] for p in (sure, unsure)]
    assert (widths[1] > widths[0]).all()
    assert (sure.estimated, unsure.estimated) == (0, len(filled.estimates))
    check_predictor(unsure, space)


def test_another_resolution_is_estimated(measured):
    other = spaces.space("proxyless", input_size=192)
    result = fill_gaps(measured, other.distinct_workloads)
    ms = load_predictor(result, other).predict(other.sample(20, seed=0))
    same = load_predictor(measured, spaces.space("proxyless")).predict(
        spaces.space("proxyless").sample(20, seed=0)
    )
    assert ms / same == pytest.approx(np.full(20, (192 / 224) ** 2), rel=0.12)


def test_the_truth_of_a_synthetic_device_is_found(space, measured):
    """0.3 ms a G MAC and 20 us, whatever the operator."""

    def truth(workload):
        return measured.call.latency_ms + 0.02 + 0.3e-9 * 1e3 * graph_macs(workload.graph()) / 1e3

    entries = {w.key: replace(measured.call, latency_ms=truth(w)) for w in space.distinct_workloads}
    table = replace(measured, workloads=entries)
    other = spaces.space("proxyless", input_size=160)
    ms, spread = WorkloadRegressor(table).predict(other.distinct_workloads)
    wanted = [truth(w) for w in other.distinct_workloads]
    assert ms == pytest.approx(wanted, rel=0.05)
    assert (spread > 0).all()


def test_estimates_round_trip_and_scale(filled, tmp_path):
    filled.save(tmp_path / "t.json")
    again = LatencyTable.load(tmp_path / "t.json")
    assert again.estimates == filled.estimates
    assert again.to_json() == filled.to_json()
    key, estimate = next(iter(filled.estimates.items()))
    slower = again.pooled(replace(again, reference_sessions_ms=(3 * again.reference_ms,)))
    assert slower.estimates[key].latency_ms == pytest.approx(2 * estimate.latency_ms, rel=0.01)


def test_an_entry_is_measured_or_estimated(filled):
    key = next(iter(filled.workloads))
    both = replace(filled, estimates={key: Estimate(1.0, 0.1)})
    with pytest.raises(TableFormatError, match="both measured and estimated"):
        LatencyTable.from_json(both.to_json())


def test_vague_estimates_are_marked(filled):
    key = next(iter(filled.estimates))
    vague = replace(filled, estimates={key: Estimate(1.0, 0.5)})
    (finding,) = [f for f in check_table(vague) if f.entry == key]
    assert "not measured" in finding.problem
    assert finding.problem.startswith("vague estimate: +-50%")


def test_measuring_replaces_estimates(small_space):
    plan = Plan(min_runs=3, max_runs=3)
    some = profile_space(small_space, SyntheticRuntime(), plan=plan, n_workloads=12)
    assert len(some.workloads) == 12
    assert {"Stem", "ConvHead"} <= {key.split("(")[0] for key in some.workloads}
    whole = fill_gaps(some, small_space.distinct_workloads)
    assert len(whole.missing(small_space.distinct_workloads)) == len(whole.estimates) > 0
    measured = extend_table(whole, small_space, small_space, SyntheticRuntime(), plan=plan)
    assert measured.estimates == {}
    assert not measured.missing(small_space.distinct_workloads)


def test_bad_input(measured, space):
    few = replace(measured, workloads=dict(list(measured.workloads.items())[:9]))
    with pytest.raises(TableTargetError, match="needs 10 measured ones in the table, got 9"):
        fill_gaps(few, space.distinct_workloads)
    other = spaces.space("nasbench201")
    with pytest.raises(WorkloadNotInTableError, match="cannot be estimated: the table measured no"):
        fill_gaps(measured, other.distinct_workloads)
    assert fill_gaps(measured, space.distinct_workloads) is measured
