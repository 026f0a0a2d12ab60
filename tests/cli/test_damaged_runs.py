"""Files of finished runs, damaged: a command goes on or refuses in one line, and raises nothing.

Here a sample; ``benchmarks/damaged_runs.py`` tries every value in every place.
"""

import importlib.util
import json
import os
import random
import shutil
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "benchmarks" / "damaged_runs.py"
TRIES = 24


@pytest.fixture(scope="module")
def damaged_runs():
    spec = importlib.util.spec_from_file_location("damaged_runs", SOURCE)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "damaged_runs", module)  # dataclasses look it up
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def scene(damaged_runs):
    with damaged_runs.Scene() as scene:
        yield scene


@pytest.fixture
def copied(scene, tmp_path):
    """A copy of all runs that may be damaged."""
    return Path(shutil.copytree(scene.base, tmp_path / "base"))


@pytest.fixture
def said(damaged_runs, scene, copied):
    """Run a command on the copy; returns the status and stderr on one line."""

    def run(name):
        answer = damaged_runs.run(scene.commands(copied)[name])
        assert answer.fault in (None, "slow"), answer.text
        return answer.status, " ".join(answer.text.split())

    return run


def change(path, **fields):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **fields}))


def test_a_sample_of_all_damages(damaged_runs, scene):
    every = list(damaged_runs.tries(scene))
    assert len(every) > 10_000
    for attempt in random.Random(1).sample(every, TRIES):
        answer = scene.tried(attempt)
        assert answer.fault in (None, "slow"), (attempt, answer.text)


@pytest.mark.parametrize("command", ["search", "again", "train", "rank", "betanas", "verify"])
def test_undamaged_runs_are_read(said, command):
    assert said(command)[0] == 0


@pytest.mark.parametrize(
    ("command", "file", "fields", "says"),
    [
        ("search", "run/result.json", {"accuracy": 1e308}, "result.json: accuracy should be less"),
        ("search", "run/result.json", {"macs": None}, "result.json: macs should be a valid int"),
        ("search", "run/result.json", {"random_paths": {}}, "random_paths.count is missing"),
        ("search", "run/result.json", {"architecture": "x"}, "result.json: architecture: "),
        ("train", "run/result.json", {"architecture": "x"}, "result.json: architecture: "),
        ("train", "run/result.json", {"architecture": 3}, "result.json: architecture should be a"),
        ("verify", "run/result.json", {"budget": ["soon"]}, "result.json: budget: "),
        ("verify", "run/result.json", {"budget": 3}, "result.json: budget should be a valid array"),
        ("verify", "run/result.json", {"deployed": {"classes": "x"}}, "result.json: deployed: "),
        ("verify", "run/result.json", {"predicted_ms": -1}, "result.json: predicted_ms should be"),
        (
            "search",
            "run/result.json",
            {"measured_ms": 0.1},
            "measured and measured_ms are not",
        ),
        ("again", "again/result.json", {"front": [3]}, "result.json: front.0 should be an object"),
        ("new", "run/config.json", {"steps": "4"}, "config.json: steps should be a valid integer"),
        ("rank", "run/config.json", {"data": None}, "config.json: data should be a valid string"),
        ("rank", "run/config.json", {"trained": []}, "config.json: trained should be an object"),
        ("rank", "run/rank/rank.json", {"architectures": []}, "rank.json: architectures should "),
        ("again", "again/result.json", {"files": []}, "result.json: files should be an object"),
        ("rank", "run/rank/rank.json", {"files": None}, "rank.json: files should be an object"),
        ("rank", "run/rank/rank.json", {"agreement": {"kendall": {"value": 0}}}, ".interval"),
        ("rank", "run/rank/rank.json", {"files": {"plot": 3}}, "rank.json: files.plot should be"),
        ("search", "run/result.json", {"test_accuracy": None}, "and no accuracy was looked up"),
    ],
)
def test_a_wrong_field_is_named(said, copied, command, file, fields, says):
    change(copied / file, **fields)
    status, line = said(command)
    assert status == 2
    assert says in line


@pytest.mark.parametrize(
    ("change_of", "status"),
    [
        (lambda found: found.update(test_accuracy=None), 2),
        (lambda found: found.update(predicted_ms=None, looked_up={}), 2),
        (lambda found: (found.pop("measured_ms"), found.pop("measured")), 0),
    ],
)
def test_one_of_several_results_is_whole(said, copied, change_of, status):
    path = copied / "again" / "result.json"
    content = json.loads(path.read_text())
    change_of(content["budgets"][0])
    path.write_text(json.dumps(content))
    assert said("again")[0] == status


def test_the_network_must_be_the_one_that_the_result_names(said, copied):
    result, network = (copied / "run" / name for name in ("result.json", "best.onnx"))
    digest = json.loads(result.read_text())["digest"]
    whole = network.read_bytes()
    network.write_bytes(whole[:-20] + bytes(20))
    status, line = said("verify")
    assert (status, "best.onnx is " in line) == (2, True)
    network.write_bytes(whole)
    change(result, digest="0" * 64)
    assert "best.onnx is not the network that result.json names (digest" in said("verify")[1]
    change(result, digest=digest, deployed={"input_size": 8, "classes": 9, "width": 8})
    assert "(deployed is" in said("verify")[1]


def test_a_run_of_an_earlier_version_is_verified_and_what_was_not_checked_is_said(said, copied):
    result = copied / "run" / "result.json"
    content = json.loads(result.read_text())
    del content["digest"]
    result.write_text(json.dumps(content))
    status, line = said("verify")
    assert status == 0
    assert "kept no digest of best.onnx" in line
    (copied / "run" / "best.onnx").write_bytes(b"no model")
    assert "best.onnx is no ONNX model" in said("verify")[1]


@pytest.mark.parametrize(
    ("command", "folder"),
    [("train", "train-*"), ("rank", "rank"), ("rank", "rank/networks/0"), ("search", "finalists")],
)
def test_a_folder_of_a_run_that_is_a_link_to_elsewhere_is_refused(said, copied, command, folder):
    run = copied / "run"
    (inner,) = run.glob(folder)
    elsewhere = copied / "elsewhere"
    inner.rename(elsewhere)
    inner.symlink_to(elsewhere)
    for name in ("result.json", "rank/rank.json", "rank/log.jsonl"):
        if command == "search" or name.startswith("rank/"):
            (run / name).unlink(missing_ok=True)
    before = {path: path.stat().st_mtime_ns for path in elsewhere.rglob("*")}
    status, line = said(command)
    assert status == 2
    assert "which does not lie in the run" in line
    assert {path: path.stat().st_mtime_ns for path in elsewhere.rglob("*")} == before


def test_a_history_of_alpha_that_was_lost_is_refused(said, copied):
    (copied / "beta" / "result.json").unlink()
    log = copied / "beta" / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if '"alpha"' not in line))
    status, line = said("betanas")
    assert status == 2
    assert "log.jsonl: the alpha events are not those of this search" in line


def test_a_pipe_does_not_stop_a_command(said, copied):
    for name in ("config.json", "log.jsonl"):
        path = copied / "run" / name
        whole = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        assert f"{name} cannot be read (it is a FIFO" in said("search")[1]
        path.unlink()
        path.write_bytes(whole)


def test_a_supernet_that_is_a_pipe_or_without_end_is_refused(said, copied):
    path = copied / "run" / "supernet.safetensors"
    for make in (lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
        path.unlink()
        make()
        status, line = said("new")
        assert status == 2
        assert "supernet.safetensors is no regular file" in line
