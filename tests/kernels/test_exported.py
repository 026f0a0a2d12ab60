"""A network that is run comes from hwnas, or looks so: nothing in it can run without end."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_model import CONDITION, branches, constant, external, function, info, model, node

from hwnas import spaces
from hwnas.errors import ModelFormatError
from hwnas.kernels import check_exported

RELU = function("f", [node("Relu", "x", "y")])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", spaces.names())
def test_what_hwnas_exports_is_accepted(name, precision):
    whole = spaces.space(name, input_size=32)
    width = 1.0 if "channels" in whole.arguments else 0.25  # those of cells are narrow already
    space = spaces.proxy(whole, 32, 10, width)
    archs = space.sample(3, seed=0)
    for arch in (archs[0], np.zeros_like(archs[0])):
        check_exported(space.to_onnx(arch, precision=precision, batch=2), "best.onnx")


def loop():
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    nodes = [node("Identity", "c", "c2"), node("Identity", "v", "v2")]
    inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, []), condition, info("v")]
    outputs = [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), info("v2")]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    return model([CONDITION, helper.make_node("Loop", ["", "c", "x"], ["y"], body=body)])


def huge():
    shape = numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "s")
    return model([node("ConstantOfShape", "s", "z"), node("Add", "x z", "y")], held=[shape])


def slow():
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4096, 4096, 31, 31])
    made = model([node("Conv", "x w", "y", pads=[15] * 4)], held=[weights])
    made.graph.input[0].CopyFrom(info("x", (1, 4096, 128, 128)))
    return made


def dynamic():
    made = model([node("Relu", "x", "y")])
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    return made


def lying():
    """How large ``z`` is, its input says; the model says four numbers."""
    nodes = [
        node("ArgMax", "x", "s", axis=0, keepdims=1),
        node("ReduceMax", "x", "m", keepdims=1),
        node("Expand", "m s", "z"),
        node("ReduceMax", "z", "y", keepdims=0),
    ]
    made = model(nodes)
    made.graph.value_info.append(info("z"))
    return made


WEIGHTS = numpy_helper.from_array(np.ones(4, np.float32), "w")
BAD = {
    "loop": (loop, "operator '(Constant|Loop)'"),
    "branches": (lambda: model([CONDITION, branches([constant(WEIGHTS)])]), "'(Constant|If)'"),
    "a function": (
        lambda: model([node("f", "x", "y", domain="mine")], [RELU]),
        "has functions",
    ),
    "another operator": (lambda: model([node("Einsum", "x", "y", equation="i->i")]), "'Einsum'"),
    "a plugin": (lambda: model([node("Relu", "x", "y", domain="acme")]), "acme"),
    "other files": (
        lambda: model([node("Add", "x w", "y")], held=[external("/etc/hostname")]),
        "other files",
    ),
    "a tensor of a terabyte": (huge, "'z' holds 1,099,511,627,776 numbers"),
    "a run of hours": (slow, "takes 2.* multiply-accumulates"),
    "dynamic sizes": (dynamic, "sizes of 'x' are not known"),
    "sizes that it only claims": (lying, "sizes of 'z' are not known"),
    "contradictions": (lambda: model([node("Conv", "x x", "y")]), "not known"),
    "nothing": (onnx.ModelProto, "not an ONNX model"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_everything_else_is_refused_before_it_is_loaded(name):
    make, says = BAD[name]
    with pytest.raises(ModelFormatError, match=f"best.onnx is no network that hwnas.*{says}"):
        check_exported(make().SerializeToString(), "best.onnx")


def test_garbage_is_refused():
    for data in (b"", b"\x00garbage", b"\x08" * 100):
        with pytest.raises(ModelFormatError, match="not an ONNX model"):
            check_exported(data, "best.onnx")
