"""Any model on another machine: whole numbers as inputs, outputs of unknown size."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwnas
from hwnas.profilers import Plan
from hwnas.profilers.remote.bundle import make_bundle


@pytest.fixture
def lookup(tmp_path):
    """Rows of a table, and which of their numbers are not zero."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["y"]),
        helper.make_node("NonZero", ["y"], ["found"]),
    ]
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [onnx.ValueInfoProto(name=name) for name in ("y", "found")],
        [
            helper.make_tensor(name, TensorProto.FLOAT, (50, 50), rng.standard_normal(2500))
            for name in ("table", "weights")  # as lists of floats, not as bytes
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    path = tmp_path / "lookup.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture
def few_runs(monkeypatch):
    for name, number in (("LOADS", 2), ("LEAST_RUNS", 6), ("FEWEST_RUNS", 6), ("MOST_RUNS", 6)):
        monkeypatch.setattr(f"hwnas.devices.any_model.measuring._{name}", number)


def test_it_is_measured_over_there(near, lookup, few_runs):
    found = hwnas.measure(lookup, runtime=near, seconds=0, shapes={"ids": (1, 9)})
    assert found.latency.runs == 6
    assert 0 < found.median_ms <= found.p90_ms <= found.p99_ms
    assert found.inputs == {"ids": (1, 9)}
    assert found.probe is None  # nobody over there tells
    assert found.target == near.target("fp32", 1)


def test_it_is_quantised_here_and_measured_in_both_precisions_over_there(
    near, lookup, few_runs, tmp_path
):
    both = {"precision": ("fp32", "int8"), "save": tmp_path / "kept"}
    found = hwnas.measure(lookup, runtime=near, seconds=0, shapes={"ids": (1, 9)}, **both)
    assert not found.refused
    fp32, int8 = found.measured
    assert (fp32.target, int8.target) == (near.target("fp32", 1), near.target("int8", 1))
    assert fp32.latency.runs == int8.latency.runs == 6
    assert fp32.reference == int8.reference  # in the same rounds
    assert [(pair.one, pair.other) for pair in found.comparisons] == [(fp32.label, int8.label)]
    assert any("random numbers: accuracy of int8 means nothing" in said for said in found.remarks)
    kept = onnx.load(tmp_path / "kept" / "lookup-int8.onnx")
    plan = make_bundle({"int8": kept.SerializeToString}, kept.SerializeToString, Plan()).plan
    assert {kind for kind, _, _ in plan["weights"]} == {"int8"}  # what is sent stays in bytes
