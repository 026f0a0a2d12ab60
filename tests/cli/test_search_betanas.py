"""``hwnas search --method betanas`` as a user types it: killed, resumed, and given bad input."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import hwnas as package
from hwnas.profilers import Plan, profile_space
from hwnas.testing import SyntheticRuntime

pytestmark = pytest.mark.usefixtures("few_random_paths")
WORDS = (
    *("--method", "betanas", "--input-size", "32", "--seed", "3"),
    *("--proxy-input-size", "8", "--proxy-width", "0.25"),
    *("--steps", "12", "--train-batch", "16", "--alpha-batch", "16", "--warm-up", "0.2"),
    *("--drop-margin", "0.3", "--macs", "7.5M"),
    *("--calibration-images", "64", "--validation-images", "100"),
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Of a device that is not here, so that nothing is measured."""
    space = package.space("proxyless", input_size=32, classes=10)
    plan = Plan(tolerance=1.0, min_runs=3, max_runs=3)
    path = tmp_path_factory.mktemp("table") / "table.json"
    profile_space(space, SyntheticRuntime(), plan=plan).save(path)
    return path


def words_of(out, table):
    return ["search", *WORDS, "--table", str(table), "--json", "--out", str(out)]


@pytest.fixture(scope="module")
def undisturbed(hwnas_once, table, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    status, result, said = hwnas_once(*words_of(out, table))
    assert status == 0, said
    return out, json.loads(result)


def test_the_result_is_one_json_document(undisturbed):
    out, result = undisturbed
    assert json.loads((out / "result.json").read_text()) == result
    assert result["method"] == "betanas"
    assert result["macs"] <= 7.5e6
    assert result["budget"] == ["macs<=7.5M"]
    assert {"best.onnx", "proxy.onnx", "alpha.png"} <= set(result["files"].values())


def test_killed_and_resumed_it_ends_as_if_undisturbed(hwnas, undisturbed, table, tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "hwnas", *words_of(out, table)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = out / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if log.exists() and log.read_text().count('"event": "trained"') >= 2:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "result.json").exists()
    status, ended, _ = hwnas(*words_of(out, table))
    assert status == 0
    result = json.loads(ended)
    here = {"seconds": 0, "verify": ""}  # the time it took, and the folder
    assert {**result, **here} == {**undisturbed[1], **here}


def test_other_spaces_and_settings_in_the_same_folder_are_refused(
    hwnas, undisturbed, table, tmp_path
):
    out, _ = undisturbed
    common = ("search", *WORDS, "--table", str(table), "--out", str(out))
    for changed, message in (
        (("--proxy-width", "0.5"), "trained was"),
        (("--drop-margin", "0.4"), "drop_margin was 0.3 and is now 0.4"),
        (("--beta", "macs=1"), "beta was"),
    ):
        status, _, said = hwnas(*common, *changed)
        assert status == 2
        assert message in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--beta", "macs=-1"), "dearer networks would be rewarded"),
        (("--beta", "watts=1"), "a beta is written latency=0.1"),
        (("--drop-margin", "0"), "would be pruned"),
        (("--drop-threshold", "0.1"), "everything would be pruned at once"),
        (("--steps", "1", "--alpha-every", "5"), "leave alpha no step"),
        (("--beta", "bitops=1"), "proxyless quantises nothing"),
        (("--macs", "1k"), "no architecture keeps macs<=1k: the least is"),
    ],
)
def test_bad_input_leaves_no_folder(hwnas, table, tmp_path, words, message):
    out = tmp_path / "run"
    status, _, said = hwnas("search", *WORDS, "--table", str(table), "--out", str(out), *words)
    assert status == 2
    assert message in said.replace("\n", " ")
    assert not out.exists()
