"""Precision as a measured choice: int8 by ONNX Runtime's tools, beside the fp32 model."""

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import hwnas
from hwnas.cli import group
from hwnas.data import load_data
from hwnas.devices.any_model import converting, quantising
from hwnas.devices.any_model.calibration import Images, batches_of, read_arrays
from hwnas.devices.any_model.child import read_record
from hwnas.devices.any_model.converting import Converter
from hwnas.errors import DataError, HwnasError, ModelRejectedError, OptionError
from hwnas.kernels.runnable import runnable
from hwnas.testing import SyntheticRuntime

QUIET = {"noise": 0.0, "spell": 1.0, "outliers": 0.0}


@pytest.fixture
def here(monkeypatch):
    """Quantise in this process, whose memory is not bounded: what is bounded is tested apart."""

    def run(module, folder, words, limit_s):
        with monkeypatch.context() as patched:
            patched.setattr(quantising, "limit_memory", lambda: None)
            quantising.work(str(folder), *words)
        refused = read_record(folder, "refused.json")
        if refused is not None:
            raise ModelRejectedError(refused["reason"])

    monkeypatch.setattr(converting, "run_child", run)


def classifier(weights, name="linear", before="Identity"):
    """Images (n, 3, 8, 8) -> ten numbers, through one matrix."""
    nodes = [
        helper.make_node(before, ["images"], ["seen"]),
        helper.make_node("Flatten", ["seen"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["classes"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 8, 8])
    classes = helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["n", 10])
    held = [numpy_helper.from_array(weights.astype(np.float32), "weights")]
    graph = helper.make_graph(nodes, name, [images], [classes], held)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.fixture(scope="module")
def digits():
    return load_data("digits", input_size=8)


@pytest.fixture(scope="module")
def fitted(digits):
    """Weights by least squares on the training images, and their accuracy on the test images."""
    x, y = digits.train_batch(0, 1000, 0)
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    weights = np.linalg.lstsq(flat, np.eye(10)[np.asarray(y)], rcond=1e-3)[0]
    right = [(np.asarray(x).reshape(len(x), -1) @ weights).argmax(1) == y for x, y in digits.test()]
    return weights, float(np.concatenate(right).mean())


def scale_of_input(model):
    """The scale of the first QuantizeLinear of what is no weight."""
    graph = onnx.load_from_string(model).graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    pairs = [node.input for node in graph.node if node.op_type == "QuantizeLinear"]
    return float(next(values[scale] for x, scale, *_ in pairs if x not in values))


def test_both_precisions_are_compared_in_latency_and_accuracy(here, fitted, digits, tmp_path):
    weights, accuracy = fitted
    path, runtime = tmp_path / "linear.onnx", SyntheticRuntime(**QUIET)
    path.write_bytes(classifier(weights))
    found = hwnas.measure(
        path, runtime=runtime, seconds=0, precision=("fp32", "int8"), data="digits", save=tmp_path
    )
    fp32, int8 = found.measured
    assert (fp32.label, int8.label) == ("linear.onnx, fp32", "linear.onnx, int8")
    assert (fp32.target.precision, int8.target.precision) == ("fp32", "int8")
    kept = (tmp_path / "linear-int8.onnx").read_bytes()
    # the synthetic device counts nodes and weights, and pairs are nodes
    truth = runtime.true_ms(kept) / runtime.true_ms(runnable(path).data)
    (pair,) = found.comparisons
    assert (pair.one, pair.other) == (fp32.label, int8.label)
    assert pair.change == pytest.approx(truth - 1, abs=1e-6)
    assert pair.change > 0
    assert fp32.accuracy.share == pytest.approx(accuracy, abs=1e-9)
    assert fp32.accuracy.images == sum(len(y) for _, y in digits.test())
    assert int8.accuracy.share == pytest.approx(accuracy, abs=0.03)
    assert int8.accuracy.share > 0.8
    assert f"saved: {tmp_path / 'linear-int8.onnx'}" in found.remarks
    assert not any("random" in remark for remark in found.remarks)


def test_no_model_that_is_kept_takes_the_place_of_another(here, fitted, tmp_path):
    names = ("a b.onnx", "a+b.onnx", "a-b-int8.onnx")
    for name, scale in zip(names, (1, 2, 3), strict=True):
        (tmp_path / name).write_bytes(classifier(fitted[0] * scale, name))
    before = {name: (tmp_path / name).read_bytes() for name in names}
    options = {"runtime": SyntheticRuntime(**QUIET), "seconds": 0, "precision": "int8"}
    found = hwnas.measure([tmp_path / name for name in names], save=tmp_path, **options)
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    kept = [remark.partition("saved: ")[2] for remark in found.remarks if "saved: " in remark]
    assert kept == [str(tmp_path / f"a-b-int8{end}.onnx") for end in ("-2", "-3", "-int8")]
    graphs = [onnx.load(path).graph.name for path in kept]
    assert graphs == [onnx.load_from_string(before[name]).graph.name for name in names]


def test_where_nothing_can_be_kept_nothing_is_measured(here, fitted, tmp_path, monkeypatch):
    def never(*given, **named):
        raise AssertionError("something was measured")

    monkeypatch.setattr("hwnas.devices.any_model.measuring._probes", never)
    (tmp_path / "m.onnx").write_bytes(classifier(fitted[0]))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        hwnas.measure(
            tmp_path / "m.onnx",
            runtime=SyntheticRuntime(**QUIET),
            precision="int8",
            save=tmp_path / "file",
        )


def test_it_is_printed(here, fitted, tmp_path):
    path, runtime = tmp_path / "linear.onnx", SyntheticRuntime(**QUIET)
    path.write_bytes(classifier(fitted[0]))
    hwnas.register_runtime("mine", lambda threads: runtime)
    words = ("--runtime", "mine", "--precision", "fp32,int8", "--data", "digits", "--seconds", "0")
    done = CliRunner().invoke(group, ["measure", str(path), *words])
    assert done.exit_code == 0, done.output
    assert "linear.onnx, fp32 is faster than linear.onnx, int8 by " in done.stdout
    assert f"accuracy of linear.onnx, fp32: {fitted[1]:.2%} of 359 test images" in done.stdout
    assert "accuracy of linear.onnx, int8: " in done.stdout


def test_ranges_are_those_of_what_is_given(here, fitted):
    model = runnable(classifier(fitted[0]), batch=4)
    images = np.random.default_rng(0).uniform(-3, 5, (10, 3, 8, 8))  # the last two are left over
    images[0, 0, 0, 0], images[7, 0, 0, 0], images[9, 0, 0, 0] = -3, 5, 99
    made = Converter({"": images}, None).convert(model, "m", "int8", "cpu")
    assert made.notes == ()
    assert scale_of_input(made.runnable.data) == pytest.approx(8 / 255, rel=1e-6)
    signed = Converter({"images": images}, None).convert(model, "m", "int8", "gpu")
    assert scale_of_input(signed.runnable.data) == pytest.approx(2 * 5 / 255, rel=0.01)
    kinds = {t.data_type for t in onnx.load_from_string(signed.runnable.data).graph.initializer}
    assert TensorProto.UINT8 not in kinds  # TensorRT reads no others than signed ones
    assert made.runnable.inputs == {"images": (4, 3, 8, 8)}


def test_what_tensorrt_reads_has_weights_and_biases_in_floats(here, small_space):
    model = runnable(small_space.to_onnx([0, 0, 0, 0]))
    made = Converter(None, None).convert(model, "m", "int8", "gpu").runnable
    graph = onnx.load_from_string(made.data).graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    sources = [
        held[n.input[0]]
        for n in graph.node
        if n.op_type == "DequantizeLinear" and n.input[0] in held
    ]
    assert sources == []
    convs = [node for node in graph.node if node.op_type == "Conv"]
    biases = {held[node.input[2]].data_type for node in convs}
    assert biases == {TensorProto.FLOAT}
    zeros = [t for t in held.values() if t.data_type == TensorProto.INT8]
    assert zeros
    assert not any(numpy_helper.to_array(zero).any() for zero in zeros)


def test_random_numbers_and_what_stays_in_floats_are_said(here, fitted):
    model = runnable(classifier(fitted[0], before="Tanh"))
    made = Converter(None, None).convert(model, "m.onnx", "int8", "cpu")
    assert made.notes == (
        "m.onnx: calibrated on random numbers: accuracy of int8 means nothing",
        "m.onnx as int8: in floats stay Tanh 1",
    )
    assert made.runnable.precision == "int8"


def test_halves_are_halves_from_end_to_end(here, fitted):
    made = Converter(None, None).convert(runnable(classifier(fitted[0])), "m", "fp16", "gpu")
    graph = onnx.load_from_string(made.runnable.data).graph
    assert made.runnable.precision == "fp16"
    assert graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16


def test_what_cannot_be_quantised_says_why(here, fitted, tmp_path):
    path = tmp_path / "sine.onnx"
    sine = onnx.load_from_string(classifier(fitted[0]))
    del sine.graph.node[1:]
    sine.graph.node[0].op_type = "Sin"
    sine.graph.output[0].name = "seen"
    path.write_bytes(sine.SerializeToString())
    runtime = SyntheticRuntime(**QUIET)
    found = hwnas.measure(path, runtime=runtime, seconds=0, precision=("fp32", "int8", "fp16"))
    assert [one.label for one in found.measured] == ["sine.onnx, fp32"]
    assert "nothing in it can be quantised" in found.refused["sine.onnx, int8"]
    assert "SyntheticRuntime runs fp32, int8, got 'fp16'" in found.refused["sine.onnx, fp16"]
    int8 = Converter(None, None).convert(runnable(classifier(fitted[0])), "m", "int8", "cpu")
    with pytest.raises(OptionError, match="again is int8 already, got precision fp16: give the fp"):
        Converter(None, None).convert(int8.runnable, "again", "fp16", "cpu")


def test_images_that_do_not_fit_are_refused_and_the_latency_is_told(here, fitted, tmp_path):
    path = tmp_path / "few.onnx"
    few = onnx.load_from_string(classifier(fitted[0][:, :4]))
    few.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    path.write_bytes(few.SerializeToString())
    runtime = SyntheticRuntime(**QUIET)
    found = hwnas.measure([path], runtime=runtime, seconds=0, data="digits")
    assert found.measured[0].accuracy is None
    (why,) = found.refused.values()
    assert "gives 4 numbers an image, and digits has 10 classes" in why
    with pytest.raises(OptionError, match=r"images are for models of one input.*, got 1x8: "):
        Images("digits").of(runnable(row_model()))


def test_images_are_not_cut_to_whole_numbers(fitted, tmp_path, caplog):
    path = tmp_path / "bytes.onnx"
    made = onnx.load_from_string(classifier(fitted[0]))
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    made.graph.node[0].CopyFrom(helper.make_node("Cast", ["images"], ["seen"], to=1))
    path.write_bytes(made.SerializeToString())
    runtime = SyntheticRuntime(**QUIET)
    with caplog.at_level("INFO", "hwnas"):
        found = hwnas.measure(path, runtime=runtime, seconds=0, data="digits")
    assert found.accuracy is None
    assert "not measured: accuracy of bytes.onnx: images are normalised floats" in caplog.text
    with pytest.raises(OptionError, match="'images' takes whole numbers"):
        Images("digits").calibration(runnable(path))


def row_model():
    """A row of eight numbers, as it is."""
    row = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])
    same = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [row], [same])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"y": np.zeros((2, 8))}, "one array for each input, x 1x8, got y"),
        ({"x": np.zeros((2, 9))}, "of 'x' is numbers of nx8, got float64 of 2x9"),
        ({"x": np.array(["a"] * 8)}, "is numbers of nx8, got <U1 of 8"),
        ({"": np.zeros((0, 8))}, "whole batches of x 1x8, as many of each, got 0 examples"),
        ({"x": np.full((2, 8), np.nan)}, "'x' holds values that are not finite"),
    ],
)
def test_calibration_of_other_inputs_is_refused(arrays, says):
    with pytest.raises(OptionError, match=says):
        batches_of(arrays, runnable(row_model()))


