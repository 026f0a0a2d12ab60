"""From what a person names as a table or predictor to what predicts and what measures."""

from dataclasses import replace

import pytest
from problems import Bumpy

from hwnas import spaces
from hwnas.errors import HwnasError, OptionError, TableFormatError
from hwnas.latency_tables import LatencyTable
from hwnas.onnx_graph import to_onnx
from hwnas.predictors import LatencyRegressor, load_predictor
from hwnas.progress import silent
from hwnas.search.deployment import deploy, read_source
from hwnas.search.job import Request, prepare
from hwnas.search.options import TargetOptions
from hwnas.testing import SyntheticRuntime


@pytest.fixture
def deployed(tmp_path):
    """Deploys a space with a source; ``kept`` is the table of a run, which is not there."""

    def run(space, source, kept=tmp_path / "none", device="auto", **options):
        target = TargetOptions(**options)
        return deploy(space, source, kept, target, device=device, verify_seconds=0, progress=silent)

    return run


@pytest.fixture(scope="module")
def five(small_space):
    """The small space with another head."""
    return spaces.space("proxyless", **{**small_space.arguments, "classes": 5})


def head(space):
    (found,) = [w for w in space.distinct_workloads if w.key.startswith("ConvHead")]
    return found


# Classes


def test_a_table_of_a_thousand_classes_serves_digits(deployed, said):
    request = Request(None, "digits", ["latency<=6ms"], predictor="amd-epyc-1thread")
    job = prepare(request)
    assert (job.space.classes, job.proxy.classes) == (1000, 10)
    assert job.space.input_shape == (3, 224, 224)
    found = deployed(job.space, job.source)
    assert found.table.estimates == {}
    assert "estimated" not in said()


def test_with_other_classes_the_head_is_estimated_elsewhere_and_that_is_said(deployed, said):
    request = Request(
        None,
        "digits",
        ["latency<=6ms"],
        predictor=replace(
            LatencyTable.load("amd-epyc-1thread"),
            target=SyntheticRuntime(name="elsewhere").target("fp32", 1),
        ),
        settings={"classes": 10},
    )
    job = prepare(request)
    assert job.space.classes == 10
    found = deployed(job.space, job.source)
    assert set(found.table.estimates) == {head(job.space).key}
    assert found.measure is None
    assert f"({head(job.space).key}) of proxyless: estimated, not measured" in said()


@pytest.mark.usefixtures("synthetic")
def test_with_other_classes_the_head_is_measured_where_the_device_is_here(
    deployed, small_table, five, said
):
    found = deployed(five, small_table)
    assert found.table.estimates == {}
    truth = SyntheticRuntime().true_ms(to_onnx(head(five).graph()))
    assert found.table.latency_ms(head(five)) == pytest.approx(truth, rel=0.1)
    assert "measuring it now" in said()
    assert found.differences == []


# The device


@pytest.mark.usefixtures("synthetic")
def test_here_it_measures_what_it_predicts(deployed, small_space, small_table, tmp_path, said):
    found = deployed(small_space, small_table)
    arch = small_space.sample(1, seed=0)
    measured = found.measure(small_space.to_onnx(arch[0]), silent)
    assert measured["latency_ms"] == pytest.approx(found.predictor.predict(arch)[0], rel=0.1)
    found.tell(tmp_path)
    assert "latency table: " in said()


def test_elsewhere_nothing_is_measured_and_it_says_what_to_do(
    deployed, small_space, small_table, tmp_path, said
):
    found = deployed(small_space, small_table)
    assert found.measure is None
    assert found.differences
    found.tell(tmp_path)
    assert "the table was measured elsewhere" in said()
    assert f"copy the folder {tmp_path} to that machine and run 'hwnas verify {tmp_path}'" in said()


def test_a_predictor_in_words_measures_nothing_and_says_so(
    deployed, small_space, small_table, tmp_path, said
):
    own = Bumpy(load_predictor(small_table, small_space))
    own.target = "the phone of a friend"
    found = deployed(small_space, own, precision="int8", threads=4)  # nothing to compare with
    assert (found.table, found.measure, list(found.differences)) == (None, None, [])
    found.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    found.tell(tmp_path)
    assert "latencies are predicted, not of a table (the phone of a friend)" in said()


