"""Operators of ONNX as torch functions, against ONNX Runtime."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from hwnas.errors import ModelRejectedError
from hwnas.profilers.onnx_torch import OnnxFunction, as_module
from hwnas.testing.ops import assert_close, run_onnx

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def longs(*values):
    return np.array(values, np.int64)


MAP, ROWS = (2, 6, 9, 8), (2, 5, 6)
#: Operator, sizes of its input, its other inputs, its attributes.
CASES = [
    ("Conv", MAP, [floats(4, 6, 3, 3), floats(4)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ("Conv", MAP, [floats(6, 1, 3, 3)], {"group": 6, "pads": [2] * 4, "dilations": [2, 2]}),
    ("Conv", ROWS, [floats(4, 5, 3)], {"pads": [1, 1]}),
    ("ConvTranspose", MAP, [floats(6, 4, 2, 2)], {"strides": [2, 2]}),
    ("MaxPool", MAP, [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    ("MaxPool", MAP, [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", MAP, [], {"kernel_shape": [3, 3], "pads": [1] * 4}),
    ("AveragePool", MAP, [], {"kernel_shape": [2, 2], "pads": [1] * 4, "count_include_pad": 1}),
    ("GlobalAveragePool", MAP, [], {}),
    ("GlobalMaxPool", MAP, [], {}),
    ("BatchNormalization", MAP, [floats(6), floats(6), floats(6), floats(6) ** 2], {}),
    ("LayerNormalization", ROWS, [floats(6), floats(6)], {"epsilon": 0.1}),
    ("Gemm", (3, 6), [floats(4, 6), floats(4)], {"transB": 1}),
    ("Gemm", (6, 3), [floats(6, 4), floats(4)], {"transA": 1, "alpha": 0.5, "beta": 2.0}),
    ("MatMul", ROWS, [floats(6, 4)], {}),
    ("Flatten", MAP, [], {"axis": 2}),
    ("Flatten", (3, 6), [], {"axis": 2}),
    ("Gather", ROWS, [longs(4, 0)], {"axis": 1}),
    ("Gather", ROWS, [longs(1, 3)], {"axis": -1}),
    ("Gather", ROWS, [np.array(1, np.int64)], {"axis": 0}),
    ("Slice", MAP, [longs(1), longs(2**62), longs(-1), longs(3)], {}),
    ("Slice", MAP, [longs(0, 2), longs(-1, 8), longs(1, 2)], {}),
    ("Split", MAP, [longs(2, 4)], {"axis": 1}),
    ("Reshape", MAP, [longs(0, -1, 4)], {}),
    ("Transpose", ROWS, [], {"perm": [2, 0, 1]}),
    ("Unsqueeze", ROWS, [longs(0, 2)], {}),
    ("Squeeze", (1, 5, 1, 2), [longs(0, 2)], {}),
    ("Expand", (2, 1, 6), [longs(3, 2, 4, 6)], {}),
    ("Pad", MAP, [longs(0, 1, 0, 2, 0, 0, 3, 1), np.array(0.5, np.float32)], {}),
    ("ReduceMean", MAP, [], {"axes": [2, 3], "keepdims": 0}),
    ("ReduceMax", ROWS, [], {"axes": [1]}),
    ("ReduceSum", ROWS, [longs(2)], {}),
    ("Clip", ROWS, [np.array(-0.5, np.float32), np.array(0.25, np.float32)], {}),
    ("PRelu", MAP, [floats(6, 1, 1)], {}),
    ("LeakyRelu", ROWS, [], {"alpha": 0.3}),
    ("Elu", ROWS, [], {"alpha": 0.3}),
    ("HardSigmoid", ROWS, [], {"alpha": 0.3, "beta": 0.4}),
    ("HardSwish", ROWS, [], {}),
    ("Softmax", ROWS, [], {"axis": 1}),
    ("Max", ROWS, [floats(6)], {}),
    ("Cast", ROWS, [], {"to": TensorProto.INT64}),
    ("Resize", MAP, [floats(0), np.array([1, 1, 2, 2], np.float32)],
     {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    ("Resize", MAP, [floats(0), floats(0), longs(2, 6, 18, 12)], {"mode": "linear"}),
]  # fmt: skip


def model_of(operator, shape, others, attributes):
    names = [f"c{at}" for at in range(len(others))]
    outputs = ["y", "z"] if operator == "Split" else ["y"]
    node = helper.make_node(operator, ["x", *names], outputs, **attributes)
    graph = helper.make_graph(
        [node],
        operator,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(v, n) for n, v in zip(names, others, strict=True)],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}{list(case[1])}")
def test_computes_what_onnx_runtime_computes(case):
    model = model_of(*case)
    function = OnnxFunction(model, "cpu")
    inputs = function.examples()
    expected = run_onnx(model, inputs[0].numpy())
    got = function(*inputs)
    assert got.shape == expected.shape
    assert_close(got.numpy(), expected, case[0])
    assert torch.equal(as_module(function)(inputs), got)  # written out, it computes the same


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (("LSTM", (2, 5, 6), [floats(1, 16, 6), floats(1, 16, 4)], {}), "no operator LSTM; they"),
        (("Slice", MAP, [longs(5), longs(0), longs(1), longs(-1)], {}), "no Slice that goes back"),
        (("MaxPool", MAP, [], {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}), "no auto_pad S"),
        (("Transpose", ROWS, [], {}), "no Transpose that does not say how"),
        (("Cast", ROWS, [], {"to": TensorProto.STRING}), "no Cast to STRING"),
    ],
)
def test_what_torch_is_not_given_is_named(case, says):
    with pytest.raises(ModelRejectedError, match=says):
        OnnxFunction(model_of(*case), "cpu")


def test_sizes_that_are_computed_in_a_run_are_refused():
    model = onnx.load_from_string(model_of("Reshape", MAP, [longs(0, -1)], {}))
    del model.graph.initializer[:]
    model.graph.input.append(helper.make_tensor_value_info("c0", TensorProto.INT64, [2]))
    with pytest.raises(ModelRejectedError, match="need the sizes of a Reshape before"):
        OnnxFunction(model.SerializeToString(), "cpu")
