"""Any model on another machine: whole numbers as inputs, outputs of unknown size."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwnas


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


def test_it_is_measured_over_there(near, lookup, monkeypatch):
    monkeypatch.setattr("hwnas.devices.any_model.measuring._LOADS", 2)
    monkeypatch.setattr("hwnas.devices.any_model.measuring._LEAST_RUNS", 6)
    monkeypatch.setattr("hwnas.devices.any_model.measuring._FEWEST_RUNS", 6)
    monkeypatch.setattr("hwnas.devices.any_model.measuring._MOST_RUNS", 6)
    found = hwnas.measure(lookup, runtime=near, seconds=0, shapes={"ids": (1, 9)})
    assert found.latency.runs == 6
    assert 0 < found.median_ms <= found.p90_ms <= found.p99_ms
    assert found.inputs == {"ids": (1, 9)}
    assert found.probe is None  # nobody over there tells
    assert found.target == near.target("fp32", 1)
