import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hwnas.errors import TableFormatError, WorkloadNotInTableError
from hwnas.latency_tables import (
    Estimate,
    LatencyTable,
    Measurement,
    SpaceRecord,
    all_tables,
    check_table,
    default_path,
    earlier_profile,
    find_table,
    shipped,
    table_path,
    tables_folder,
)
from hwnas.ops import Identity, MBConv, Workload


def damaged(table, *path, value):
    record = json.loads(table.to_json())
    at = record
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(record)


def test_round_trip(small_table, tmp_path):
    small_table.save(tmp_path / "deep" / "t.json")
    assert LatencyTable.load(tmp_path / "deep" / "t.json").to_json() == small_table.to_json()


def test_a_failed_save_keeps_the_old_table(small_table, tmp_path, monkeypatch):
    path = tmp_path / "t.json"
    small_table.save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace(small_table, reference_ms=1.0).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["t.json"]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("reference_ms",), -1, "reference_ms: Input should be greater than 0"),
        (("reference_ms",), float("nan"), "finite number"),
        (("schema_version",), 2, "schema_version"),
        (("format",), "other", "format"),
        (("target", "precision"), "fp12", "precision"),
        (("target", "batch"), 0, "batch"),
        (("target", "colour"), "red", "colour"),
        (("call",), None, "call"),
        (("workloads",), [], "workloads"),
        (("unknown",), 1, "unknown"),
    ],
)
def test_every_deviation_from_the_schema_is_named(small_table, path, value, says):
    with pytest.raises(TableFormatError, match=says):
        LatencyTable.from_json(damaged(small_table, *path, value=value), "t.json")


def test_negative_entries_and_zero_runs_are_refused(small_table):
    key = next(iter(small_table.workloads))
    for name, value in (("latency_ms", -0.1), ("latency_ms", 0), ("runs", 0), ("p10_ms", "fast")):
        text = damaged(small_table, "workloads", key, name, value=value)
        with pytest.raises(TableFormatError, match=name):
            LatencyTable.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"hwnas-latency-table"', "\x80\x04pickle"])
def test_what_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TableFormatError, match="is not a latency table of schema 1"):
        LatencyTable.load(path)


def test_a_missing_file_says_what_there_is(tmp_path):
    with pytest.raises(TableFormatError, match=r"no latency table at .*nowhere\.json"):
        LatencyTable.load(tmp_path / "nowhere.json")
    with pytest.raises(TableFormatError, match="no latency table at"):
        LatencyTable.load(tmp_path)


def test_a_missing_workload_is_an_error_that_names_the_nearest(small_table):
    absent = Workload(MBConv(3, 3), 16, 16, 1, 9, 9)
    with pytest.raises(WorkloadNotInTableError, match=r"nearest MBConv\(kernel=3,expand=3\) in=16"):
        small_table.latency_ms(absent)
    assert small_table.latency_ms(Workload(Identity(), 16, 16, 1, 9, 9)) == 0.0
    assert small_table.missing([absent]) == [absent]


def test_tables_of_this_target_are_found_and_others_never(small_space, small_table):
    workloads = small_space.distinct_workloads
    target = small_table.target
    assert find_table(target, workloads) is None
    record = SpaceRecord(small_space.name, dict(small_space.arguments))
    small_table.save(default_path(target, record))
    found = find_table(target, workloads)
    assert found is not None
    assert found[1].to_json() == small_table.to_json()
    for change in (
        {"device": "another"},
        {"device_id": "another"},
        {"runtime_version": "2"},
        {"precision": "int8"},
        {"batch": 2},
        {"threads": 2},
    ):
        other = replace(target, **change)
        assert find_table(other, workloads) is None
        assert len(other.differences(target)) == 1
        assert default_path(other, record) != default_path(target, record)


def test_a_table_that_lacks_workloads_is_found_only_if_it_holds_enough(small_space, small_table):
    workloads = small_space.distinct_workloads
    kept = dict(list(small_table.workloads.items())[:-2])
    part = replace(small_table, workloads=kept)
    part.save(default_path(part.target, part.space))
    assert find_table(part.target, workloads) is None
    assert find_table(part.target, workloads, least=0.75) is not None
    assert find_table(part.target, workloads, least=1 - 1 / len(workloads)) is None


def test_profiles_of_one_machine_share_their_scale(small_table):
    own = small_table.reference_ms
    slower = replace(
        small_table,
        reference_ms=1.1 * own,
        reference_sessions_ms=(1.1 * own,),
        call=small_table.call.scaled(1.1),
        workloads={k: m.scaled(1.1) for k, m in small_table.workloads.items()},
        networks={k: m.scaled(1.1) for k, m in small_table.networks.items()},
    )
    pooled = slower.pooled(small_table)
    assert pooled.reference_sessions_ms == (own, 1.1 * own)
    assert pooled.reference_ms == pytest.approx(1.05 * own)
    for name in ("workloads", "networks"):
        for key, entry in getattr(small_table, name).items():
            again = getattr(pooled, name)[key]
            assert again.latency_ms == pytest.approx(1.05 * entry.latency_ms)
            assert again.p90_ms == pytest.approx(1.05 * entry.p90_ms)
            assert again.relative_error == entry.relative_error
    third = small_table.pooled(pooled)  # every profile counts once
    assert third.reference_ms == pytest.approx((own + 1.1 * own + own) / 3)
    for _ in range(20):
        third = small_table.pooled(third)
    assert third.reference_sessions_ms == (own,) * 8


