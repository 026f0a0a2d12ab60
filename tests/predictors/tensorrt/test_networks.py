"""Kernels, models and spaces on a card whose convolutions take what is written here."""

from collections import Counter
from math import exp, inf, log

import numpy as np
import pytest
import torch
from families import cnn
from onnx import TensorProto, helper, numpy_helper

import hwnas
from hwnas.errors import KernelNotInTableError, OptionError
from hwnas.kernels import (
    ConvolutionShape,
    FusedKernel,
    count_model_macs,
    fuse,
    fused_graph,
)
from hwnas.predictors import Engine, EnginePredictor, parse_engine, predict_onnx
from hwnas.predictors.tensorrt import of_space
from hwnas.predictors.tensorrt.cells import FusedCells
from hwnas.predictors.tensorrt.models import predict_kernels
from hwnas.predictors.tensorrt.networks import (
    PUBLISHED_SPREAD,
    WITHIN_NETWORK,
    EngineTimes,
    relative_spread,
)
from hwnas.testing import check_predictor

FLOOR_MS = 0.01
#: Of a convolution, a multiply-accumulate and a sum.
MAC_MS, SUM_MS = 1e-9, 0.5


class Written:
    """Convolutions whose time is written: a launch, and a little for each multiply-accumulate."""

    floor_ms = FLOOR_MS

    def predict(self, shapes, batch):
        return np.array([FLOOR_MS + MAC_MS * s.macs * batch + SUM_MS * s.fused_add for s in shapes])

    def log_spread(self, shapes, batch):
        return np.full(len(shapes), 0.04)

    def outside(self, shapes, batch):
        return ["kernel 9x9" if s.kernel == (9, 9) else None for s in shapes]


def times(batch=1, precision="fp32"):
    return EngineTimes(Engine(precision, batch), Written())


def moving(kind, read, written, constant=0):
    return FusedKernel("k", kind, ("Op",), read, written, constant)


def convolution(**changes):
    shape = ConvolutionShape(8, 8, 4, 4, 4, 4, (3, 3))
    kernel = FusedKernel("c", "convolution", ("Conv",), 128, 128, 576, shape)
    return FusedKernel(**{f: getattr(kernel, f) for f in FusedKernel.__slots__} | changes)


# Kernels


def test_a_kernel_that_moves_data_takes_its_bytes_and_at_least_a_launch():
    megabytes = moving("pool", 9_000_000, 3_000_000)
    (slow, fast) = times(batch=3, precision="fp16")([megabytes, moving("softmax", 10, 10)])
    assert slow.ms == pytest.approx(WITHIN_NETWORK * 3 * 12e6 * 2 / 900e6)
    assert fast.ms == pytest.approx(WITHIN_NETWORK * FLOOR_MS)
    assert slow.note == "estimated from bytes"
    (one,) = times(batch=3)([moving("pointwise", 0, 0, constant=90_000_000)])
    assert one.ms == pytest.approx(WITHIN_NETWORK * 0.4), "weights are read once a batch"


def test_a_convolution_takes_what_was_measured_and_a_sum_no_more_than_a_kernel():
    (plain,) = times(batch=2)([convolution()])
    assert plain.ms == pytest.approx(WITHIN_NETWORK * (FLOOR_MS + MAC_MS * 2 * 16 * 64 * 9))
    assert plain.measured
    assert plain.spread == 0.04
    shape = ConvolutionShape(8, 8, 4, 4, 4, 4, (3, 3), fused_add=True)
    (added,) = times(batch=2)([convolution(convolution=shape)])
    assert added.ms == pytest.approx(plain.ms + WITHIN_NETWORK * FLOOR_MS)


def test_what_lies_outside_is_said_and_less_sure():
    shape = ConvolutionShape(8, 8, 20, 20, 20, 20, (9, 9))
    known, odd, dilated = times()(
        [convolution(), convolution(convolution=shape), convolution(remark="dilated")]
    )
    assert (known.note, odd.note, dilated.note) == ("", "kernel 9x9", "dilated")
    assert known.spread < odd.spread == dilated.spread
    assert not odd.ordinary
    linear = ConvolutionShape(512, 10, 1, 1, 1, 1)
    (layer,) = times()([FusedKernel("l", "linear", ("Gemm",), 512, 10, 5120, linear)])
    assert layer.ordinary
    assert "linear" in layer.note


