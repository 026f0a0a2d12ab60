import logging
from dataclasses import replace

import pytest

from hwnas import spaces
from hwnas.devices import completed
from hwnas.errors import WorkloadNotInTableError
from hwnas.latency_tables import LatencyTable
from hwnas.onnx_graph import to_onnx
from hwnas.predictors import load_predictor
from hwnas.testing import SyntheticRuntime


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "hwnas")
    return lambda: " ".join(record.getMessage() for record in caplog.records)


def head(space):
    (found,) = [w for w in space.distinct_workloads if w.key.startswith("ConvHead")]
    return found


def test_nothing_to_do_is_the_same_table(small_table, small_space, said):
    assert completed(small_table, small_space, measure_here=True) is small_table
    assert said() == ""


def test_the_head_of_other_classes_is_measured_here(synthetic, small_table, five_classes, said):
    assert small_table.missing(five_classes.distinct_workloads) == [head(five_classes)]
    table = completed(small_table, five_classes, measure_here=True)
    assert table.missing(five_classes.distinct_workloads) == []
    assert table.estimates == {}
    truth = SyntheticRuntime().true_ms(to_onnx(head(five_classes).graph()))
    assert table.latency_ms(head(five_classes)) == pytest.approx(truth, rel=0.03)
    kept = {key: table.workloads[key] for key in small_table.workloads}
    assert kept == small_table.workloads
    assert f"the table lacks 1 workload ({head(five_classes).key})" in said()
    assert "measuring it now" in said()
    load_predictor(table, five_classes)


@pytest.fixture(scope="module")
def shipped():
    """Of a machine that nobody has."""
    table = LatencyTable.load("amd-epyc-1thread")
    return replace(table, target=replace(table.target, device_id="elsewhere"))


def test_elsewhere_it_is_estimated_and_widens_the_interval(shipped, said):
    ten = spaces.space("proxyless", classes=10)
    table = completed(shipped, ten, measure_here=True)
    assert table.workloads == shipped.workloads
    assert set(table.estimates) == {head(ten).key}
    assert f"({head(ten).key}) of proxyless: estimated, not measured, and off by" in said()
    arch = ten.sample(1, seed=0)
    whole = load_predictor(shipped)
    low, high = load_predictor(table, ten).predict_interval(arch, 0.95)[0]
    own_low, own_high = whole.predict_interval(arch, 0.95)[0]
    assert high / low > own_high / own_low
    assert completed(table, ten, measure_here=True) is table  # an estimate is enough


def test_here_it_is_estimated_as_well_if_nothing_shall_be_measured(
    synthetic, small_table, five_classes, monkeypatch
):
    monkeypatch.setattr(SyntheticRuntime, "load", None)
    monkeypatch.setattr("hwnas.predictors.workloads._LEAST", 5)
    table = completed(small_table, five_classes, measure_here=False)
    assert set(table.estimates) == {head(five_classes).key}


def test_a_table_of_a_space_that_is_unknown_here_is_estimated(synthetic, shipped):
    ten = spaces.space("proxyless", classes=10)
    target = SyntheticRuntime().target("fp32", 1)
    foreign = replace(shipped, target=target, space=replace(shipped.space, name="somebody's"))
    assert set(completed(foreign, ten, measure_here=True).estimates) == {head(ten).key}


def test_what_the_runtime_refused_is_an_error(synthetic, small_table, small_space):
    key = head(small_space).key
    rest = {name: entry for name, entry in small_table.workloads.items() if name != key}
    table = replace(small_table, workloads=rest, unmeasured={key: "no such layer"})
    with pytest.raises(WorkloadNotInTableError, match=r"could not be measured \(no such layer"):
        completed(table, small_space, measure_here=True)


def test_a_family_that_nobody_measured_is_an_error(shipped, said):
    other = spaces.space("nasbench201", input_size=8)
    with pytest.raises(WorkloadNotInTableError):
        completed(shipped, other, measure_here=False)


def test_many_are_counted(shipped, said):
    small = spaces.space("proxyless", input_size=128, classes=10)
    count = len(shipped.missing(small.distinct_workloads))
    completed(shipped, small, measure_here=False)
    assert f"the table lacks {count} workloads (" in said()
    assert f"and {count - 3} others) of proxyless" in said()
