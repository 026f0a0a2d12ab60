import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas import spaces
from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels import split

ORT = pytest.importorskip("onnxruntime")


def model(nodes, inputs=(("x", (1, 16, 8, 8)),), held=(), opsets=(("", 17),)):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in held],
    )
    opset_imports = [helper.make_opsetid(*pair) for pair in opsets]
    return helper.make_model(graph, opset_imports=opset_imports, ir_version=8)


def relu(**changes):
    return model([helper.make_node("Relu", ["x"], ["y"])], **changes)


def convolution(shape=(1, 16, 8, 8)):
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    held = (("w", np.ones((32, 16, 3, 3))), ("b", np.ones(32)))
    return model(nodes, (("x", shape),), held)


def test_fusions_are_seen():
    kernels = [piece.kernel for piece in split(convolution().SerializeToString())]
    (conv,) = [kernel for kernel in kernels if kernel.macs]
    assert "Relu" not in [kernel.op for kernel in kernels]
    assert conv.attribute("activation", "") == "Relu"
    assert conv.macs == 32 * 8 * 8 * 16 * 9
    assert all(kernel.static for kernel in kernels)


def test_the_macs_of_a_network_survive():
    """As far as channels are multiples of any vector: blocked layouts pad the others."""
    space = spaces.space(
        "proxyless", input_size=64, stage_widths=(16, 32), stage_depths=(1, 1), stage_strides=(2, 2)
    )
    arch = space.sample(1, seed=0)[0]
    kernels = [piece.kernel for piece in split(space.to_onnx(arch))]
    assert sum(kernel.macs for kernel in kernels) == space.macs(arch)[0]


def test_each_piece_runs_alone():
    for piece in split(convolution().SerializeToString()):
        session = ORT.InferenceSession(piece.to_onnx(), providers=["CPUExecutionProvider"])
        shapes = [tuple(value.shape) for value in session.get_inputs()]
        assert shapes == [v.shape for v in piece.kernel.inputs if not v.constant]


def test_a_path_is_read(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(convolution(), path)
    assert [p.kernel for p in split(path)] == [
        p.kernel for p in split(convolution().SerializeToString())
    ]


def test_a_dynamic_shape_is_an_error_that_says_how_to_fix_it():
    data = convolution((None, 16, "h", 8)).SerializeToString()
    with pytest.raises(ModelFormatError, match=r"input 'x' is \?x16x\?x8.*--shape x=1x16x224x8"):
        split(data)
    fixed = split(data, {"x": (2, 16, 8, 8)})
    assert split(data, {"": (2, 16, 8, 8)})[0].kernel == fixed[0].kernel
    assert fixed[-1].kernel.outputs[0].shape == (2, 32, 8, 8)
    with pytest.raises(OptionError, match=r"is \?x16x\?x8, which \[1, 3, 8, 8\] contradicts"):
        split(data, {"x": (1, 3, 8, 8)})
    with pytest.raises(OptionError, match="no input 'image': its inputs are x"):
        split(data, {"image": (1, 3, 8, 8)})
    with pytest.raises(ModelFormatError, match="dynamic shapes"):
        split(data, {"x": (0, 16, 8, 8)})


def external():
    broken = convolution()
    tensor = broken.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    return broken


BAD = {
    "garbage": (b"\x00not an onnx model", "not an ONNX model"),
    "empty": (b"", "not an ONNX model"),
    "external data": (external().SerializeToString(), "keeps weights in other files"),
    "custom operator": (
        model(
            [helper.make_node("Magic", ["x"], ["y"], domain="acme")],
            opsets=(("", 17), ("acme", 1)),
        ).SerializeToString(),
        r"operators of its own \(acme.Magic\)",
    ),
    "unknown operator": (
        model([helper.make_node("Nonsense", ["x"], ["y"])]).SerializeToString(),
        "ONNX Runtime .* cannot load the model: .*Nonsense",
    ),
    "two inputs of other shapes": (
        model(
            [helper.make_node("Add", ["x", "z"], ["y"])], (("x", (1, 3)), ("z", (1, 4)))
        ).SerializeToString(),
        "cannot load the model",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_a_clear_error(name):
    data, says = BAD[name]
    with pytest.raises(ModelFormatError, match=says):
        split(data)


def test_external_data_inside_a_node_is_seen():
    outer = relu()
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    outer.graph.node.add(op_type="Constant", output=["c"]).attribute.append(
        helper.make_attribute("value", tensor)
    )
    with pytest.raises(ModelFormatError, match="keeps weights in other files"):
        split(outer.SerializeToString())


def test_a_path_that_is_not_there_is_named():
    with pytest.raises(ModelFormatError, match=r"no ONNX model at 'nowhere.onnx'"):
        split("nowhere.onnx")
