"""ONNX models written from graphs, against torch and ONNX Runtime."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hwnas.spaces
from hwnas.errors import OptionError
from hwnas.onnx_graph import random_weights, to_onnx
from hwnas.onnx_graph.kinds import KINDS
from hwnas.ops import Graph, Identity, MBConv, Workload
from hwnas.ops.graph import Kind
from hwnas.ops.module import GraphModule, node_ranges
from hwnas.spaces import SearchSpace
from hwnas.testing.ops import assert_close, randomise, run_onnx

PROXYLESS = hwnas.spaces.space("proxyless", input_size=36, classes=7, width_mult=0.25)
CELLS = hwnas.spaces.space("nasbench201", input_size=12, classes=7, channels=4, cells=1)
NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"  # zeros on every edge
SPACES = pytest.mark.parametrize("space", [PROXYLESS, CELLS], ids=lambda space: space.name)


def weighted(graph: Graph, seed: int = 0) -> tuple[GraphModule, dict[str, np.ndarray]]:
    """A module with weights that nothing hides (no 0, no 1), and these weights."""
    module = GraphModule(graph).eval()
    randomise(module, seed)
    return module, {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def images(graph: Graph, batch: int) -> np.ndarray:
    shape = (batch, *graph.input_shape)
    return np.random.default_rng(batch).normal(size=shape).astype(np.float32)


def kinds(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def test_every_kind_of_node_is_written() -> None:
    assert {"input", *KINDS} == set(Kind.__args__)


@SPACES
@pytest.mark.parametrize("batch", [1, 2])
def test_network_computes_what_torch_computes(space: SearchSpace, batch: int) -> None:
    for arch in space.sample(3, seed=batch):
        module, weights = weighted(space.graph(arch), seed=batch)
        x = images(space.graph(arch), batch)
        with torch.no_grad():
            expected = module(torch.from_numpy(x)).numpy()
        model = space.to_onnx(arch, weights, batch=batch)
        assert_close(run_onnx(model, x), expected, space.format(arch))
        assert np.ptp(expected) > 0.01  # not constant, so that equal means something


@SPACES
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_model_is_valid_onnx(space: SearchSpace, precision: str) -> None:
    data = space.to_onnx(space.sample(1, seed=0)[0], batch=3, precision=precision)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert sizes == {"input": [3, *space.input_shape], "output": [3, 7]}


@SPACES
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_everything_in_the_model_is_used(space: SearchSpace, precision: str) -> None:
    for arch in space.sample(5, seed=1):
        graph = onnx.load_from_string(space.to_onnx(arch, precision=precision)).graph
        made = [name for node in graph.node for name in node.output]
        made += [tensor.name for tensor in graph.initializer]
        used = {name for node in graph.node for name in node.input} | {"output"}
        assert len(set(made)) == len(made)
        assert set(made) == used - {"input"}


@SPACES
def test_batch_norms_are_folded_into_convolutions(space: SearchSpace) -> None:
    arch = space.sample(1, seed=3)[0]
    graph = space.graph(arch)
    live = Counter(node.kind for node in graph.pruned().nodes)
    count = kinds(space.to_onnx(arch))
    assert "BatchNormalization" not in count
    assert count["Conv"] == live["conv"]
    # what is left of batch-norms is the one of NAS-Bench-201's classifier, behind a sum
    assert count["Mul"] == (1 if space is CELLS else 0)


def test_dead_branches_are_dropped() -> None:
    # node 1 is computed by a convolution, but nobody reads it: both edges out of it are none
    arch = CELLS.parse(
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    )
    count = kinds(CELLS.to_onnx(arch))
    # a stem, one 1x1 in each of 3 cells, and 3 convolutions in each of 2 reductions
    assert count["Conv"] == 1 + 3 * 1 + 2 * 3
    assert count["AveragePool"] == 3 + 2
    assert count["Add"] == 3 + 2 + 1  # cells, reductions, and the shift of the last batch-norm
    assert count["ConstantOfShape"] == 0


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_network_that_ignores_its_input_still_runs(precision: str) -> None:
    arch = CELLS.parse(NOTHING)
    module, weights = weighted(CELLS.graph(arch))
    x = images(CELLS.graph(arch), 2)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    model = CELLS.to_onnx(arch, weights, batch=2, precision=precision)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    if precision == "fp32":
        assert_close(run_onnx(model, x), expected, "none everywhere")
    else:
        assert np.isfinite(run_onnx(model, x)).all()


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any graph of 4 x 6 x 5 maps, with or without pooling and a classifier behind it."""
    graph = Graph((4, 6, 5))
    steps = st.sampled_from(["conv", "depthwise", "bn", "relu", "relu6", "add", "zero", "pool"])
    for k, step in enumerate(draw(st.lists(steps, max_size=8))):
        node = st.integers(0, len(graph.nodes) - 1)
        x = draw(node)
        with graph.scope(f"step{k}"):
            if step == "conv":
                graph.conv(x, "conv", 4, draw(st.sampled_from([1, 3, 5])))
            elif step == "depthwise":
                graph.conv(x, "conv", 4, 3, groups=4)
            elif step == "bn":
                graph.batch_norm(x, "bn")
            elif step == "relu":
                graph.activation(x, "relu")
            elif step == "relu6":
                graph.activation(x, "relu6")
            elif step == "add":
                graph.add(x, *draw(st.lists(node, min_size=1, max_size=3)))
            elif step == "zero":
                graph.zero(x)
            else:
                graph.avg_pool(x, 3, 1)
    end = draw(st.sampled_from(["map", "pooled", "classified"]))
    if end != "map":
        x = graph.global_avg_pool(len(graph.nodes) - 1)
        if end == "classified":
            graph.linear(x, "classifier", 3)
    return graph


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(1, 2))
def test_any_graph_computes_what_torch_computes(graph: Graph, batch: int) -> None:
    module, weights = weighted(graph)
    x = images(graph, batch)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    model = to_onnx(graph, weights, batch=batch)
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    assert_close(run_onnx(model, x), expected, str([node.kind for node in graph.nodes]))


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_any_graph_can_be_quantised(graph: Graph) -> None:
    model = to_onnx(graph, batch=1, precision="int8")
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    assert np.isfinite(run_onnx(model, images(graph, 1))).all()


