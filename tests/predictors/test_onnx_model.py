from dataclasses import replace

import numpy as np
import onnx
import pytest
from families import layered_space
from onnx import TensorProto, helper

import hwnas
from hwnas.errors import (
    KernelNotInTableError,
    OptionError,
    TableFormatError,
    TableTargetError,
)
from hwnas.kernels import Kernel, split, work
from hwnas.latency_tables import LatencyTable
from hwnas.predictors import KernelPredictor, predict_onnx
from hwnas.profilers import Plan, profile_kernels, random_networks
from hwnas.testing import SyntheticRuntime

CALL_MS = 0.01


def true_ms(kernel: Kernel) -> float:
    """A device of 20 G MACs and 10 GB a second, that is twice as slow at depthwise kernels."""
    if kernel.no_op:
        return 0.0
    macs, *moved = work(kernel)
    slow = 2.0 if kernel.family.endswith("depthwise") else 1.0
    return 0.002 + slow * float(macs / 20e6 + sum(moved) / 10e6)


class KernelDevice(SyntheticRuntime):
    """A run takes the sum over the kernels that ONNX Runtime makes of the model."""

    def true_ms(self, model):
        return CALL_MS + sum(true_ms(piece.kernel) for piece in split(model))


@pytest.fixture(scope="module")
def table(small_table, small_space):
    device = KernelDevice(name=small_table.target.device)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hwnas.profilers.kernels._POOL", 27)
        return profile_kernels(
            small_table, small_space, device, 300, n_networks=12, plan=Plan(min_runs=9, max_runs=9)
        )


@pytest.fixture(scope="module")
def predictor(table):
    return KernelPredictor(table)


@pytest.mark.parametrize("style", ["residual", "inverted", "branches"])
def test_networks_that_nobody_profiled_are_predicted(predictor, style):
    ratios = []
    for seed in range(900, 904):
        model = random_networks.random_network(seed, style)
        scale = predictor.table.reference_ms / REFERENCE[0]
        truth = (CALL_MS + sum(true_ms(piece.kernel) for piece in split(model))) * scale
        result = predict_onnx(model, predictor)
        ratios.append(result.predicted_ms / truth)
    assert np.mean(np.abs(np.log(ratios))) < 0.12


REFERENCE = [1.0]


