"""Models of strangers: what they name is not read, and what they compute is bounded."""

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas.errors import ModelFormatError
from hwnas.kernels import optimise as optimising
from hwnas.kernels import split
from hwnas.kernels.model import computes_when_loaded, read_model

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]


def info(name, shape=(4,)):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model(nodes, functions=(), held=()):
    graph = helper.make_graph(nodes, "g", [info("x")], [info("y", None)], list(held))
    return helper.make_model(graph, opset_imports=OPSETS, functions=functions, ir_version=8)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def external(location, size=4, **place):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **place}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def constant(tensor):
    return node("Constant", "", "w", value=tensor)


def branches(nodes):
    graph = helper.make_graph(nodes, "branch", [], [info("w")])
    return node("If", "c", "y", then_branch=graph, else_branch=graph)


def function(name, nodes, domain="mine"):
    return helper.make_function(domain, name, ["x"], ["y"], nodes, OPSETS)


TRUE = helper.make_tensor("t", TensorProto.BOOL, [], [True])
CONDITION = node("Constant", "", "c", value=TRUE)
PLACES = {
    "an initializer": lambda t: model([node("Add", "x w", "y")], held=[t]),
    "a node": lambda t: model([constant(t), node("Add", "x w", "y")]),
    "a branch": lambda t: model([CONDITION, branches([constant(t)])]),
    "a function": lambda t: model(
        [node("f", "x", "y", domain="mine")],
        [function("f", [constant(t), node("Add", "x w", "y")])],
    ),
    "a branch in a function": lambda t: model(
        [node("f", "x", "y", domain="mine")],
        [function("f", [CONDITION, branches([constant(t)])])],
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link", "fifo", "nowhere", ""])
def test_weights_outside_the_folder_are_not_read(tmp_path, place, location):
    import os

    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(16))
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "fifo")
    path = folder / "m.onnx"
    path.write_bytes(PLACES[place](external(location)).SerializeToString())
    with pytest.raises(ModelFormatError, match="must lie in the model's own folder or below"):
        split(path)
    with pytest.raises(ModelFormatError, match="keeps weights in other files"):
        split(path.read_bytes())


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_the_folder_are_taken_in(tmp_path, place):
    (tmp_path / "below").mkdir()
    values = np.arange(6, dtype=np.float32)
    (tmp_path / "below" / "weights").write_bytes(values.tobytes())
    path = tmp_path / "m.onnx"
    made = PLACES[place](external("below/weights", offset=8, length=16))
    path.write_bytes(made.SerializeToString())
    whole = numpy_helper.from_array(values[2:], "w")
    assert read_model(path) == PLACES[place](whole)
    split(path)


@pytest.mark.parametrize(
    "said", [{"offset": -4}, {"offset": 12}, {"length": 3}, {"length": "many"}, {"offset": 10**30}]
)
def test_weights_that_are_not_there_are_one_error(tmp_path, said):
    (tmp_path / "w").write_bytes(bytes(24))
    path = tmp_path / "m.onnx"
    path.write_bytes(PLACES["a node"](external("w", **said)).SerializeToString())
    with pytest.raises(ModelFormatError, match="which cannot be used"):
        split(path)


def constant_bomb():
    shape = numpy_helper.from_array(np.array([3000, 3000], np.int64), "w")
    nodes = [constant(shape), node("ConstantOfShape", "w", "m0")]
    nodes += [node("MatMul", f"m{at} m{at}", f"m{at + 1}") for at in range(200)]
    return model([*nodes, node("ReduceSum", "m200", "s"), node("Add", "x s", "y")])


def memory_bomb():
    shape = numpy_helper.from_array(np.array([7000, 7000], np.int64), "w")
    nodes = [constant(shape), node("ConstantOfShape", "w", "m0")]
    nodes += [node("Neg", f"m{at}", f"m{at + 1}") for at in range(60)]
    nodes += [node("Concat", " ".join(f"m{at}" for at in range(60)), "all", axis=0)]
    return model([*nodes, node("ReduceSum", "all", "s"), node("Add", "x s", "y")])


def function_bomb(levels=40):
    calls = [
        function(f"f{at}", [node(f"f{at - 1}", "x", "z", domain="mine"),
                            node(f"f{at - 1}", "z", "y", domain="mine")])
        for at in range(1, levels)
    ]  # fmt: skip
    first = function("f0", [node("Relu", "x", "y")])
    return model([node(f"f{levels - 1}", "x", "y", domain="mine")], [first, *calls])


