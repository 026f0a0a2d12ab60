"""Multiply-accumulates of models as they were exported, by arithmetic."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas import spaces
from hwnas.kernels import count_model_macs, parse_kernel

TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int8): TensorProto.INT8,
}


def model(op, shape, weights, domain="", nodes=(), dtype=np.float32, outputs=1, **attributes):
    """One operator that reads ``x`` and weights; ``nodes`` stand before it."""
    inputs = ["x", *(f"w{at}" if w is not None else "" for at, w in enumerate(weights))]
    if nodes:
        inputs[0] = nodes[-1].output[0]
    names = [f"y{at}" for at in range(outputs)]
    last = helper.make_node(op, inputs, names, domain=domain, **attributes)
    graph = helper.make_graph(
        [*nodes, last],
        "g",
        [helper.make_tensor_value_info("x", TYPES[np.dtype(dtype)], shape)],
        [helper.make_empty_tensor_value_info(names[0])],
        [numpy_helper.from_array(w, f"w{at}") for at, w in enumerate(weights) if w is not None],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def f(*shape):
    return np.full(shape, 0.5, np.float32)


def q(*shape, dtype=np.uint8):
    return np.full(shape, 3, dtype)


SCALE, ZERO = np.float32(0.1), np.uint8(0)
LSTM = (f(2, 4 * 6, 5), f(2, 4 * 6, 6))
GRU = (f(1, 3 * 6, 5), f(1, 3 * 6, 6))
MODELS = {
    # 12 channels fill no vector of 8 or 16
    "conv": (model("Conv", (2, 3, 9, 9), [f(12, 3, 3, 3)]), 2 * 12 * 7 * 7 * 27),
    "grouped": (model("Conv", (1, 6, 5, 5), [f(12, 2, 1, 1)], group=3), 12 * 25 * 2),
    "one axis": (model("Conv", (1, 8, 40), [f(4, 8, 3)], dilations=[4]), 4 * 32 * 24),
    # every input pixel goes to 2 x 2 outputs, for each of one output channel
    "transposed": (
        model("ConvTranspose", (1, 3, 2, 2), [f(3, 1, 2, 2)], strides=[2, 2]),
        3 * 2 * 2 * 4,
    ),
    "gemm": (model("Gemm", (4, 10), [f(7, 10), f(7)], transB=1), 4 * 7 * 10),
    "transposed gemm": (model("Gemm", (10, 4), [f(10, 7)], transA=1), 4 * 7 * 10),
    "matmul": (model("MatMul", (2, 4, 10), [f(10, 7)]), 2 * 4 * 7 * 10),
    "lstm": (
        model("LSTM", (9, 1, 5), LSTM, hidden_size=6, direction="bidirectional"),
        9 * 2 * (4 * 6 * 5 + 4 * 6 * 6),
    ),
    "gru": (model("GRU", (9, 2, 5), GRU, hidden_size=6), 9 * 2 * (18 * 5 + 18 * 6)),
    "integer conv": (
        model("ConvInteger", (1, 3, 9, 9), [q(12, 3, 3, 3)], dtype=np.uint8),
        12 * 7 * 7 * 27,
    ),
    "integer matmul": (
        model("MatMulInteger", (4, 10), [q(10, 7, dtype=np.int8)], dtype=np.uint8),
        4 * 7 * 10,
    ),
    "qlinear conv": (
        model(
            "QLinearConv",
            (1, 3, 9, 9),
            [SCALE, ZERO, q(12, 3, 3, 3), SCALE, ZERO, SCALE, ZERO],
            dtype=np.uint8,
        ),
        12 * 7 * 7 * 27,
    ),
    # queries, keys and values of width 8 from 8 features, and both products of 6 x 6 x 8
    "attention": (
        model(
            "Attention", (1, 6, 8), [f(8, 24), f(24)], "com.microsoft", num_heads=2
        ),
        6 * 8 * 24 + 2 * 6 * 6 * 8,
    ),
    "einsum": (
        model("Einsum", (2, 4, 10), [f(2, 7, 10)], equation="bij,bkj->bik"),
        2 * 4 * 7 * 10,
    ),
    "nothing": (model("Relu", (1, 6, 8), []), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_multiplies(name):
    data, macs = MODELS[name]
    assert count_model_macs(data) == macs


def test_quantised_and_plain_networks_have_the_macs_of_their_space():
    space = spaces.space(
        "proxyless", input_size=64, stage_widths=(12, 20), stage_depths=(1, 1), stage_strides=(2, 2)
    )
    arch = space.sample(1, seed=0)[0]
    for precision in ("fp32", "int8"):
        data = space.to_onnx(arch, precision=precision)
        assert count_model_macs(data) == space.macs(arch)[0], precision


def test_kernels_of_unknown_shapes_or_ranks_multiply_nothing():
    for key in ("MatMul{}(?,w3x4)->(?)", "LSTM{}(3x4)->(3x4)", "Conv{}(1x2)->(1x2)"):
        assert parse_kernel(key).macs == 0
