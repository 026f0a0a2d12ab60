"""What is no model is told apart: each kind of file says what to do about it."""

import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas.errors import ModelFormatError
from hwnas.kernels import split


def model(ir_version=8, opset=17):
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))
    weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 4), [0.5] * 16)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [info], [helper.make_empty_tensor_value_info("y")])
    graph.initializer.append(weight)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


WHOLE = model().SerializeToString()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer.*lfs pull"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"PK\x03\x04rest", "zip archive.*export the network .*torch.onnx.export"),
        (b"\x80\x02}q\x00.", "a pickle"),
        (b"\x1c\x00\x00\x00TFL3....", "a TensorFlow Lite model.*tf2onnx"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\x1f\x8b\x08", "a compressed file, not an ONNX model: unpack it"),
        (b"\x08\x08no model", "is not an ONNX model with at least one node"),
        (b"\x08", "was cut off"),
        (b"some words", "is not an ONNX model with at least one node"),
    ],
)
def test_each_kind_of_file_is_named(tmp_path, data, says):
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelFormatError, match=says):
        split(path)


def test_a_cut_model_says_how_many_bytes_are_missing():
    """The last field, the operator sets, is not needed to know that the graph is whole."""
    for kept in range(1, len(WHOLE) - 20):
        with pytest.raises(ModelFormatError) as failed:
            split(WHOLE[:kept])
        words = str(failed.value)
        if "was cut off" in words:
            there, least = (
                int(word.replace(",", "")) for word in words.split() if word[0].isdigit()
            )
            assert there == kept < least <= len(WHOLE), words
        else:  # cut where a field ends: nothing tells that there was more
            assert "not an ONNX model with at least one node" in words


def test_versions_that_are_too_new_are_named_with_those_that_are_read():
    with pytest.raises(ModelFormatError, match=r"of IR version 99, and .* up to \d+: install a"):
        split(model(ir_version=99).SerializeToString())
    with pytest.raises(ModelFormatError, match=r"newer operator set of ai.onnx than \d+"):
        split(model(opset=99).SerializeToString())


def test_weights_that_are_listed_as_inputs_too_are_weights():
    """As exporters wrote them before IR version 4."""
    plain, listed = (model(version) for version in (8, 4))
    big = numpy_helper.from_array(numpy_helper.to_array(plain.graph.initializer[0]).repeat(400, 1))
    for each in (plain, listed):
        each.graph.initializer[0].CopyFrom(big)
        each.graph.initializer[0].name = "w"
    listed.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 1600)))
    found = [[piece.kernel for piece in split(m.SerializeToString())] for m in (plain, listed)]
    assert found[0] == found[1]
