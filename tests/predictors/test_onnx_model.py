from dataclasses import replace
from hashlib import sha256
from typing import ClassVar

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
    macs, *moved = work(kernel)[:4]
    slow = 2.0 if kernel.family.endswith("depthwise") else 1.0
    return 0.002 + slow * float(macs / 20e6 + sum(moved) / 10e6)


class KernelDevice(SyntheticRuntime):
    """A run takes the sum over the kernels that ONNX Runtime makes of the model."""

    known: ClassVar[dict[bytes, float]] = {}  # a model is split once, however often it is loaded

    def true_ms(self, model):
        digest = sha256(model).digest()
        if digest not in self.known:
            self.known[digest] = CALL_MS + sum(true_ms(piece.kernel) for piece in split(model))
        return self.known[digest]


@pytest.fixture(scope="module")
def table(small_table, small_space):
    device = KernelDevice(name=small_table.target.device)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hwnas.profilers.kernels._POOL", 27)
        patched.setattr("hwnas.profilers.kernels._LOOSE", 2)
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
    monkeypatch.setattr("hwnas.profilers.kernels._LOOSE", 0)
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


def test_loose_kernels_load_run_and_hold_many_kinds():
    from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu

    data = random_networks.random_network(3, random_networks.LOOSE)
    assert data == random_networks.random_network(3, random_networks.LOOSE)
    pieces = split(data)
    families = {piece.kernel.family for piece in pieces}
    assert len(families) > 35
    for seed in (5, 7):
        more = split(random_networks.random_network(seed, random_networks.LOOSE))
        families |= {piece.kernel.family for piece in more}
    assert families >= {
        *("DynamicQuantizeLSTM", "InstanceNormalization", "IsNaN", "MatMulIntegerToFloat int8"),
        *("NhwcMaxPool int8", "QLinearConcat int8", "QLinearConv dense signed int8"),
        *("BatchNormalization", "DynamicQuantizeMatMul", "nchwc.Conv grouped"),
    }
    assert {"LSTM", "GRU", "Resize", "ConvTranspose dense", "MatMul"} & families
    assert all(piece.kernel.static for piece in pieces if not piece.kernel.no_op)
    cpu = OnnxRuntimeCpu(1)
    small = [p for p in pieces if not p.kernel.no_op and p.kernel.elements_constant < 10_000]
    for piece in small[::3]:
        assert cpu.load(piece.to_onnx(), warm=True)() > 0


def test_positions_are_drawn_from_the_rows_that_they_pick_from():
    """Ones would read one row, which is in the cache; random bytes would be no positions."""
    from hwnas.profilers.onnxruntime_sessions import load_session

    data = random_networks.random_network(2, "encoder")
    (piece,) = [p for p in split(data) if p.kernel.positions and not p.kernel.inputs[1].constant]
    kept = []
    load_session(piece.to_onnx(), 1, kept=kept)()
    ids = kept[0][0]
    assert ids.dtype == np.int64
    assert 0 <= ids.min() < ids.max() < piece.kernel.positions[1]
    assert len(np.unique(ids)) > 5


def test_signs_that_a_kernel_branches_at_are_alike_in_stretches():
    """Each at random they would take ten times as long as in a row."""
    from hwnas.profilers.onnxruntime_sessions import in_stretches, load_session

    values = np.array([[1.0, -2, 3], [-4, -5, 6]])
    assert in_stretches(values, 2).tolist() == [[1, 2, 3], [4, -5, -6]]
    net = random_networks.DrawnGraph(np.random.default_rng(0), 1, 8)
    slope = net.const(np.full((1, 1), 0.1, np.float32))
    made = [
        net.op("PRelu", net.take(1, 8, 100), slope, shape=(1, 8, 100)),
        net.op("LeakyRelu", net.take(1, 8, 100), shape=(1, 8, 100)),
    ]
    changes = {}
    for piece in split(net.model(*made)):
        kept = []
        load_session(piece.to_onnx(), 1, kept=kept)()
        signs = np.sign(kept[0][0].ravel())
        changes[piece.kernel.op] = float((signs[1:] != signs[:-1]).mean())
    assert changes["PRelu"] == pytest.approx(0.5 / 4, abs=0.04)
    assert changes["LeakyRelu"] == pytest.approx(0.5, abs=0.08)


