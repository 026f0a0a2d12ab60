import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwnas.errors import CheckpointError, OptionError
from hwnas.search.runs import held
from hwnas.search.runs.run import Run


def test_a_run_is_found_again_with_all_its_events(tmp_path):
    run = Run(tmp_path / "r", {"seed": 1, "widths": (1, 2)})
    run.log("evaluated", architecture="a", accuracy=0.1 + 0.2)
    again = Run(tmp_path / "r", {"seed": 1, "widths": [1, 2]})
    (event,) = again.logged("evaluated")
    assert event["accuracy"] == 0.1 + 0.2  # floats survive to the last digit
    assert len(list(again.logged("start"))) == 2


@pytest.mark.parametrize("name", ["config.json", "log.jsonl"])
@pytest.mark.parametrize("kind", ["fifo", "zero", "deep"])
def test_what_is_no_file_of_a_run_is_refused_at_once(tmp_path, name, kind):
    Run(tmp_path, {"seed": 1})
    path = tmp_path / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    else:
        path.write_text('{"event": ' + "[" * 10**5 + "]" * 10**5 + "}\n")
    with pytest.raises(CheckpointError, match=r"a FIFO|a link to|recursion limit"):
        Run(tmp_path, {"seed": 1})


def test_a_full_disk_names_the_log(tmp_path):
    run = Run(tmp_path / "r", {})
    run._log = Path("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        run.log("evaluated")


def test_other_settings_are_refused_by_name(tmp_path):
    Run(tmp_path, {"seed": 1, "budget": "6ms", "old": 0})
    with pytest.raises(CheckpointError, match="old was 0 and is now None, seed was 1 and is now 2"):
        Run(tmp_path, {"seed": 2, "budget": "6ms"})


def test_a_line_that_a_kill_cut_short_is_dropped_and_the_log_goes_on(tmp_path):
    run = Run(tmp_path, {})
    run.log("evaluated", architecture="a", accuracy=1.0)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"event": "evaluated", "archi')
    again = Run(tmp_path, {})
    again.log("evaluated", architecture="b", accuracy=1.0)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line.get("architecture") for line in lines] == [None, "a", None, "b"]


def test_time_adds_up_over_sessions(tmp_path):
    Run(tmp_path, {})
    log = tmp_path / "log.jsonl"
    lines = [("start", 0.0), ("trained", 40.0), ("start", 0.0), ("trained", 2.5)]
    log.write_text("".join(json.dumps({"event": e, "seconds": s}) + "\n" for e, s in lines))
    assert Run(tmp_path, {}).seconds == pytest.approx(42.5, abs=0.5)


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", "{"), ("config.json", "[]"), ("log.jsonl", "{}\n"), ("log.jsonl", "x\n")],
)
def test_damaged_folders_are_named(tmp_path, name, content):
    Run(tmp_path, {})
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=rf"{name}.*give another --out"):
        Run(tmp_path, {})


# Damaged and hostile folders; whole commands: tests/cli/test_damaged_runs.py


def write_log(folder, *events):
    lines = [{"event": "start", "seconds": 0.0}, *events]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"event": "evaluated", "accuracy": 0.5}, "architecture is missing"),
        (
            {"event": "evaluated", "architecture": "a", "accuracy": 1.5},
            "an accuracy is from 0 to 1",
        ),
        ({"event": "evaluated", "architecture": 3, "accuracy": 0.5}, "architecture should be a"),
        ({"event": "trained alone", "architecture": "a"}, "accuracy is missing"),
        ({"event": "measured", "architecture": "a", "latency_ms": 0}, "latency_ms should be gre"),
        ({"event": "measured", "architecture": "a", "latency_ms": 1e308}, "latency_ms should be"),
        ({"event": "waited", "architecture": "a", "pause_s": "5"}, "pause_s should be a valid n"),
        ({"event": "imported", "accuracies": {"a": None}}, "accuracies.a should be a valid num"),
        ({"event": "trained", "step": -1, "loss": 2.0}, "step should be greater"),
        ({"event": "alpha", "step": 5}, "expected is missing"),
        ({"event": "own", "seconds": float("inf")}, "seconds should be a finite number"),
        ({"event": "own", "seconds": -1}, "seconds should be greater"),
        ({"event": "", "seconds": 1}, "event should have at least 1 character"),
    ],
)
def test_a_wrong_event_is_named_by_line_and_field(tmp_path, event, says):
    Run(tmp_path, {})
    write_log(tmp_path, {"seconds": 1.0, **event})
    with pytest.raises(CheckpointError, match=rf"line 2 of .*log\.jsonl: {says}.*another --out"):
        Run(tmp_path, {})


