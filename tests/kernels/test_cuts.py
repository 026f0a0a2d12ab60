"""Long models, optimised in parts: what a cut changes, and what it does not."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas import spaces
from hwnas.kernels import cuts, split
from hwnas.kernels import optimise as optimising
from hwnas.kernels.cuts import crossings, reads


@pytest.fixture
def short(monkeypatch):
    """Models of more than 24 nodes are long, and cut into parts of about 12."""
    monkeypatch.setattr(optimising, "LONG", 24)
    monkeypatch.setattr(cuts, "_PART", 12)


def model(nodes, inputs=(("x", (1, 8, 6, 6)),), held=()):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in held],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def chain(count):
    """Convolution, activation, sum with the input, and so on."""
    nodes, last = [], "x"
    for at in range(count):
        op = ("Conv", "Relu", "Add")[at % 3]
        inputs = {"Conv": [last, "w"], "Add": [last, "x"]}.get(op, [last])
        nodes.append(helper.make_node(op, inputs, [f"t{at}"], name=f"n{at}"))
        last = f"t{at}"
    return model(nodes, held=[("w", np.full((8, 8, 1, 1), 0.1, np.float32))])


def kinds(pieces):
    return Counter(piece.kernel.op for piece in pieces)


def test_what_crosses_is_counted():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    assert crossings(nodes, [reads(node) for node in nodes]) == [0, 1, 2, 1, 0]


def test_names_of_inner_graphs_are_read():
    inner = helper.make_graph([helper.make_node("Relu", ["outer"], ["z"])], "i", [], [])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    assert {"c", "outer"} <= reads(node)


def test_parts_run_the_same_kernels(short, monkeypatch):
    long = chain(120)
    parts = split(long)
    monkeypatch.setattr(optimising, "LONG", 1000)
    whole = split(long)
    assert sum(p.kernel.macs for p in parts) == sum(p.kernel.macs for p in whole)
    assert all(p.kernel.static for p in parts)
    found, wanted = kinds(parts), kinds(whole)
    reorders = {"nchwc.ReorderInput", "nchwc.ReorderOutput"}
    for op in (wanted | found).keys() - reorders:
        assert found[op] == wanted[op], op
    assert sum(found[op] - wanted[op] for op in reorders) <= 2 * (120 // 9)
    assert Counter(p.kernel.key for p in parts if p.kernel.macs) == Counter(
        p.kernel.key for p in whole if p.kernel.macs
    )


def test_a_network_in_parts_keeps_its_macs(short):
    space = spaces.space(
        "proxyless", input_size=64, stage_widths=(16, 32), stage_depths=(3, 3), stage_strides=(2, 2)
    )
    arch = space.sample(1, seed=0)[0]
    assert len(onnx.load_from_string(space.to_onnx(arch)).graph.node) > 24
    pieces = split(space.to_onnx(arch))
    assert sum(piece.kernel.macs for piece in pieces) == space.macs(arch)[0]


def test_shapes_that_are_computed_across_a_cut_are_known(short):
    nodes = [helper.make_node("Shape", ["x"], ["sizes"])]
    nodes += [helper.make_node("Relu", ["x" if at == 0 else f"r{at - 1}"], [f"r{at}"])
              for at in range(60)]  # fmt: skip
    nodes += [
        helper.make_node("ReduceProd", ["sizes"], ["all"], keepdims=1),
        helper.make_node("Reshape", ["r59", "all"], ["flat"]),
        helper.make_node("Sigmoid", ["flat"], ["y"]),
    ]
    pieces = split(model(nodes))
    assert pieces[-1].kernel.outputs[0].shape == (288,)
    assert "ReduceProd" not in kinds(pieces)


def test_what_is_no_tensor_is_not_cut(short):
    nodes = [helper.make_node("SequenceConstruct", ["x", "x"], ["pair"])]
    nodes += [helper.make_node("Relu", ["x" if at == 0 else f"r{at - 1}"], [f"r{at}"])
              for at in range(60)]  # fmt: skip
    nodes += [
        helper.make_node("ConcatFromSequence", ["pair"], ["both"], axis=1),
        helper.make_node("ReduceMean", ["both"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "r59"], ["y"]),
    ]
    assert kinds(split(model(nodes)))["Relu"] > 0


def test_progress_of_a_long_model_is_told(short):
    shares = []
    split(chain(120), progress=lambda task, share, remark: shares.append(share))
    assert len(shares) > 5
    assert (shares[0], shares[-1]) == (0, 1)
    assert shares == sorted(shares)
