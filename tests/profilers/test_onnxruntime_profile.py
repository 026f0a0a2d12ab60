"""The runtime's own profile: what each node takes, nodes within nodes, and runs that were slow."""

import pytest

from hwnas.onnx_graph import to_onnx
from hwnas.profilers.layers import middle_half
from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu
from hwnas.profilers.onnxruntime_profile import layer_times, self_times


def event(name, start_us, lasts_us, op=None):
    args = {"op_name": op, "node_index": "0"} if op else {}
    return {"cat": "Node" if op else "Session", "name": name, "ts": start_us, "dur": lasts_us} | {
        "args": args
    }


def node(name, start_us, lasts_us, op):
    return event(f"{name}_kernel_time", start_us, lasts_us, op)


def test_a_branch_takes_what_its_nodes_do_not():
    events = [
        node("if", 0, 100, "If"),
        node("loop", 10, 60, "Loop"),
        node("a", 10, 20, "Conv"),
        node("b", 40, 30, "Conv"),
        node("last", 100, 5, "Relu"),
    ]
    own = {e["name"].removesuffix("_kernel_time"): ms for e, ms in self_times(events)}
    assert own == {"if": 100 - 60, "loop": 60 - 20 - 30, "a": 20, "b": 30, "last": 5}
    assert sum(own.values()) == 105  # nothing counts twice


def test_layers_are_means_of_the_middle_runs():
    events = []
    for at, slow in enumerate([9, 1, 1, 2, 2, 3, 1, 7]):  # times as long as a fast run
        start = 10_000 * at
        events += [
            event("model_run", start, 1000 * slow),
            node("conv", start, 600 * slow, "Conv"),
            node("relu", start + 600 * slow, 100 * slow, "Relu"),
        ]
    # without the two fastest and the two slowest: 1, 2, 2 and 3
    conv, relu = layer_times(events)
    assert (conv.name, conv.operator) == ("conv", "Conv")
    assert conv.latency_ms == pytest.approx(0.6 * (1 + 2 + 2 + 3) / 4)
    assert relu.latency_ms == pytest.approx(0.1 * (1 + 2 + 2 + 3) / 4)
    conv, relu = layer_times(events, profiler_ms=0.01)
    assert conv.latency_ms == pytest.approx(0.6 * 2 - 0.01)
    assert relu.latency_ms == pytest.approx(0.1 * 2 - 0.01)
    assert layer_times([]) == []


def test_the_middle_half_leaves_out_a_quarter_at_each_end():
    assert middle_half([5, 1, 9, 3, 4, 8, 2, 7], key=float) == [3, 4, 5, 7]
    assert middle_half([2, 1], key=float) == [1, 2]


def test_a_real_profile_names_what_runs(small_space):
    runtime = OnnxRuntimeCpu(1)
    between = []
    layers = runtime.explain(to_onnx(small_space.graph([0, 0, 0, 0])), lambda: between.append(1))
    assert len(between) >= 4
    assert {"Conv", "Gemm"} <= {layer.operator for layer in layers}
    assert all(layer.latency_ms >= 0 for layer in layers)
    assert max(layers, key=lambda layer: layer.latency_ms).operator == "Conv"