@pytest.mark.usefixtures("synthetic")
def test_a_predictor_of_this_machine_measures_here(deployed, small_space, small_table):
    own = Bumpy(load_predictor(small_table, small_space))
    own.target = SyntheticRuntime().target("fp32", 1)
    found = deployed(small_space, own)
    arch = small_space.sample(1, seed=0)
    truth = SyntheticRuntime().true_ms(small_space.to_onnx(arch[0]))
    measured = found.measure(small_space.to_onnx(arch[0]), silent)
    assert measured["latency_ms"] == pytest.approx(truth, rel=0.1)
    with pytest.raises(OptionError, match="--batch 2 does not fit the table"):
        deployed(small_space, own, batch=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "--precision int8 does not fit the table.* with precision fp32"),
        ({"batch": 8}, "--batch 8 does not fit the table.* with batch 1"),
        ({"threads": 4}, "--threads 4 does not fit the table.* with threads 1"),
        ({"runtime": "tensorrt"}, "--runtime tensorrt does not fit.* with runtime synthetic"),
        ({"device": "gpu"}, "--device gpu does not fit the table.* with device cpu"),
    ],
)
def test_flags_that_do_not_fit_the_table_are_refused(
    deployed, small_space, small_table, options, message
):
    with pytest.raises(OptionError, match=message):
        deployed(small_space, small_table, **options)


# The table of a run


def test_a_run_goes_on_with_the_table_that_it_began_with(
    deployed, small_space, small_table, tmp_path, said
):
    begun = deployed(small_space, small_table)
    begun.save(tmp_path)
    kept = tmp_path / "table.json"
    key = small_space.distinct_workloads[0].key
    entry = small_table.workloads[key]
    slower = replace(entry, latency_ms=2 * entry.latency_ms)
    other = replace(small_table, workloads={**small_table.workloads, key: slower})
    assert deployed(small_space, other).digest != begun.digest
    again = deployed(small_space, other, kept)
    assert again.digest == begun.digest
    words = "going on with the table that this run began with; the one given is another by now"
    assert words in said()
    other.save(tmp_path / "other.json")
    deployed(small_space, str(tmp_path / "other.json"), kept)
    assert f"began with; {tmp_path / 'other.json'} is another by now" in said()


def test_the_same_table_completed_by_the_run_is_no_other(
    deployed, five, small_table, tmp_path, said, monkeypatch
):
    monkeypatch.setattr("hwnas.predictors.workloads._LEAST", 5)
    begun = deployed(five, small_table)
    assert len(begun.table.estimates) == 1
    begun.save(tmp_path)
    again = deployed(five, small_table, tmp_path / "table.json")
    assert again.digest == begun.digest
    assert "going on with" not in said()


# Sources


def test_sources_are_told_apart(small_table, tmp_path):
    path = tmp_path / "table.json"
    small_table.save(path)
    assert isinstance(read_source(path), LatencyTable)
    assert isinstance(read_source(str(path)), LatencyTable)
    assert isinstance(read_source("amd-epyc-1thread"), LatencyTable)
    for source in ("v100-ofa-b1", "fitted.npz", "own.py:NAME", "package.module:NAME", None, 5):
        assert read_source(source) == source
    with pytest.raises((TableFormatError, HwnasError), match="no-such"):
        read_source("no-such-table")


def test_what_is_no_predictor_is_refused(deployed, small_space):
    with pytest.raises(OptionError, match="a predictor is an object with predict"):
        deployed(small_space, object())


def test_digests_tell_predictors_apart(deployed, small_space, small_table):
    table = load_predictor(small_table, small_space)
    archs = small_space.sample(60, seed=0)
    fitted = LatencyRegressor(small_space).fit(archs, table.predict(archs))
    found = {
        deployed(small_space, source).digest
        for source in (
            small_table,
            Bumpy(table),
            fitted,
            LatencyRegressor(small_space).fit(archs, 2 * table.predict(archs)),
        )
    }
    assert len(found) == 4
    assert deployed(small_space, Bumpy(table)).digest in found


def test_the_folder_of_a_search_follows_from_what_an_own_predictor_predicts(
    deeper, deeper_predictor, digits
):
    table = deeper_predictor

    def folder(own):
        return prepare(Request(deeper, digits, ["macs<=1G"], predictor=own)).out

    class Slower(Bumpy):
        def predict(self, archs):
            return 2 * super().predict(archs)

    assert folder(Bumpy(table)) == folder(Bumpy(table))
    Slower.__name__ = "Bumpy"
    assert folder(Bumpy(table)) != folder(Slower(table))
