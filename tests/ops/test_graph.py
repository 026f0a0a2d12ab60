"""The list of nodes that costs, torch and ONNX are read from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from hwnas.errors import OptionError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import FactorizedReduction, Graph
from hwnas.ops.graph import Activation
from hwnas.ops.module import GraphModule
from hwnas.testing.ops import run_onnx


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3, 5, 7]), st.integers(1, 3))
def test_convolution_shapes_are_those_of_torch(
    height: int, width: int, kernel: int, stride: int
) -> None:
    graph = Graph((1, height, width))
    graph.conv(0, "conv", 1, kernel, stride)
    y = F.conv2d(
        torch.zeros(1, 1, height, width),
        torch.zeros(1, 1, kernel, kernel),
        None,
        stride,
        kernel // 2,
    )
    assert graph.nodes[-1].shape == (1, y.shape[2], y.shape[3])
    # an odd kernel with half padding loses nothing: ceil(size / stride)
    assert graph.nodes[-1].shape[1:] == (-(-height // stride), -(-width // stride))


def test_even_pooling_drops_the_odd_row() -> None:
    graph = Graph((2, 5, 4))
    assert graph.shape(graph.avg_pool(0, 2, 2)) == (2, 2, 2)


def test_window_larger_than_the_map_is_refused() -> None:
    with pytest.raises(OptionError, match="2x2 window does not fit into 1x4"):
        Graph((2, 1, 4)).avg_pool(0, 2, 2)


@pytest.mark.parametrize("shape", [(0, 4, 4), (3, 0, 4), (3, 4, -1)])
def test_empty_input_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(OptionError, match="at least 1"):
        Graph(shape)


@pytest.mark.parametrize(
    ("out", "kernel", "groups"), [(0, 3, 1), (4, 0, 1), (4, 2, 1), (4, 3, 3), (3, 3, 2)]
)
def test_impossible_convolution_is_refused(out: int, kernel: int, groups: int) -> None:
    with pytest.raises(OptionError, match=r"convolution .conv. needs .*got"):
        Graph((4, 8, 8)).conv(0, "conv", out, kernel, groups=groups)


def test_sum_of_different_shapes_is_refused() -> None:
    graph = Graph((4, 8, 8))
    other = graph.conv(0, "conv", 4, 3, 2)
    with pytest.raises(OptionError, match=r"sum .*\(4, 4, 4\)"):
        graph.add(0, other)


def test_sum_of_one_is_itself() -> None:
    graph = Graph((4, 8, 8))
    assert graph.add(0) == 0
    assert len(graph.nodes) == 1


def test_names_are_dotted_by_scope() -> None:
    graph = Graph((4, 8, 8))
    with graph.scope("blocks.0"):
        graph.conv_bn(0, "expand", 8, activation="relu6")
    graph.linear(graph.global_avg_pool(0), "classifier", 2)
    assert [node.name for node in graph.nodes] == [
        "input",
        "blocks.0.expand.conv",
        "blocks.0.expand.bn",
        "blocks.0.expand.relu6",
        "pool",
        "classifier",
    ]


def test_scope_ends_with_an_error_inside() -> None:
    graph = Graph((4, 8, 8))
    with pytest.raises(OptionError), graph.scope("inner"):
        graph.avg_pool(0, 20, 1)
    graph.activation(0, "relu")
    assert graph.nodes[-1].name == "relu"


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.nodes]


def test_pruning_drops_what_the_output_does_not_need() -> None:
    graph = Graph((4, 8, 8))
    used = graph.conv(0, "used", 4)
    graph.conv(used, "dead", 4)
    graph.activation(used, "relu")
    pruned = graph.pruned()
    assert [node.name for node in pruned.nodes] == ["input", "used", "relu"]
    assert [node.inputs for node in pruned.nodes] == [(), (0,), (1,)]
    assert len(graph.nodes) == 4  # it is a copy


def test_pruning_leaves_zeros_out_of_sums() -> None:
    graph = Graph((4, 8, 8))
    a, b = graph.conv(0, "a", 4), graph.conv(0, "b", 4)
    zero = graph.zero(a)
    graph.add(zero, a, b, zero)
    assert kinds(graph.pruned()) == ["input", "conv", "conv", "add"]
    assert graph.pruned().nodes[-1].inputs == (1, 2)


def test_pruning_drops_sums_of_one_and_what_only_zeros_read() -> None:
    graph = Graph((4, 8, 8))
    a = graph.conv(0, "a", 4)
    zero = graph.zero(graph.conv(0, "behind_zero", 4))
    graph.activation(graph.add(graph.add(a, zero), zero), "relu")
    assert [node.name for node in graph.pruned().nodes] == ["input", "a", "relu"]


def test_pruning_a_sum_at_the_end_ends_with_its_term() -> None:
    graph = Graph((4, 8, 8))
    a = graph.conv(0, "a", 4)
    b = graph.conv(0, "b", 4)
    graph.add(graph.zero(b), a)
    assert [node.name for node in graph.pruned().nodes] == ["input", "a"]


def test_pruning_keeps_one_zero_where_there_is_nothing_else() -> None:
    graph = Graph((4, 8, 8))
    zero = graph.zero(graph.conv(0, "a", 4))
    graph.add(zero, graph.zero(0))
    assert kinds(graph.pruned()) == ["input", "zero"]


def test_pruning_a_pruned_graph_changes_nothing() -> None:
    graph = Graph((4, 8, 8))
    graph.add(graph.conv(0, "a", 4), graph.zero(0), graph.activation(0, "relu"))
    assert graph.pruned().pruned().nodes == graph.pruned().nodes


def test_gate_of_another_shape_is_refused() -> None:
    graph = Graph((4, 8, 8))
    with pytest.raises(OptionError, match=r"gate .* 4 channels, got shape \(4, 8, 8\)"):
        graph.mul(0, 0)
    narrow = graph.linear(graph.global_avg_pool(0), "narrow", 3)
    with pytest.raises(OptionError, match=r"got shape \(3, 1, 1\)"):
        graph.mul(0, narrow)


@pytest.mark.parametrize("groups", [0, 3])
def test_shuffle_of_uneven_groups_is_refused(groups: int) -> None:
    with pytest.raises(OptionError, match=f"got 4 channels and {groups} groups"):
        Graph((4, 8, 8)).channel_shuffle(0, groups)


def test_shuffle_interleaves_the_groups() -> None:
    graph = Graph((6, 1, 1))
    graph.channel_shuffle(0, 2)
    x = np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1)
    for y in (GraphModule(graph)(torch.from_numpy(x)).numpy(), run_onnx(to_onnx(graph), x)):
        assert y.ravel().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("hard_sigmoid", [0, 0, 0.25, 0.5, 1, 1]),
        ("hard_swish", [0, 0, -0.375, 0, 3, 4]),  # x times the line above
    ],
)
def test_hard_activations_by_hand(kind: Activation, expected: list[float]) -> None:
    graph = Graph((6, 1, 1))
    graph.activation(0, kind)
    x = np.array([-4, -3, -1.5, 0, 3, 4], np.float32).reshape(1, 6, 1, 1)
    for y in (GraphModule(graph)(torch.from_numpy(x)).numpy(), run_onnx(to_onnx(graph), x)):
        np.testing.assert_allclose(y.ravel(), expected, atol=1e-6)


@pytest.mark.parametrize("start", [0, 6, 9])
def test_a_crop_leaves_something(start: int) -> None:
    with pytest.raises(OptionError, match=f"of 8x6, got a start of {start}"):
        Graph((4, 8, 6)).crop(0, start)


def test_a_crop_and_a_dilated_convolution_have_the_shapes_that_they_give() -> None:
    graph = Graph((4, 8, 6))
    assert graph.shape(graph.crop(0, 1)) == (4, 7, 5)
    assert graph.shape(graph.conv(0, "same", 4, 3, dilation=2)) == (4, 8, 6)
    assert graph.shape(graph.conv(0, "half", 4, 5, 2, dilation=2)) == (4, 4, 3)


def test_odd_maps_have_no_factorised_reduction() -> None:
    with pytest.raises(OptionError, match="halves a map of even sides, got 8x5"):
        FactorizedReduction().emit(Graph((4, 8, 5)), 0, 8, 2)