@pytest.mark.parametrize("bomb", [constant_bomb, memory_bomb])
def test_what_computes_without_end_is_refused(monkeypatch, bomb):
    monkeypatch.setattr(optimising, "_SECONDS", 1)
    start = time.monotonic()
    with pytest.raises(ModelFormatError, match="takes more than 1 s or 1536 MiB"):
        split(bomb().SerializeToString())
    assert time.monotonic() - start < 8


def test_functions_without_end_are_refused_before_anything_is_loaded():
    itself = model(
        [node("f", "x", "y", domain="mine")], [function("f", [node("f", "x", "y", domain="mine")])]
    )
    start = time.monotonic()
    for bomb in (function_bomb(), itself):
        with pytest.raises(ModelFormatError, match="functions that call each other without end"):
            split(bomb.SerializeToString())
    assert time.monotonic() - start < 1
    assert len(split(function_bomb(4).SerializeToString())) == 8


def test_another_process_gives_the_same_kernels(monkeypatch):
    """And says what is wrong with a model in the same words."""
    from test_split import BAD, convolution

    data = convolution().SerializeToString()
    here = split(data)
    monkeypatch.setattr(optimising, "computes_when_loaded", lambda proto: True)
    there = split(data)
    assert [piece.kernel for piece in there] == [piece.kernel for piece in here]
    assert [piece.to_onnx() for piece in there] == [piece.to_onnx() for piece in here]
    data, says = BAD["unknown operator"]
    with pytest.raises(ModelFormatError, match=says):
        split(data)


def test_which_models_compute_when_they_are_loaded():
    weights = numpy_helper.from_array(np.ones(4, np.float32), "w")
    for nodes, expected in (
        ([node("Relu", "x", "y")], False),
        ([node("Add", "x w", "y")], False),
        ([constant(weights), node("Add", "x w", "y")], False),
        ([node("Identity", "w", "v"), node("Add", "x v", "y")], False),
        ([node("Neg", "w", "v"), node("Add", "x v", "y")], True),
        ([node("Shape", "x", "s"), node("ConstantOfShape", "s", "y")], True),
        ([node("Identity", "w", "v"), node("Neg", "v", "y")], True),
        ([node("Add", "x v", "y"), node("Neg", "w", "v")], True),
        ([CONDITION, branches([constant(weights)])], True),
        ([node("RandomUniform", "", "y", shape=[4])], True),
    ):
        assert computes_when_loaded(model(nodes, held=[weights])) is expected, nodes
    assert computes_when_loaded(function_bomb())


def test_a_network_of_a_space_is_loaded_here(small_space):
    for precision in ("fp32", "int8"):
        data = small_space.to_onnx([0, 0, 0, 0], precision=precision)
        assert not computes_when_loaded(onnx.load_from_string(data))


@pytest.mark.parametrize(
    ("kind", "size"), [("INT4", 3), ("UINT4", 3), ("FLOAT8E4M3FN", 5), ("BFLOAT16", 10)]
)
def test_numbers_that_share_a_byte_are_read_from_other_files(tmp_path, kind, size):
    tensor = external("w.bin", 5)
    tensor.data_type = TensorProto.DataType.Value(kind)
    onnx.save(PLACES["an initializer"](tensor), tmp_path / "m.onnx")
    (tmp_path / "w.bin").write_bytes(bytes(range(size)))
    (held,) = read_model(tmp_path / "m.onnx").graph.initializer
    assert held.raw_data == bytes(range(size))
    assert not held.external_data


def test_a_long_name_of_a_stranger_takes_no_time():
    """What ONNX Runtime says repeats it."""
    named = model([node("Relu", "x", "y " + "x" * 100_000)])
    start = time.process_time()
    with pytest.raises(ModelFormatError, match="cannot load the model"):
        split(named.SerializeToString())
    assert time.process_time() - start < 2


def test_an_attribute_that_refers_to_no_function_is_not_given():
    from hwnas.kernels.steps import steps_of_model

    pool = node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])
    pool.attribute[1].ref_attr_name = "outer"
    pool.attribute[1].ints[:] = []
    proto = model([pool])
    proto.graph.input[0].CopyFrom(info("x", (1, 1, 8, 8)))
    (step,) = steps_of_model(proto.SerializeToString()).steps
    assert dict(step.attributes) == {"kernel_shape": [2, 2]}


def test_functions_that_cannot_be_told_apart_are_refused():
    from hwnas.kernels.steps import steps_of_model

    twice = function("f", [node("Relu", "x", "y")])
    proto = model([node("f", "x", "y", domain="mine")], [twice, twice])
    with pytest.raises(ModelFormatError, match=r"functions of the model cannot be read: .*same"):
        steps_of_model(proto.SerializeToString())