@pytest.fixture(autouse=True, scope="module")
def _scale(small_space):
    """The table keeps its own scale: what its reference took on the device it was made on."""
    middle = small_space.to_onnx([n // 2 for n in small_space.n_choices])
    REFERENCE[0] = CALL_MS + sum(true_ms(piece.kernel) for piece in split(middle))


def model_of(*ops):
    """A chain of operators on 1x16x8x8."""
    names = ["x", *(f"t{i}" for i in range(1, len(ops))), "y"]
    nodes = [
        helper.make_node(op, [names[i]], [names[i + 1]], domain="com.microsoft" if custom else "")
        for i, (op, custom) in enumerate(ops)
    ]
    shape = (1, 16, 8, 8)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def test_the_breakdown_adds_up(predictor):
    result = predict_onnx(random_networks.random_network(900, "inverted"), predictor)
    assert not result.unpredicted
    total = sum(ms for _, ms in result.by_operator().values())
    assert result.predicted_ms == pytest.approx(result.call_ms + total)
    assert sum(count for count, _ in result.by_operator().values()) == len(result.kernels)
    costs = [ms for _, ms in result.by_operator().values()]
    assert costs == sorted(costs, reverse=True)
    narrow, wide = result.interval(0.5), result.interval(0.99)
    assert wide[0] < narrow[0] < result.predicted_ms < narrow[1] < wide[1]
    with pytest.raises(OptionError, match="confidence lies between 0 and 1"):
        result.interval(95)


def test_operators_that_nobody_measured_are_listed_and_strict_fails(predictor):
    data = model_of(("Cosh", False), ("Relu", False))
    result = predict_onnx(data, predictor)
    assert [kernel.op for kernel in result.unpredicted] == ["Cosh"]
    assert result.unpredicted[0].ms is None
    assert result.predicted_ms > result.call_ms
    with pytest.raises(KernelNotInTableError, match=r"1 of 2 kernels .*\(Cosh\)"):
        predict_onnx(data, predictor, strict=True)


def test_the_section_round_trips_and_keeps_its_scale(table, tmp_path):
    path = tmp_path / "t.json"
    table.save(path)
    again = LatencyTable.load(path)
    assert again.to_json() == table.to_json()
    assert again.kernels == table.kernels
    data = random_networks.random_network(901, "plain")
    slower = again.pooled(replace(again, reference_sessions_ms=(3 * again.reference_ms,)))
    expected = 2 * hwnas.predict_onnx(data, str(path)).predicted_ms
    assert hwnas.predict_onnx(data, slower).predicted_ms == pytest.approx(expected, rel=0.01)


def test_a_new_profile_without_kernels_keeps_those_of_the_earlier_one(table):
    bare = replace(table, kernels=None)
    kept = bare.pooled(table)
    assert kept.kernels is not None
    assert kept.kernels.entries.keys() == table.kernels.entries.keys()


def test_tables_that_cannot_predict_say_so(table, small_table):
    with pytest.raises(TableTargetError, match="hwnas profile --kernels"):
        KernelPredictor(small_table)
    wrong = replace(table.kernels, entries={"nonsense": table.call, **table.kernels.entries})
    with pytest.raises(TableFormatError, match="the table's kernels: unknown kernel 'nonsense'"):
        KernelPredictor(replace(table, kernels=wrong))


def test_a_killed_profile_goes_on(small_table, small_space, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.profilers.kernels._POOL", 9)
    journal = tmp_path / "j"
    plan = Plan(min_runs=3, max_runs=3)
    whole = KernelDevice()
    first = profile_kernels(
        small_table, small_space, whole, 30, plan=plan, journal=journal, n_networks=5
    )
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])
    device = KernelDevice()
    again = profile_kernels(
        small_table, small_space, device, 30, plan=plan, journal=journal, n_networks=5
    )
    assert device.runs < whole.runs - 2 * len(first.kernels.entries)  # only the last round
    assert again.kernels.entries.keys() == first.kernels.entries.keys()


def test_bad_requests(small_table, small_space):
    with pytest.raises(OptionError, match="at least 20 kernels"):
        profile_kernels(small_table, small_space, KernelDevice(), 5)
    int8 = replace(small_table, target=replace(small_table.target, precision="int8"))
    with pytest.raises(OptionError, match="on CPUs in fp32 only, got cpu in int8"):
        profile_kernels(int8, small_space, KernelDevice(), 50)
    card = replace(small_table, target=replace(small_table.target, kind="gpu"))
    with pytest.raises(OptionError, match="on CPUs in fp32 only, got gpu in fp32"):
        profile_kernels(card, small_space, KernelDevice(), 50)


def test_random_networks_are_valid_and_repeat():
    for style in random_networks.STYLES:
        data = random_networks.random_network(7, style)
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
        assert data == random_networks.random_network(7, style)
        assert data != random_networks.random_network(8, style)


def test_a_family_of_own_modules_is_predicted_kernel_by_kernel(table, monkeypatch):
    monkeypatch.setattr("hwnas.predictors.whole_networks._PREDICTED", 14)
    space = layered_space()
    own = hwnas.load_predictor(table, space)
    archs = space.sample(4, seed=3)
    wanted = [predict_onnx(space.to_onnx(arch), table).predicted_ms for arch in archs]
    assert own.predict(archs) == pytest.approx(wanted, rel=0.1)
    assert own.target == table.target
    low, high = own.predict_interval(archs, 0.5).T
    narrow = predict_onnx(space.to_onnx(archs[0]), table).interval(0.5)
    assert high[0] / low[0] > narrow[1] / narrow[0]
