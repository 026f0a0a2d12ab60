"""Sizes of inputs: which are asked for, and what is suggested."""

import onnx
import pytest
from onnx import TensorProto, helper

from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels import split
from hwnas.kernels.inputs import fix_shapes


def model(*inputs):
    """A model that reads inputs of (name, sizes, type) and adds what it can."""
    infos = [helper.make_tensor_value_info(name, kind, sizes) for name, sizes, kind in inputs]
    nodes = [helper.make_node("Identity", [name], [f"{name}.y"]) for name, _, _ in inputs]
    outputs = [onnx.ValueInfoProto(name=f"{name}.y") for name, _, _ in inputs]
    graph = helper.make_graph(nodes, "g", infos, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@pytest.mark.parametrize(
    ("sizes", "kind", "suggested"),
    [
        (("batch", "seq"), INT64, "1x128"),
        ((None, None), INT64, "1x128"),
        (("batch", 3, "h", "w"), FLOAT, "1x3x224x224"),
        ((None, 3, 96, 96), FLOAT, "1x3x96x96"),
        (("unk__1", 224, 224, 3), FLOAT, "1x224x224x3"),
        ((None, None, None, 3), FLOAT, "1x224x224x3"),
        ((None, 30), FLOAT, "1x30"),
        (("seq_len", "batch", 80), FLOAT, "128x1x80"),
        ((None, 3, 16, None, None), FLOAT, "1x3x16x112x112"),
        (("n",), FLOAT, "1"),
        (None, FLOAT, "1x3x224x224"),
        ((2, 3, 4, 5, 6, None), FLOAT, "2x3x4x5x6x1"),
    ],
)
def test_what_is_suggested_has_the_right_rank_and_is_taken(sizes, kind, suggested):
    with pytest.raises(ModelFormatError, match=f"--shape x={suggested},"):
        split(model(("x", sizes, kind)).SerializeToString())
    given = {"x": tuple(int(size) for size in suggested.split("x"))}
    split(model(("x", sizes, kind)).SerializeToString(), given)


def test_all_open_inputs_are_asked_for_at_once_as_flags_to_paste():
    two = [(name, ("batch", "seq"), INT64) for name in ("ids", "attention mask")]
    flags = r"--shape ids=1x128 --shape 'attention mask=1x128', or"
    with pytest.raises(ModelFormatError, match=flags):
        split(model(*two).SerializeToString())


def test_a_named_size_is_the_same_everywhere():
    two = model(("left", ("n", 3), FLOAT), ("right", ("n", 5), FLOAT), ("other", ("m",), FLOAT))
    with pytest.raises(ModelFormatError, match=r"give them, such as --shape other=1,"):
        fix_shapes(two, {"left": (4, 3)}, "it")
    fix_shapes(two, {"other": (2,)}, "it")
    assert [d.dim_value for d in two.graph.input[1].type.tensor_type.shape.dim] == [4, 5]


def test_a_scalar_needs_no_sizes():
    fixed = model(("x", (1, 8), FLOAT), ("s", (), FLOAT))
    assert len(split(fixed.SerializeToString())) == 2
    with pytest.raises(OptionError, match="input 's' is a scalar, which"):
        split(fixed.SerializeToString(), {"s": (1,)})


def test_a_sequence_is_no_tensor():
    listed = model(("x", (1,), FLOAT))
    listed.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", FLOAT, [1]))
    with pytest.raises(ModelFormatError, match="'x' is no tensor but a sequence_type"):
        split(listed.SerializeToString())
