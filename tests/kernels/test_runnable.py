"""Models as a runtime runs them: sizes fixed, and whole numbers that their tables have."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels.inputs import ALIKE
from hwnas.kernels.runnable import BELOW, runnable
from hwnas.onnx_graph import to_onnx
from hwnas.profilers import onnxruntime_sessions


def model(nodes, inputs, constants=(), opset=17):
    """A model of these nodes; inputs are (name, type, sizes)."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, sizes) for name, kind, sizes in inputs],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        [helper.make_tensor(n, TensorProto.FLOAT, v.shape, v.ravel()) for n, v in constants],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def two(first, second, kind=TensorProto.FLOAT):
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    return model(nodes, [("a", kind, first), ("b", kind, second)])


def metadata(data):
    return {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}


@pytest.mark.parametrize(
    ("first", "second", "shapes", "batch", "found"),
    [
        ([2, 3], [2, 3], {}, None, ((2, 3), (2, 3))),
        ([None, 3], ["n", 3], {}, None, ((1, 3), (1, 3))),  # an open first size is the batch
        ([None, 3], ["n", 3], {}, 8, ((8, 3), (8, 3))),
        (["n", "s"], ["n", "s"], {"a": (4, 5)}, None, ((4, 5), (4, 5))),
        (["n", "s"], ["n", "s"], {"a": (4, 5)}, 4, ((4, 5), (4, 5))),
        (["s", 1, 3], ["m", "s", 3], {}, 2, ((2, 1, 3), (2, 2, 3))),  # one name is one size
        ([], ["n", 3], {}, 2, ((), (2, 3))),  # a scalar has none
    ],
)
def test_open_sizes_are_the_batch_or_those_given(first, second, shapes, batch, found):
    ready = runnable(two(first, second), shapes, batch)
    assert tuple(ready.inputs.values()) == found
    assert ready.batch == (found[0] or found[1])[0]


def test_a_batch_that_a_model_does_not_take_is_refused():
    with pytest.raises(OptionError, match="fixes its batch at 2, got 8: export it with a dynamic"):
        runnable(two([2, 3], [2, 3]), {}, 8)
    assert runnable(two([2, 3], [2, 3]), {}, 2).batch == 2
    with pytest.raises(OptionError, match="contradicts"):
        runnable(two(["n", 3], ["n", 3]), {"a": (4, 3)}, 8)
    with pytest.raises(ModelFormatError, match="--shape a=1x128 --shape b=1x128"):
        runnable(two(["n", "s"], ["n", "t"]))


def test_inputs_that_are_no_numbers_are_refused():
    with pytest.raises(ModelFormatError, match="input 'a' takes string"):
        runnable(two([1], [1], TensorProto.STRING))
    unknown = onnx.load_from_string(two([1], [1]))
    unknown.graph.input[0].type.tensor_type.elem_type = 999
    with pytest.raises(ModelFormatError, match="input 'a' takes type 999"):
        runnable(unknown.SerializeToString())


@pytest.mark.parametrize("op", ["Gather", "Constant", "DequantizeLinear", "Reshape"])
def test_nodes_without_inputs_and_outputs_say_nothing_of_numbers(op):
    found = onnx.load_from_string(two([1], [1]))
    found.graph.node.add(op_type=op).attribute.append(helper.make_attribute("axis", 1))
    assert not any(
        name.startswith(BELOW) for name in metadata(runnable(found.SerializeToString()).data)
    )


def test_token_ids_lie_within_the_table_that_they_pick_from():
    words, places = np.zeros((50, 4), np.float32), np.zeros((3, 7), np.float32)
    nodes = [
        helper.make_node("Cast", ["ids"], ["wide"], to=TensorProto.INT64),
        helper.make_node("Gather", ["words", "wide"], ["w"]),
        helper.make_node("Gather", ["places", "at"], ["p"], axis=-1),
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
    ]
    kinds = {"ids": TensorProto.INT32, "at": TensorProto.INT64, "mask": TensorProto.INT64}
    inputs = [(name, kind, [1, 200]) for name, kind in kinds.items()]
    stranger = onnx.load_from_string(model(nodes, inputs, [("words", words), ("places", places)]))
    stranger.metadata_props.add(key=BELOW + "mask", value="a lie")
    del stranger.graph.output[:]
    stranger.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ("w", "p", "m"))
    ready = runnable(stranger.SerializeToString())
    assert metadata(ready.data) == {BELOW + "ids": "50", BELOW + "at": "7"}

    session = onnxruntime_sessions.new_session(ready.data, 1)
    kept = []
    assert onnxruntime_sessions.bound(session, kept)() > 0  # indices out of bounds would fail
    ids, at, mask = (array for array, _ in kept[:3])
    assert (ids.dtype, at.dtype) == (np.int32, np.int64)
    assert (ids.min(), ids.max()) >= (0, 40)  # 200 draws of 50 rows
    assert ids.max() < 50
    assert set(at.ravel()) == set(range(7))
    assert (mask == 1).all()


def test_the_agent_knows_the_same_metadata():
    assert onnxruntime_sessions.BELOW == BELOW
    assert onnxruntime_sessions.ALIKE == ALIKE


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_precision_is_that_of_the_graph(small_space, precision):
    data = to_onnx(small_space.graph([0, 0, 0, 0]), precision=precision)
    assert runnable(data).precision == precision


def test_an_output_of_unknown_size_is_made_by_each_run():
    nodes = [helper.make_node("NonZero", ["a"], ["y"])]
    data = runnable(model(nodes, [("a", TensorProto.FLOAT, [5, 5])])).data
    job = onnxruntime_sessions.load_session(data, 1)
    assert job() > 0