def kernel_of(key):
    from hwnas.kernels import parse_kernel

    return parse_kernel(key)


def test_what_is_far_from_all_measured_kernels_is_named_and_widens_the_interval(predictor):
    near = kernel_of("Add{}(1x16x32x32,1x16x32x32)->(1x16x32x32)")
    far = kernel_of("Add{}(1x1600x320x320,w1x1600x320x320)->(1x1600x320x320)")
    assert predictor.outside([near, far])[0] == ()
    assert "bytes of weights" in predictor.outside([near, far])[1]
    spreads = [predictor.spread([kernel], predictor.predict([kernel])) for kernel in (near, far)]
    assert spreads[1] > 2 * spreads[0]


def test_a_kernel_that_branches_at_signs_is_unsure(predictor):
    plain = kernel_of("Add{}(1x16x32x32,1x16x32x32)->(1x16x32x32)")
    branching = replace(plain, op="PRelu")
    predictor._families[branching.family] = predictor._families[plain.family]
    ms = predictor.predict([plain])
    one, other = (predictor.spread([kernel], ms) for kernel in (plain, branching))
    share = ms[0] / (ms[0] + predictor.call_ms)
    assert other**2 - one**2 == pytest.approx((0.6 * share) ** 2)


def test_coming_to_a_node_takes_time_even_where_nothing_runs(predictor):
    view = Kernel("Reshape", (), (), ())
    assert predictor.call_ms + predictor.node_ms == pytest.approx(
        predictor.table.kernels.call.latency_ms
    )
    assert predictor.predict([view, view]) == pytest.approx(
        [predictor.calibration.scale * predictor.node_ms] * 2
    )
    assert predictor.node_ms > 0


def test_kernels_of_a_family_share_what_it_takes_to_start_the_first(predictor):
    kernel = kernel_of("Add{}(1x64x32x32,1x64x32x32)->(1x64x32x32)")
    other = kernel_of("Softmax{axis=-1}(1x4x128x128)->(1x4x128x128)")
    alone = predictor.predict([kernel])[0]
    model = predictor._families[kernel.family]
    start = alone * float(model.start_share(work(kernel)[None])[0])
    own = 0.3 * predictor.call_ms * predictor.calibration.scale
    five = predictor.predict([kernel] * 5)
    assert five == pytest.approx([alone - max(start - own, 0) * 4 / 5] * 5)
    assert predictor.predict([kernel, other])[0] == pytest.approx(alone)  # of another family


COLD_MS, OWN_MS = 0.012, 0.003


def cold_ms(counts):
    """A device where the first of a family waits for its code, and each for memory of its own."""
    run = [(kernel, n) for kernel, n in counts.items() if not kernel.no_op]
    families = {kernel.family for kernel, _ in run}
    each = sum(n * (OWN_MS + float(sum(work(kernel)[:4])) / 40e6) for kernel, n in run)
    return CALL_MS + COLD_MS * len(families) + each


def test_many_small_convolutions_of_bytes_do_not_each_pay_for_the_code(table):
    def taking(ms):
        return replace(table.call, latency_ms=ms)

    record = replace(
        table.kernels,
        call=taking(CALL_MS),
        entries={key: taking(cold_ms({kernel_of(key): 1})) for key in table.kernels.entries},
        networks={
            name: replace(
                network,
                measurement=taking(cold_ms({kernel_of(k): n for k, n in network.kernels.items()})),
            )
            for name, network in table.kernels.networks.items()
        },
    )
    known = "w1,wuint8:1,wint8:64x{}x1x1,w1,wint8:1,w1,wuint8:1"
    dense, depthwise = (
        kernel_of(
            f"QLinearConv{{channels_last=1,group={group}}}"
            f"(uint8:1x6x6x64,{known.format(64 // group)})->(uint8:1x6x6x64)"
        )
        for group in (1, 64)
    )
    predictor = KernelPredictor(replace(table, kernels=record))
    predicted = predictor.call_ms + predictor.predict([dense, depthwise] * 12).sum()
    assert predicted == pytest.approx(cold_ms({dense: 12, depthwise: 12}), rel=0.15)