def test_spreads_of_what_was_measured_cancel_and_others_add_up():
    kernels = times()([convolution()] * 4)
    assert relative_spread(kernels) == pytest.approx(0.04 / 2)
    pools = times()([moving("pool", 1, 1)] * 4)
    assert relative_spread(pools) == pytest.approx(pools[0].spread)
    assert relative_spread([]) == 0.0


# Models


def model(*, unknown=False, kernel=3, batch=1):
    weight = numpy_helper.from_array(np.ones((8, 8, kernel, kernel), np.float32), "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="first", pads=[kernel // 2] * 4)]
    nodes.append(helper.make_node("NonZero" if unknown else "MaxPool", ["y"], ["z"], name="second"))
    if not unknown:
        nodes[1].attribute.append(helper.make_attribute("kernel_shape", [2, 2]))
    sizes = [batch, 8, 16, 16]
    result = None if not unknown else TensorProto.INT64
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("z", result or TensorProto.FLOAT, None)],
        [weight],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


@pytest.fixture
def written(monkeypatch):
    """The engines that ship take what is written."""
    of_space.engine_times.cache_clear()
    monkeypatch.setattr(of_space.ConvolutionTimes, "load", lambda precision: Written())
    yield
    of_space.engine_times.cache_clear()


@pytest.mark.usefixtures("written")
def test_a_model_is_the_sum_of_its_kernels():
    found = predict_onnx(model(), "v100-tensorrt-fp16", batch=4)
    assert [k.op for k in found.kernels] == ["convolution 3x3", "pool"]
    assert found.kernels[0].key == "convolution 3x3 8x16x16 -> 8x16x16 (Conv)"
    assert found.kernels[0].macs == 4 * 16 * 16 * 64 * 9
    assert found.predicted_ms == sum(k.ms for k in found.kernels)
    assert found.by_operator()["pool"] == (1, found.kernels[1].ms)
    assert (found.target.precision, found.target.batch) == ("fp16", 4)
    assert "public measurements of another V100, TensorRT version not stated" in found.source
    low, high = found.interval(0.9)
    assert log(high / low) / 2 > 1.6 * PUBLISHED_SPREAD
    assert not found.at_least


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("name", "batch", "made", "wanted"),
    [
        ("v100-tensorrt-fp32", None, 1, 1),
        ("v100-tensorrt-fp32", None, 8, 8),
        ("v100-tensorrt-fp32-b32", None, 8, 32),
        ("v100-tensorrt-fp32-b1", None, 8, 1),
        ("v100-tensorrt-fp32", 16, 8, 16),
    ],
)
def test_the_batch_is_what_is_said_and_else_the_models(name, batch, made, wanted):
    found = predict_onnx(model(batch=made), name, batch=batch)
    assert found.target.batch == wanted
    assert found.kernels[0].macs == wanted * 16 * 16 * 64 * 9
    assert found.macs == made * 16 * 16 * 64 * 9  # of the model, as from a table


@pytest.mark.usefixtures("written")
def test_what_is_not_known_is_left_out_and_strict_refuses_it():
    found = predict_onnx(model(unknown=True), "v100-tensorrt-fp32")
    assert [k.op for k in found.unpredicted] == ["NonZero"]
    assert found.at_least
    assert found.interval(0.9)[1] == inf
    with pytest.raises(KernelNotInTableError, match="1 of 2 kernels are not known"):
        predict_onnx(model(unknown=True), "v100-tensorrt-fp32", strict=True)
    with pytest.raises(KernelNotInTableError, match="kernel 9x9"):
        predict_onnx(model(kernel=9), "v100-tensorrt-fp32", strict=True)
    odd = predict_onnx(model(kernel=9), "v100-tensorrt-fp32")
    assert [(k.op, k.outside) for k in odd.outside] == [("convolution 9x9", ("kernel 9x9",))]
    known = predict_onnx(model(), "v100-tensorrt-fp32", strict=True)
    assert not known.outside