def test_identity_is_a_model() -> None:
    graph = Workload(Identity(), 4, 4, 1, 6, 5).graph()
    x = images(graph, 2)
    assert np.array_equal(run_onnx(to_onnx(graph, batch=2), x), x)


@SPACES
def test_int8_network_approximates_fp32(space: SearchSpace) -> None:
    arch = space.sample(1, seed=4)[0]
    graph = space.graph(arch)
    module, weights = weighted(graph)
    x = images(graph, 8)
    ranges = node_ranges(module, graph, torch.from_numpy(x))
    exact = run_onnx(space.to_onnx(arch, weights, batch=8), x)
    rough = run_onnx(space.to_onnx(arch, weights, batch=8, precision="int8", ranges=ranges), x)
    assert np.isfinite(rough).all()
    assert np.corrcoef(exact.ravel(), rough.ravel())[0, 1] > 0.95
    assert not np.array_equal(exact, rough)


@SPACES
def test_onnx_runtime_makes_integer_kernels_of_int8(space: SearchSpace, tmp_path: Path) -> None:
    arch = space.sample(1, seed=5)[0]
    graph = space.graph(arch)
    live = Counter(node.kind for node in graph.pruned().nodes)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3  # a warning that the optimised file is for this machine
    onnxruntime.InferenceSession(
        space.to_onnx(arch, precision="int8"), options, providers=["CPUExecutionProvider"]
    )
    fused = kinds((tmp_path / "optimised.onnx").read_bytes())
    assert fused["QLinearConv"] == live["conv"] > 5
    assert fused["Conv"] == 0
    assert fused["QGemm"] == 1
    assert fused["Gemm"] == 0
    assert fused["QLinearGlobalAveragePool"] == 1
    if space is PROXYLESS:  # a chain has no other float kernels than at its two ends
        assert fused["QLinearAdd"] == live["add"]
        assert fused["QuantizeLinear"] == 1
        assert fused["DequantizeLinear"] <= 1


@SPACES
def test_fp16_is_fp16_throughout_and_approximates_fp32(space: SearchSpace) -> None:
    arch = space.sample(1, seed=4)[0]
    module, weights = weighted(space.graph(arch))
    x = images(space.graph(arch), 2)
    data = space.to_onnx(arch, weights, batch=2, precision="fp16")
    model = onnx.load_from_string(data)
    types = {
        value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)
    }
    assert types == {onnx.TensorProto.FLOAT16}
    kinds_ = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds_ <= {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}
    half = run_onnx(data, x.astype(np.float16))
    assert half.dtype == np.float16
    with torch.no_grad():
        exact = module(torch.from_numpy(x)).numpy()
    # 11 bits of mantissa, and errors that grow over some 60 layers
    assert np.abs(half - exact).max() < 0.05 * np.abs(exact).max()


#: All that the parsers of TensorRT 8.6, 10 and 11 list as supported at opset 17, of what we write
#: (``docs/operators.md`` of onnx-tensorrt); Q and DQ only signed and with zero points of 0.
TENSORRT_OPERATORS = {
    *("Add", "AveragePool", "Clip", "ConstantOfShape", "Conv", "DequantizeLinear", "Flatten"),
    *("Gemm", "GlobalAveragePool", "Identity", "Mul", "QuantizeLinear", "Relu"),
}


