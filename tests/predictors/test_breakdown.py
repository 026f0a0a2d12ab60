"""A network taken apart: parts add up, and say no more than what is known."""

from dataclasses import replace

import numpy as np
import pytest
from families import cnn, cnn_space
from problems import Bumpy, Plain

import hwnas
from hwnas import spaces
from hwnas.errors import ArchitectureError, OptionError
from hwnas.latency_tables import Estimate
from hwnas.predictors import LookedUpLatency, UnknownLatency, load_predictor
from hwnas.predictors.breakdown import breakdown
from hwnas.predictors.tensorrt.families import EngineFamilyPredictor
from hwnas.predictors.tensorrt.of_space import engine_times
from hwnas.predictors.whole_networks import WholeNetworkPredictor
from hwnas.spaces.tabulated import ArchitectureTable

CELLS = spaces.space("nasbench201")


@pytest.fixture(scope="module")
def predictor(small_table, small_space):
    return load_predictor(small_table, small_space)


def total_ms(told):
    return sum(part.ms for part in told.parts if part.ms is not None)


def by_name(told):
    assert len({part.name for part in told.parts}) == len(told.parts)
    return {part.name: part for part in told.parts}


def check_sums(space, told):
    """Parts add up, and MACs and parameters are those of the space."""
    arch = space.parse(told.architecture)
    assert sum(part.macs for part in told.parts) == told.macs == space.macs(arch)[0]
    assert sum(part.params for part in told.parts) == told.params == space.params(arch)[0]
    if told.predicted_ms is not None:
        assert total_ms(told) == pytest.approx(told.predicted_ms, rel=1e-12)


def test_parts_of_a_chain_are_the_entries_of_the_sum(predictor, small_space):
    arch = np.array([0, 6, 3, 2])
    told = breakdown(small_space, arch, predictor)
    check_sums(small_space, told)
    assert told.predicted_ms == predictor.predict(arch)[0]
    assert told.interval_ms == tuple(predictor.predict_interval(arch)[0])
    parts = by_name(told)
    cost, macs = predictor.cost, small_space.cost("macs")
    for decision, steps, count, choice in zip(
        small_space.decisions, cost.entries, macs.entries, arch, strict=True
    ):
        part = parts[decision.name]
        assert part.choice == decision.choices[choice].token
        assert part.ms == pytest.approx(steps[choice] * cost.unit, abs=cost.unit)
        assert part.macs == count[choice] * macs.unit
    assert [parts[d.name].source for d in small_space.decisions] == [
        "measured",
        "",
        *["measured"] * 2,
    ]
    assert parts["call and joins"].ms == pytest.approx(
        predictor.table.call.latency_ms, abs=6 * cost.unit
    )
    assert told.parts[0].name == "stem"


def test_an_alternative_is_what_the_predictor_says_of_it(predictor, small_space):
    arch = np.array([0, 6, 3, 2])
    told = breakdown(small_space, arch, predictor)
    for d, decision in enumerate(small_space.decisions):
        others = by_name(told)[decision.name].alternatives
        assert len(others) == len(decision.choices) - 1
        assert [o.ms_change for o in others] == sorted(o.ms_change for o in others)
        tokens = [choice.token for choice in decision.choices]
        for other in others:
            changed = arch.copy()
            changed[d] = tokens.index(other.choice)
            both = np.stack([arch, changed])
            for change, value in (
                (other.ms_change, predictor.predict(both)),
                (other.macs_change, small_space.macs(both)),
                (other.params_change, small_space.params(both)),
            ):
                assert change == value[1] - value[0] != 0