@pytest.mark.usefixtures("written")
def test_the_macs_are_the_models_whatever_is_known_of_its_kernels():
    made = recurrent()  # the card's time of an LSTM is not known
    found = predict_onnx(made, "v100-tensorrt-fp32", batch=4)
    assert [k.op for k in found.unpredicted] == ["LSTM"]
    assert found.macs == 5 * 4 * 6 * (3 + 6) == count_model_macs(made)


def recurrent():
    """Five steps of three numbers through an LSTM of six."""
    sizes = {"w": (1, 24, 3), "r": (1, 24, 6)}
    nodes = [helper.make_node("LSTM", ["x", *sizes], ["y"], "lstm", hidden_size=6)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(s, np.float32), name) for name, s in sizes.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("name", "batch", "reason"),
    [
        ("v100-tensorrt-fp64", None, "a V100 was measured as v100-tensorrt-fp32, "),
        ("v100-tensorrt-fp16-b0", None, "a V100 was measured as"),
        ("v100-tensorrt-fp16-b129", None, "batches of 1 to 128 were measured on the V100, got 129"),
        ("v100-tensorrt-fp16", 200, "batches of 1 to 128"),
        ("v100-tensorrt-fp16-b8", 4, "has a batch of 8, got 4"),
    ],
)
def test_what_was_not_measured_is_refused_by_name(name, batch, reason):
    with pytest.raises(OptionError, match=reason):
        parse_engine(name, batch)


def test_names_of_engines():
    assert parse_engine("v100-tensorrt-int8-b64") == Engine("int8", 64)
    assert Engine("int8", 64).name == "v100-tensorrt-int8-b64"
    assert Engine("fp16").name == "v100-tensorrt-fp16"
    said = str(Engine("fp16", 2).target)
    assert "from public measurements of another V100" in said
    assert "version not stated" in said
    with pytest.raises(OptionError, match="a batch is of an engine"):
        predict_onnx(model(), "amd-epyc-1thread", batch=2)


# Spaces

SPACES = {
    "proxyless": {"input_size": 32, "classes": 10},
    "shufflenet": {"input_size": 64},
    "ofa": {"input_size": 128},
}


@pytest.mark.parametrize("name", SPACES)
def test_networks_are_exact_sums_and_equal_their_models(name):
    space = hwnas.space(name, **SPACES[name])
    known = times(batch=16, precision="fp16")
    predictor = EnginePredictor(known, space)
    archs = space.sample(20, seed=1)
    ms = predictor.predict(archs)
    wholes = [sum(t.ms for t in known(fused_graph(space.graph(a)).kernels)) for a in archs]
    np.testing.assert_allclose(ms, wholes, rtol=1e-4)
    np.testing.assert_array_equal(ms, predictor.cost(archs))
    exported = predict_kernels(fuse(space.to_onnx(archs[0], batch=16)).kernels, known)
    assert exported.predicted_ms == pytest.approx(ms[0], rel=1e-4)


def test_a_space_has_intervals_an_expectation_and_says_where_its_times_come_from(small_space):
    predictor = EnginePredictor(times(), small_space)
    archs = small_space.sample(50, seed=0)
    ms, interval = predictor.predict(archs), predictor.predict_interval(archs, 0.9)
    assert (interval[:, 0] < ms * exp(-1.6 * PUBLISHED_SPREAD)).all()
    assert (interval[:, 1] > ms * exp(1.6 * PUBLISHED_SPREAD)).all()
    rows = zip(small_space.n_choices, archs[0], strict=True)
    chosen = [torch.eye(n)[c].requires_grad_() for n, c in rows]
    mean = predictor.expected(chosen)
    assert mean.item() == pytest.approx(ms[0])
    mean.backward()
    slower = small_space.parse("k7e6-k7e6-k7e6-k7e6")
    assert (chosen[0].grad[slower[0]] > chosen[0].grad.min()).all()
    joint = hwnas.LatencyLoss(predictor, "additive", beta=2.0)
    assert joint(torch.tensor(1.0), chosen).item() == pytest.approx(1 + 2 * ms[0])
    assert "nothing was measured here" in predictor.notes["source"]
    assert predictor.unmeasured["estimated from bytes"] == 1, "the global pooling"


