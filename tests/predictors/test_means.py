"""Means of operators that somebody else measured: added up, and no interval made of them."""

import json

import pytest

from hwnas import spaces
from hwnas.errors import OptionError, TableFormatError, WorkloadNotInTableError
from hwnas.predictors import MeansPredictor, known_interval, load_predictor
from hwnas.progress import silent
from hwnas.search.deployment import deploy
from hwnas.search.options import TargetOptions

#: One block of six choices between a fixed one and the head; two rows of one operator.
PHONE = """op,input,output,expand,kernel,stride,skip,mean_ms
Conv,32x32x3,16x16x8,,3,2,,3.0
expanded_conv,16x16x8,16x16x8,1,3,1,1,2.0
expanded_conv,16x16x8,8x8x16,3,3,2,0,4.0
expanded_conv,16x16x8,8x8x16,3,5,2,0,4.5
expanded_conv,16x16x8,8x8x16,3,7,2,0,5.5
expanded_conv,16x16x8,8x8x16,6,3,2,0,7.0
expanded_conv,16x16x8,8x8x16,6,5,2,0,8.0
expanded_conv,16x16x8,8x8x16,6,7,2,0,9.0
expanded_conv,16x16x8,8x8x16,6,7,2,0,10.0
Conv_1,8x8x16,8x8x32,,1,1,,0.5
Logits,8x8x32,10,,,,,0.25
"""
FIXED_MS = 3.0 + 2.0 + 0.5 + 0.25
CHOICES_MS = {"k3e3": 4.0, "k5e3": 4.5, "k7e3": 5.5, "k3e6": 7.0, "k5e6": 8.0, "k7e6": 9.5}


@pytest.fixture(scope="module")
def space():
    return spaces.space(
        "proxyless",
        input_size=32,
        classes=10,
        stage_widths=(16,),
        stage_depths=(1,),
        stage_strides=(2,),
        first_width=8,
        stem_width=8,
        head_width=32,
    )


@pytest.fixture
def written(tmp_path):
    def write(content, name="phone.csv"):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def test_a_network_takes_the_sum_of_its_operators(space, written):
    predictor = load_predictor(written(PHONE), space)
    for choice, ms in CHOICES_MS.items():
        assert predictor.predict([space.parse(choice)]) == pytest.approx([FIXED_MS + ms])
    assert predictor.cost.minimum()[1] == pytest.approx(FIXED_MS + 4.0)


def test_no_interval_is_made_up(space, written):
    predictor = load_predictor(written(PHONE), space)
    assert known_interval(predictor, space.sample(3, seed=0)) is None
    assert "unknown" in predictor.notes["spread"]
    assert "phone.csv" in predictor.target


def test_a_search_takes_it(space, written, tmp_path):
    deployed = deploy(
        space, str(written(PHONE)), tmp_path / "kept", TargetOptions(), progress=silent
    )
    assert isinstance(deployed.predictor, MeansPredictor)
    assert (deployed.table, deployed.measure) == (None, None)


def test_workloads_may_be_named_as_hwnas_names_them(space, written):
    rows = [f'"{w.key}",{at + 1}' for at, w in enumerate(space.distinct_workloads)]
    predictor = load_predictor(written("\n".join(["workload,mean_ms", *rows])), space)
    keys = [w.key for w in space.distinct_workloads]
    (chosen,) = space.choice_workloads(0, 2)
    expected = sum(keys.index(w.key) + 1 for w in (*space.fixed_workloads, chosen))
    assert predictor.predict([[2]]) == pytest.approx([expected])


def test_a_table_without_spread_holds_means(space, written):
    """Its entries are of operators alone, each with a call in it."""
    keys = [w.key for w in space.distinct_workloads]
    record = {
        "format": "hwnas-latency-table",
        "target": {"device": "Pixel 2"},
        "space": {"name": space.name, "arguments": dict(space.arguments)},
        "call": {"latency_ms": 0.5},
        "workloads": {key: {"latency_ms": 2.0} for key in keys},
    }
    predictor = load_predictor(written(json.dumps(record), "phone.json"))
    operators = len(space.fixed_workloads) + 1
    assert predictor.predict([[0]]) == pytest.approx([0.5 + operators * 1.5])
    assert "Pixel 2" in predictor.target
    assert predictor.space.identifier == space.identifier


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (PHONE.replace("Logits", "logits"), WorkloadNotInTableError, "lacks 1 of the 10 .*Logits"),
        (PHONE.replace(",4.5", ",-1"), TableFormatError, "line 5 .* above 0, got '-1'"),
        (PHONE.replace(",4.5", ",nan"), TableFormatError, "line 5 .* above 0, got 'nan'"),
        ("block0,latency_ms\nk3e3,5\n", TableFormatError, "columns block0, latency_ms; means"),
    ],
)
def test_what_does_not_hold_them_is_named(space, written, content, error, says):
    with pytest.raises(error, match=says):
        load_predictor(written(content), space)


def test_it_does_not_say_its_space(written):
    with pytest.raises(OptionError, match="--space NAME"):
        load_predictor(written(PHONE))


def test_cells_are_no_sums(written):
    with pytest.raises(OptionError, match="networks of nasbench201 are no such sums"):
        load_predictor(written(PHONE), spaces.space("nasbench201", input_size=8))