def test_an_estimated_entry_is_said_to_be_one(small_table, small_space):
    estimated = small_space.choice_workloads(1, 0)[0]
    ms = small_table.latency_ms(estimated)
    workloads = {k: m for k, m in small_table.workloads.items() if k != estimated.key}
    table = replace(small_table, workloads=workloads, estimates={estimated.key: Estimate(ms, 0.1)})
    told = breakdown(small_space, [0, 0, 3, 2], load_predictor(table, small_space))
    parts = by_name(told)
    block = parts[small_space.decisions[1].name]
    assert block.source == "estimated"
    assert parts[small_space.decisions[2].name].source == "measured"
    assert block.high_ms - block.ms == pytest.approx(1.96 * 0.1 * block.ms)
    assert block.ms - block.low_ms == pytest.approx(1.96 * 0.1 * block.ms)


def test_without_a_predictor_and_without_latencies_there_are_no_milliseconds(small_space):
    for unknown in (None, UnknownLatency(small_space)):
        told = breakdown(small_space, [0, 6, 3, 2], unknown)
        check_sums(small_space, told)
        assert told.predicted_ms is told.interval_ms is None
        assert {part.ms for part in told.parts} == {None}
        changes = [o.ms_change for part in told.parts for o in part.alternatives]
        assert len(changes) == sum(small_space.n_choices) - 4
        assert set(changes) == {None}


def test_of_an_own_predictor_only_what_choices_add_is_told(predictor, small_space):
    arch = np.array([0, 1, 3, 2])
    for source, said in ((Plain(predictor), ""), (Bumpy(predictor), "comes near")):
        own = load_predictor(source, small_space)
        told = breakdown(small_space, arch, own)
        check_sums(small_space, told)
        parts = by_name(told)
        assert parts["stem"].ms is None
        assert "tells no parts" in told.note
        assert said in told.note
        for d, decision in enumerate(small_space.decisions):
            steps = own.cost.entries[d]
            added = (steps[arch[d]] - steps.min()) * own.cost.unit
            assert parts[decision.name].ms == pytest.approx(added)
            assert parts[decision.name].source == "modelled"
    assert told.predicted_ms == own.predict(arch)[0]


def test_a_dead_operator_takes_no_time_and_changes_nothing():
    times = engine_times(hwnas.predictors.parse_engine("v100-tensorrt-fp16"))
    fused = hwnas.predictors.EnginePredictor(times, CELLS)
    # node 1 is read by nobody: the operator that leads to it is dead
    arch = CELLS.parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    )
    told = breakdown(CELLS, arch, fused)
    check_sums(CELLS, told)
    parts = by_name(told)
    assert (parts["edge10"].ms, parts["edge10"].source) == (0.0, "")
    assert parts["edge10"].macs > 0  # as everywhere, since it is there
    assert parts["edge10"].alternatives == ()
    assert parts["edge20"].source == "estimated"
    assert parts["edge20"].ms > parts["edge32"].ms > 0
    assert parts["call and joins"].ms == pytest.approx(0.0, abs=1e-6)  # sums are fused