def test_calibration_is_read_from_files_and_nothing_is_unpickled(tmp_path):
    values = np.arange(16.0).reshape(2, 8)
    np.savez(tmp_path / "a.npz", x=values)
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.npz").write_text("x")
    assert np.array_equal(read_arrays(tmp_path / "a.npz")["x"], values)
    assert np.array_equal(read_arrays(tmp_path / "a.npy")[""], values)
    for name in ("pickled.npy", "text.npz", "nowhere.npz"):
        with pytest.raises(DataError, match=rf"{name}' holds no calibration \("):
            read_arrays(tmp_path / name)
    with pytest.raises(OptionError, match="give precision int8, too"):
        hwnas.measure(b"", calibration=tmp_path / "a.npz")


def test_it_happens_in_a_process_with_bounds(fitted, monkeypatch):
    model = runnable(classifier(fitted[0]))
    made = Converter(None, None).convert(model, "m", "int8", "cpu")
    assert made.runnable.precision == "int8"
    monkeypatch.setattr(converting, "_LIMIT_S", 0.3)
    monkeypatch.setattr("hwnas.devices.any_model.child._CHILD", "import time; time.sleep(60)")
    with pytest.raises(ModelRejectedError, match=r"not converted to int8 within 0.3 s"):
        Converter(None, None).convert(model, "m", "int8", "cpu")


def test_a_process_that_fails_says_the_reason_of_the_library(here, fitted, monkeypatch):
    def broken(folder, symmetric):
        raise RuntimeError("no kernel\nfor it")

    monkeypatch.setattr(quantising, "_quantise", broken)
    with pytest.raises(HwnasError, match="ONNX Runtime cannot convert it: no kernel for it"):
        Converter(None, None).convert(runnable(classifier(fitted[0])), "m", "int8", "cpu")