def test_cells_of_edges_are_fused_whole():
    space = hwnas.space("nasbench201", cells=2)
    known = times()
    predictor = EnginePredictor(known, space)
    archs = space.sample(30, seed=3)
    archs = archs[space.connected(archs)]
    kernels = [fused_graph(space.graph(arch)).kernels for arch in space.live(archs)]
    wholes = [sum(time.ms for time in known(some)) for some in kernels]
    np.testing.assert_allclose(predictor.predict(archs), wholes)
    assert not predictor.additive
    cells = FusedCells(space, known)
    for arch, some in zip(space.live(archs), kernels, strict=True):
        assert Counter(map(facts, cells.fused(arch).kernels)) == Counter(map(facts, some))
    alone = [sum(predictor.table.latency_ms(w) for w in space.workloads(a)) for a in archs]
    assert np.abs(np.array(alone) / wholes - 1).mean() > 0.05, "sums of operators are off"


def facts(kernel):
    """All but the name."""
    return (
        *(kernel.kind, kernel.ops, kernel.convolution, kernel.remark),
        *(kernel.elements_in, kernel.elements_out, kernel.elements_constant),
    )


def test_other_cells_are_corrected_by_some_whole_networks():
    space = hwnas.space("nao", repeats=1)
    known = times()
    predictor = EnginePredictor(known, space)
    archs = space.sample(12, seed=3)
    wholes = np.array(
        [sum(t.ms for t in known(fused_graph(space.graph(a)).kernels)) for a in archs]
    )
    alone = [sum(predictor.table.latency_ms(w) for w in space.workloads(a)) for a in archs]
    off = np.abs(predictor.predict(archs) / wholes - 1).mean()
    assert off < 0.05
    assert off < 0.5 * np.abs(np.array(alone) / wholes - 1).mean()


@pytest.mark.parametrize("name", ["chain", "cells"])
def test_it_is_a_predictor(name, small_space):
    space = small_space if name == "chain" else hwnas.space("nasbench201", cells=1)
    check_predictor(EnginePredictor(times(), space), space)


@pytest.mark.usefixtures("written")
def test_networks_of_own_families_are_written_and_fused():
    choices = {"w1": [8, 12], "w2": [12], "k1": [3, 5], "k2": [3]}
    space = hwnas.family(cnn, choices, input_shape=(3, 8, 8))
    predictor = hwnas.load_predictor("v100-tensorrt-fp32-b4", space)
    assert hwnas.load_predictor(predictor, space) is predictor
    known = of_space.engine_times(Engine("fp32", 4))
    archs = space.sample(12, seed=5)
    wholes = [sum(t.ms for t in known(fuse(space.to_onnx(a)).kernels)) for a in archs]
    np.testing.assert_allclose(predictor.predict(archs), wholes)
    check_predictor(predictor, space)
    low, high = predictor.predict_interval(archs[:1], 0.9)[0]
    assert log(high / low) / 2 > 1.6 * PUBLISHED_SPREAD
    assert "nothing was measured here" in predictor.notes["source"]
    with pytest.raises(OptionError, match="take v100-tensorrt-fp32, got v100-tensorrt-fp16"):
        hwnas.load_predictor("v100-tensorrt-fp16", space)


def test_few_bits_run_as_integers():
    space = hwnas.space("resnet18-bits", input_size=32)
    with pytest.raises(OptionError, match="take v100-tensorrt-int8, got v100-tensorrt-fp16"):
        EnginePredictor(times(precision="fp16"), space)
    assert EnginePredictor(times(precision="int8"), space).predict(space.sample(2, seed=0)).all()


@pytest.mark.usefixtures("written")
def test_an_engine_is_loaded_by_name_for_any_space(small_space):
    predictor = hwnas.load_predictor("v100-tensorrt-fp16-b32", small_space)
    assert predictor.target == Engine("fp16", 32).target
    assert hwnas.load_predictor(predictor, small_space) is predictor
    with pytest.raises(OptionError, match="does not say which: give space="):
        hwnas.load_predictor("v100-tensorrt-fp16")