@SPACES
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_models_are_what_every_tensorrt_parser_accepts(space: SearchSpace, precision: str) -> None:
    archs = [*space.sample(4, seed=7), *([CELLS.parse(NOTHING)] if space is CELLS else [])]
    for arch in archs:
        data = space.to_onnx(arch, precision=precision, symmetric=True)
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model, full_check=True)
        assert ([e.version for e in model.opset_import], model.ir_version) == ([17], 8)
        assert {node.op_type for node in model.graph.node} <= TENSORRT_OPERATORS
        arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                zero = arrays[node.input[2]]
                assert zero.dtype == np.int8
                assert not zero.any()
                # TensorRT 8 takes weights as floats: no Q or DQ reads integers of ours
                assert node.op_type == "QuantizeLinear" or node.input[0] not in arrays
        for value in model.graph.input:  # no shape is left open
            assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim)


def test_symmetric_int8_approximates_fp32_too() -> None:
    arch = PROXYLESS.sample(1, seed=4)[0]
    graph = PROXYLESS.graph(arch)
    module, weights = weighted(graph)
    x = images(graph, 8)
    ranges = node_ranges(module, graph, torch.from_numpy(x))
    exact = run_onnx(PROXYLESS.to_onnx(arch, weights, batch=8), x)
    rough = run_onnx(
        PROXYLESS.to_onnx(arch, weights, batch=8, precision="int8", symmetric=True, ranges=ranges),
        x,
    )
    assert np.corrcoef(exact.ravel(), rough.ravel())[0, 1] > 0.9


def test_int8_weights_are_symmetric_per_channel() -> None:
    graph = Graph((2, 4, 4))
    graph.conv(0, "conv", 3)
    weight = np.array([[1.0, -0.5], [-20.0, 10.0], [0.0, 0.0]], np.float32).reshape(3, 2, 1, 1)
    model = onnx.load_from_string(to_onnx(graph, {"conv.weight": weight}, precision="int8"))
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    (quantised,) = [array for array in arrays.values() if array.shape == (3, 2, 1, 1)]
    assert quantised.dtype == np.int8
    # the largest of a channel is 127; -0.5 / (1 / 127) = -63.5 goes to the even -64
    assert quantised.reshape(3, 2).tolist() == [[127, -64], [-127, 64], [0, 0]]


def test_equal_seeds_give_equal_bytes() -> None:
    arch = CELLS.sample(1, seed=0)[0]
    model = CELLS.to_onnx(arch, seed=3)
    assert CELLS.to_onnx(arch, seed=3) == model
    assert CELLS.to_onnx(arch, seed=4) != model


def test_metadata_says_what_the_model_is() -> None:
    arch = CELLS.sample(1, seed=0)[0]
    model = onnx.load_from_string(CELLS.to_onnx(arch, metadata={"latency_ms": "6.1"}))
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "space": "nasbench201",
        "architecture": CELLS.format(arch),
        "latency_ms": "6.1",
    }
    assert model.producer_name == "hwnas"


def test_random_weights_fit_the_module() -> None:
    graph = PROXYLESS.graph(PROXYLESS.sample(1, seed=0)[0])
    state = GraphModule(graph).state_dict()
    drawn = random_weights(graph, seed=1)
    assert {name: value.shape for name, value in drawn.items()} == {
        name: tuple(tensor.shape)
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    again, other = random_weights(graph, seed=1), random_weights(graph, seed=2)
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    assert not np.array_equal(drawn["stem.stem.conv.weight"], other["stem.stem.conv.weight"])


@pytest.mark.parametrize("leaf", ["expand.conv.weight", "project.bn.running_var"])
def test_missing_weight_is_an_error(leaf: str) -> None:
    graph = Workload(MBConv(3, 3), 4, 4, 1, 6, 6).graph()
    weights = random_weights(graph)
    del weights[leaf]
    with pytest.raises(OptionError, match=f"no weight named '{leaf}' .* state_dict"):
        to_onnx(graph, weights)


@pytest.mark.parametrize("leaf", ["expand.conv.weight", "project.bn.bias"])
def test_weight_of_another_shape_is_an_error(leaf: str) -> None:
    graph = Workload(MBConv(3, 3), 4, 4, 1, 6, 6).graph()
    weights = random_weights(graph)
    weights[leaf] = weights[leaf][:1]
    with pytest.raises(OptionError, match=rf"'{leaf}' has shape \(1,.*instead of \("):
        to_onnx(graph, weights)


def test_unknown_precision_and_batch_are_errors() -> None:
    graph = Workload(MBConv(3, 3), 4, 4, 1, 6, 6).graph()
    with pytest.raises(OptionError, match="fp32, fp16, int8, got 'int4'"):
        to_onnx(graph, precision="int4")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="a batch is a whole number from 1 to 65536, got 0"):
        to_onnx(graph, batch=0)
