import json
import os
from pathlib import Path

import pytest

from hwnas.errors import CheckpointError
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
    with pytest.raises(CheckpointError, match=r"a FIFO|a device|deeper|not an event"):
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
    lines = [("start", 0.0), ("evaluated", 40.0), ("start", 0.0), ("evaluated", 2.5)]
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
