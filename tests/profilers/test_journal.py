"""Journals of unfinished profiles: what arrived is kept, and never taken for something else."""

import json
import os
from pathlib import Path

import pytest

from hwnas.errors import CheckpointError, OptionError
from hwnas.files import Appender
from hwnas.profilers import profile_space
from hwnas.profilers.journal import Journal
from hwnas.profilers.protocol import Round
from hwnas.testing import SyntheticRuntime

HEADER = {"target": {"device": "a", "batch": 1}, "reference": "net", "seed": 0, "jobs": ["x", "y"]}


def journal(path, names=("x", "y"), **changes):
    return Journal(path, {**HEADER, "jobs": list(names), **changes}, names)


def write(book, *rounds):
    book.read()
    with book.held():
        for taken in rounds:
            book.append(taken)


def test_a_round_without_the_time_that_the_device_was_busy_is_read_again(tmp_path):
    path = tmp_path / "j"
    far, near = Round({"x": 1.5, "y": 3.0}, (1.0, 2.0)), Round({"y": 0.1 + 0.2}, (1.0,), 7.0)
    write(journal(path), far, near)
    samples, rounds = journal(path).read()
    assert rounds == 2
    assert samples.quotients == {"x": [1.0], "y": [2.0, 0.1 + 0.2]}
    assert samples.total_ms == 1.5 + 3.0 + 3.0 + 7.0


def test_journals_of_earlier_versions_go_on(tmp_path):
    path = tmp_path / "j"
    write(journal(path), Round({"x": 1.0}, (1.0,)))
    first, *others = path.read_text().splitlines()
    old = json.loads(first)
    del old["seed"]
    path.write_text("\n".join([json.dumps(old), *others]) + "\n")
    assert journal(path, seed=3).read()[1] == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 1}, r"with 1 rounds \(seed 0 instead of 1\): repeat the command that began it"),
        ({"target": {"device": "b", "batch": 1}}, "device 'a' instead of 'b'"),
        ({"target": {"device": "a", "batch": 8}}, "batch 1 instead of 8"),
        ({"reference": "other"}, "reference 'net' instead of 'other'"),
        ({"names": ("x", "z")}, "other models"),
    ],
)
def test_a_journal_of_other_settings_is_refused_and_stays(tmp_path, changes, says):
    path = tmp_path / "j"
    write(journal(path), Round({"x": 1.0}, (1.0,)))
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=says) as caught:
        journal(path, **changes).read()
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert journal(path).read()[1] == 1


def test_a_journal_without_a_round_holds_nothing_and_is_begun_anew(tmp_path):
    path = tmp_path / "j"
    write(journal(path))
    assert journal(path, seed=1).read()[1] == 0
    assert json.loads(path.read_text())["seed"] == 1
    path.write_text(path.read_text()[:20])  # cut short within its first line
    write(journal(path), Round({"x": 1.0}, (1.0,)))
    assert journal(path).read()[1] == 1


def test_what_is_no_journal_is_moved_aside(tmp_path):
    path = tmp_path / "j"
    path.write_text("the user's own\n")
    assert journal(path).read()[1] == 0
    assert (tmp_path / "j.unreadable").read_text() == "the user's own\n"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_journal_is_a_regular_file(tmp_path, make):
    make(tmp_path / "j")
    with pytest.raises(CheckpointError, match="j holds no rounds of a profile \\(it is a "):
        journal(tmp_path / "j").read()


@pytest.mark.parametrize(
    "line",
    [
        '{"runs": [[0, 1.',
        '{"runs": [[0, 0.0]], "reference": [1.0], "busy": null}',
        '{"runs": [[0, 1.0]], "reference": [0.0], "busy": null}',
        '{"runs": [[0, 1.0]], "reference": [], "busy": null}',
        '{"runs": [[7, 1.0]], "reference": [1.0], "busy": null}',
        '{"runs": [[0, NaN]], "reference": [1.0], "busy": null}',
        '{"runs": [[0, 1.0]], "reference": [1.0], "busy": "x"}',
        "[" * 5000,
        "null",
    ],
)
def test_a_damaged_line_costs_that_round_alone(tmp_path, line):
    path = tmp_path / "j"
    write(journal(path), Round({"x": 1.0}, (1.0,)))
    with path.open("a") as file:
        file.write(line)
    write(journal(path), Round({"x": 2.0}, (1.0,)))
    samples, rounds = journal(path).read()
    assert (rounds, samples.quotients) == (2, {"x": [1.0, 2.0]})
    assert line in path.read_text()


def test_two_processes_do_not_measure_into_one_journal(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "j"
    book = journal(path)
    book.read()
    other = Appender(path)  # locks belong to open files: this is how another process is seen
    with pytest.raises(OptionError, match="another process measures into"), book.held():
        pass
    with other:
        pass
    with book.held():
        pass


def test_another_seed_does_not_wipe_an_unfinished_profile(small_space, tmp_path, plan):
    path = tmp_path / "t.partial"
    profile_space(small_space, SyntheticRuntime(), plan=plan, journal=path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="seed 0 instead of 1"):
        profile_space(small_space, SyntheticRuntime(), plan=plan, seed=1, journal=path)
    other = SyntheticRuntime(name="other")
    with pytest.raises(CheckpointError, match="device 'synthetic' instead of 'other'"):
        profile_space(small_space, other, plan=plan, journal=path)
    assert path.read_bytes() == before