def test_events_of_other_kinds_and_versions_stay_readable(tmp_path):
    Run(tmp_path, {})
    known = [
        {"event": "own", "seconds": 1, "anything": [None, {"a": float("inf")}]},
        {"event": "trained", "seconds": 1.0, "epoch": 3, "loss": float("nan")},
        {"seconds": 1.0, "event": "measured", "latency_ms": 2, "architecture": "a", "runs": 3},
    ]
    write_log(tmp_path, *known)
    assert [e["event"] for e in Run(tmp_path, {}).events[1:-1]] == ["own", "trained", "measured"]


def test_a_log_without_its_configuration_is_refused(tmp_path):
    Run(tmp_path, {"seed": 1})
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds a log\.jsonl and no config\.json"):
        Run(tmp_path, {"seed": 2})


@pytest.mark.parametrize("name", ["log.jsonl", "config.json"])
def test_a_link_to_elsewhere_is_refused_and_nothing_is_written_there(tmp_path, name):
    Run(tmp_path / "run", {})
    elsewhere = tmp_path / "diary"
    (tmp_path / "run" / name).rename(elsewhere)
    (tmp_path / "run" / name).symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    with pytest.raises(CheckpointError, match=rf"{name} is a link to .*diary"):
        Run(tmp_path / "run", {})
    assert elsewhere.read_bytes() == before


def test_ten_thousand_events_are_read_at_once(tmp_path):
    Run(tmp_path, {})
    event = {"event": "evaluated", "seconds": 1.5, "architecture": "k3e6-" * 21, "accuracy": 0.5}
    write_log(tmp_path, *[event] * 10_000)
    begun = time.process_time()
    assert len(Run(tmp_path, {}).events) == 10_002
    assert time.process_time() - begun < 1


def test_a_folder_that_another_process_works_in_is_refused_until_that_is_killed(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(held, "_PATIENCE_SECONDS", 0.2)
    work = (
        "import sys, time; from pathlib import Path; from hwnas.search.runs.run import Run; "
        "run = Run(Path(sys.argv[1]), {}); print('ready', flush=True); time.sleep(600)"
    )
    other = subprocess.Popen([sys.executable, "-c", work, tmp_path], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"ready\n"
        log = (tmp_path / "log.jsonl").read_bytes()
        with pytest.raises(OptionError, match=r"another process works in .*: wait for it, or give"):
            Run(tmp_path, {})
        assert (tmp_path / "log.jsonl").read_bytes() == log
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert len(list(Run(tmp_path, {}).logged("start"))) == 2


def test_a_run_that_is_let_go_frees_its_folder(tmp_path):
    run = Run(tmp_path, {})
    assert held.held(tmp_path) is run._held
    del run
    assert not held._HELD


def test_a_run_that_ended_frees_its_folder_whatever_still_knows_it(tmp_path):
    with Run(tmp_path, {}) as run, Run(tmp_path, {}) as again:
        assert run._held is again._held
    assert not held._HELD


def test_a_run_that_is_refused_frees_its_folder_though_its_error_is_kept(tmp_path):
    with Run(tmp_path, {"seed": 0}):
        pass
    with pytest.raises(CheckpointError) as kept:
        Run(tmp_path, {"seed": 1})
    assert kept.tb is not None
    assert not held._HELD


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_what_is_forked_holds_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(held, "_PATIENCE_SECONDS", 0.2)
    work = (
        "import os, sys, time; from pathlib import Path; from hwnas.search.runs.run import Run; "
        "run = Run(Path(sys.argv[1]), {}); child = os.fork(); "
        "time.sleep(600) if not child else (print(child, flush=True), os._exit(0))"
    )
    other = subprocess.Popen([sys.executable, "-c", work, tmp_path], stdout=subprocess.PIPE)
    child = int(other.stdout.readline())
    try:
        other.wait()
        with Run(tmp_path, {}):  # the child, which reads images say, lives on for a while
            pass
    finally:
        os.kill(child, 9)
        other.stdout.close()