def test_what_only_an_earlier_profile_measured_takes_the_place_of_estimates(small_table):
    key, entry = next(iter(small_table.workloads.items()))
    lacking = replace(
        small_table,
        reference_ms=2 * small_table.reference_ms,
        reference_sessions_ms=(2 * small_table.reference_ms,),
        workloads={k: m for k, m in small_table.workloads.items() if k != key},
        estimates={key: Estimate(1.0, 0.1), "other": Estimate(1.0, 0.1)},
    )
    pooled = lacking.pooled(small_table)
    assert pooled.workloads.keys() == small_table.workloads.keys()
    assert pooled.workloads[key].latency_ms == pytest.approx(1.5 * entry.latency_ms)
    assert list(pooled.estimates) == ["other"]


def test_a_key_that_is_no_workload_is_a_finding(small_table):
    key, entry = next(iter(small_table.workloads.items()))
    wrong = re.sub("stride=.", "stride=0", key)
    found = check_table(replace(small_table, workloads={**small_table.workloads, wrong: entry}))
    assert (wrong, "not a workload that this version knows") in [
        (finding.entry, finding.problem) for finding in found
    ]


def test_earlier_profiles_are_those_of_the_same_target_and_space(small_table):
    assert earlier_profile(small_table.target, small_table.space) is None
    small_table.save(default_path(small_table.target, small_table.space))
    found = earlier_profile(small_table.target, small_table.space)
    assert found is not None
    assert found.to_json() == small_table.to_json()
    assert earlier_profile(replace(small_table.target, threads=2), small_table.space) is None
    other = SpaceRecord("proxyless", {**small_table.space.arguments, "classes": 11})
    assert earlier_profile(small_table.target, other) is None


def test_a_table_of_a_path_reads_no_other(small_table, tmp_path, monkeypatch):
    home = tables_folder()
    for at in range(5):
        small_table.save(home / f"other-{at}.json")
    small_table.save(tmp_path / "t.json")
    read = []
    plain = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (read.append(self), plain(self))[1])
    monkeypatch.setattr(
        LatencyTable, "from_json", classmethod(lambda cls, text, source: read.append(source))
    )
    LatencyTable.load(table_path(str(tmp_path / "t.json")))
    assert [path for path in read if "other-" in str(path)] == []


def test_an_unknown_name_lists_the_tables(small_table):
    small_table.save(tables_folder() / "mine.json")
    with pytest.raises(TableFormatError, match=r"a table's name \(mine, amd-epyc-1thread"):
        LatencyTable.load(table_path("mein"))


def test_what_a_large_table_lacks_is_named_quickly(small_table):
    entry = small_table.call
    keys = [Workload(MBConv(3 + 2 * (n % 3), 3), 8 + n, 16, 1, 8, 8).key for n in range(20_000)]
    large = replace(small_table, workloads=dict.fromkeys(keys, entry))
    start = time.process_time()
    with pytest.raises(WorkloadNotInTableError, match=r"the nearest MBConv\(.*; MBConv\("):
        large.latency_ms(Workload(MBConv(3, 6), 8, 16, 1, 8, 8))
    assert time.process_time() - start < 2


def test_an_unreadable_table_does_not_hide_the_others(small_table):
    path = default_path(small_table.target, small_table.space)
    small_table.save(path)
    path.with_name("broken.json").write_text("{")
    mine = [found for name, _, found in all_tables() if name in ("broken", path.stem)]
    assert [type(found) for found in mine] == [TableFormatError, LatencyTable]


def test_checks_mark_spread_loose_medians_and_inversions(small_table):
    assert [f for f in check_table(small_table) if "spread" not in f.problem] == []
    small, large = (
        Workload(MBConv(3, 3), 16, 16, 1, 8, 8),
        Workload(MBConv(7, 6), 16, 16, 1, 8, 8),
    )
    ms = 0.2
    entries = {
        small.key: Measurement(ms, 0.01, ms * 0.9, ms * 1.1, 50),
        large.key: Measurement(ms * 0.85, 0.03, ms * 0.8, ms * 0.9, 50),
        "eval(1)": Measurement(ms, 0.01, ms * 0.8, ms * 1.2, 50),
    }
    problems = check_table(replace(small_table, workloads=entries, networks={}))
    found = {(f.entry, f.problem.split(":")[0].split(",")[0]) for f in problems}
    assert found == {
        (large.key, "loose median"),
        (large.key, "0.17 ms"),
        ("eval(1)", "wide spread"),
        ("eval(1)", "not a workload that this version knows"),
        ("networks", "none measured"),
    }


def test_what_ships_is_valid():
    for name in shipped():
        table = LatencyTable.load(name)
        assert table.workloads
        assert len(table.networks) >= 3


def test_an_estimate_that_may_be_anything_is_none(small_table):
    """Its interval's end would be no number: exp of it overflows."""
    guessed = replace(small_table, estimates={"x": Estimate(1.0, 0.3)})
    with pytest.raises(TableFormatError, match=r"estimates\.x\.spread"):
        LatencyTable.from_json(damaged(guessed, "estimates", "x", "spread", value=1e6))


@pytest.mark.parametrize(("scale", "marked"), [(0.05, False), (1.0, True)])
def test_microseconds_that_a_clock_does_not_tell_apart_are_not_marked(small_table, scale, marked):
    """A kernel of 10 us whose runs take 8 to 14: every profile of kernels has hundreds."""
    ms = 0.2 * scale
    entry = Measurement(ms, 0.04, ms * 0.8, ms * 1.4, 80)
    key = next(iter(small_table.workloads))
    found = check_table(replace(small_table, workloads={key: entry}))
    assert [f.problem.split(":")[0] for f in found if f.entry == key] == (
        ["wide spread", "loose median"] if marked else []
    )