def test_errors_of_one_kernel_that_runs_often_do_not_average_out(predictor):
    kernel = kernel_of("nchwc.Conv{group=1}(1x64x28x28,w64x64x3x3,w64)->(1x64x28x28)")
    other = kernel_of("Softmax{axis=-1}(1x4x128x128)->(1x4x128x128)")
    ms = predictor.predict([kernel, other])
    one = predictor.spread([kernel], ms[:1])
    many = predictor.spread([kernel] * 9, np.repeat(ms[:1], 9))
    assert many > 0.9 * one  # were they independent, a third of it
    total = ms + predictor.call_ms
    alone = [predictor.spread([k], ms[at : at + 1]) for at, k in enumerate((kernel, other))]
    both = predictor.spread([kernel, other], ms) * (predictor.call_ms + ms.sum())
    call = predictor.spread([], np.zeros(0)) * predictor.call_ms  # is in each of them, once in both
    assert both**2 == pytest.approx(((total * alone) ** 2).sum() - call**2)
    assert call == pytest.approx(0.3 * predictor.call_ms)


def test_the_interval_has_the_spread_of_this_model(predictor):
    result = predict_onnx(random_networks.random_network(900, "inverted"), predictor)
    assert result.spread > predictor.systematic
    low, high = result.interval(0.95)
    from scipy import stats

    quantile = stats.t.ppf(0.975, result.count - 1)
    assert high / result.predicted_ms == pytest.approx(np.exp(quantile * result.spread))
    assert low * high == pytest.approx(result.predicted_ms**2)
    assert replace(result, spread=None).interval(0.95) == pytest.approx(
        (
            result.predicted_ms * np.exp(-quantile * result.residual),
            result.predicted_ms * np.exp(quantile * result.residual),
        )
    )


def test_two_draws_of_kernels_agree_within_their_intervals(table):
    """Two tables that hold every other kernel of each family, and small families whole."""
    families = {}
    for key, entry in table.kernels.entries.items():
        families.setdefault(kernel_of(key).family, []).append((key, entry))
    first, second = (
        KernelPredictor(replace(table, kernels=replace(table.kernels, entries=dict(kept))))
        for kept in (
            [
                pair
                for found in families.values()
                for pair in (found[at::2] if len(found) > 7 else found)
            ]
            for at in (0, 1)
        )
    )
    compared = 0
    for seed, style in ((900, "inverted"), (901, "encoder"), (902, "residual"), (903, "plain")):
        data = random_networks.random_network(seed, style)
        one, other = (predict_onnx(data, predictor) for predictor in (first, second))
        low, high = one.interval(0.99)
        assert low <= other.predicted_ms <= high, style
        compared += not one.unpredicted
    assert compared >= 2


def test_a_family_of_own_modules_is_predicted_kernel_by_kernel(table, predictor, monkeypatch):
    monkeypatch.setattr("hwnas.predictors.whole_networks._PREDICTED", 14)
    space = layered_space()
    own = hwnas.load_predictor(table, space)
    archs = space.sample(4, seed=3)
    wanted = [predict_onnx(space.to_onnx(arch), predictor).predicted_ms for arch in archs]
    assert own.predict(archs) == pytest.approx(wanted, rel=0.1)
    assert own.target == table.target
    low, high = own.predict_interval(archs, 0.5).T
    narrow = predict_onnx(space.to_onnx(archs[0]), predictor).interval(0.5)
    assert high[0] / low[0] > narrow[1] / narrow[0]