def test_what_cuts_a_network_is_no_alternative():
    arch = CELLS.parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    parts = by_name(breakdown(CELLS, arch))
    assert {o.choice for o in parts["edge30"].alternatives} == {
        *("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    }


def test_what_joins_unused_states_is_a_part_of_its_own():
    space = spaces.space("nao", repeats=1, channels=8)
    table = hwnas.predictors.engine_table(
        space, engine_times(hwnas.predictors.parse_engine("v100-tensorrt-fp32"))
    )
    told = breakdown(space, space.sample(1, seed=3)[0], load_predictor(table, space))
    check_sums(space, told)
    assert by_name(told)["output.join"].ms > 0


def test_of_a_table_that_lacks_rows_others_are_told():
    archs = CELLS.sample(40, seed=0)
    archs = np.unique(archs[CELLS.connected(archs)], axis=0)
    near = archs[0].copy()
    near[0] = (near[0] + 1) % 5
    rows = np.unique(np.concatenate([archs, near[None]]), axis=0)
    known = LookedUpLatency(ArchitectureTable(CELLS, rows, 1.0 + np.arange(len(rows)), "t.csv:ms"))
    told = breakdown(CELLS, archs[0], known)
    assert told.predicted_ms == known.predict(archs[0])[0]
    assert total_ms(told) == pytest.approx(told.predicted_ms)
    changes = {
        (part.name, other.choice): other.ms_change
        for part in told.parts
        for other in part.alternatives
    }
    choice = CELLS.decisions[0].choices[near[0]].token
    expected = known.predict(near)[0] - told.predicted_ms
    assert changes.get(("edge10", choice), expected) == pytest.approx(expected)
    assert None in changes.values()
    with pytest.raises(ArchitectureError, match="has no row"):
        breakdown(CELLS, [0, 0, 0, 1, 0, 0], known)


def test_of_own_modules_the_layers_are_told():
    space = cnn_space()
    archs = space.sample(12, seed=0)
    archs = np.unique(archs, axis=0)
    ms = {space.format(arch): 0.1 + float(space.macs(arch)[0]) / 1e6 for arch in archs}
    engine = hwnas.predictors.parse_engine("v100-tensorrt-fp32")
    known = WholeNetworkPredictor(space, ms, engine.target)
    arch = archs[3]
    told = breakdown(space, arch, known)
    assert told.predicted_ms == known.predict(arch)[0]
    assert total_ms(told) == pytest.approx(told.predicted_ms)
    assert sum(part.macs for part in told.parts if part.macs is not None) == told.macs
    layers = [part for part in told.parts if part.source == "modelled" and part.name != "rest"]
    (first,) = (part for part in layers if "conv" in part.name and " 3-" in part.name)
    width, kernel = (space.decisions[d].choices[arch[d]].token for d in (0, 2))
    assert first.name == f"1x conv {kernel}x{kernel} 3-{width}, 16 positions"
    assert first.macs == 3 * int(width) * int(kernel) ** 2 * 16
    assert sum("conv" in part.name for part in layers) == 2
    assert sum("linear" in part.name for part in layers) == 1
    assert "modelled from whole networks" in told.note
    decided = told.parts[: len(space.decisions)]
    assert [part.name for part in decided] == ["w1", "w2", "k1", "k2"]
    assert {part.ms for part in decided} == {None}
    assert all(part.alternatives for part in decided)


def test_of_own_modules_on_a_card_of_others_the_kernels_are_told():
    space = hwnas.family(
        cnn, {"w1": [8], "w2": [12, 16], "k1": [3], "k2": [3]}, input_shape=(3, 8, 8)
    )
    times = engine_times(hwnas.predictors.parse_engine("v100-tensorrt-fp32"))
    told = breakdown(space, [0, 0, 0, 0], EngineFamilyPredictor(times, space))
    assert total_ms(told) == pytest.approx(told.predicted_ms)
    assert by_name(told)["rest"].ms == pytest.approx(0.0, abs=1e-12)
    assert sum(part.macs for part in told.parts if part.macs is not None) == told.macs
    assert by_name(told)["convolution 3x3"].source == "estimated"


def test_where_nothing_is_chosen_there_is_no_alternative():
    space = spaces.space("shufflenet", blocks="3", input_size=32)
    told = breakdown(space, [0] * len(space.decisions))
    check_sums(space, told)
    assert not any(part.alternatives for part in told.parts)


def test_a_predictor_of_another_space_is_refused(predictor):
    with pytest.raises(OptionError, match="load the predictor for this space"):
        breakdown(CELLS, [1, 1, 1, 1, 1, 1], predictor)


def test_an_object_that_knows_no_cost_is_told_why(small_space):
    class Broken:
        def predict(self, archs):
            if len(archs) > 100:
                raise RuntimeError("too many")
            return np.ones(len(archs))

    with pytest.raises(OptionError, match="too many"):
        breakdown(small_space, [0, 6, 3, 2], load_predictor(Broken(), small_space))
    with pytest.raises(ArchitectureError, match="4"):
        breakdown(small_space, [0, 6, 3])
