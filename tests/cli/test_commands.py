"""Every command as a user types it, on good and bad input."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwnas.devices import ProfileJob, profile_to_file
from hwnas.latency_tables import LatencyTable, tables_folder
from hwnas.profilers import runtime

SMALL = ("--space", "nasbench201", "--input-size", "8")


@pytest.fixture
def profiled(hwnas):
    """A quick profile of this machine, kept where tables are found again."""
    status, out, _ = hwnas("profile", *SMALL, "--seconds", "0.3", "--json")
    assert status == 0
    return json.loads(out)


def test_help_is_quick(shell):
    shell("--help")
    started = time.monotonic()
    done = shell("--help")
    assert time.monotonic() - started < 2.0  # half a second on an idle machine
    assert done.returncode == 0
    assert "hwnas search --latency 6ms" in done.stdout


@pytest.mark.parametrize(
    "command", ["profile", "search", "verify", "predict", "show", "tables", "tables list"]
)
def test_every_command_has_help_with_an_example(hwnas, command):
    status, out, _ = hwnas(*command.split(), "--help")
    assert status == 0
    assert f"hwnas {command.split()[0]}" in out.split("Example")[1]


def test_without_a_command_the_help_is_shown_as_it_is(shell):
    done = shell("tables")
    assert done.returncode == 2
    assert "\n  list " in done.stderr


def test_names_from_files_are_no_markup(hwnas, tmp_path):
    record = json.loads(LatencyTable.load("amd-epyc-1thread").to_json())
    record["unmeasured"] = {"a": "node {ForeignNode[/blocks.3/conv...Relu]}"}
    path = tmp_path / "d[old]" / "t.json"
    path.parent.mkdir()
    path.write_text(json.dumps(record))
    status, out, _ = hwnas("tables", "check", str(path))
    assert status == 1
    assert "a: not measured: node {ForeignNode[/blocks.3/conv...Relu]}" in out
    filled = path.with_name("filled.json")
    fill = ("tables", "fill", str(path), "--input-size", "192", "--out", str(filled))
    assert "d[old]/filled.json" in "".join(hwnas(*fill)[1:])


def test_version(hwnas):
    from hwnas import __version__

    assert hwnas("--version")[:2] == (0, f"hwnas, version {__version__}\n")


def test_a_profile_is_listed_shown_checked_and_predicts(hwnas, profiled):
    name = Path(profiled["table"]).stem
    assert profiled["table"].startswith(str(tables_folder()))
    assert profiled["workloads"] == 3 * 3 + 4  # three operators that cost time, and the fixed parts
    status, out, _ = hwnas("tables", "list", "--json")
    assert status == 0
    assert name in [entry["name"] for entry in json.loads(out)]
    assert name in "".join(hwnas("tables", "list")[1].split())
    status, out, _ = hwnas("tables", "show", name, "--json")
    assert LatencyTable.from_json(out).target == runtime("cpu").target("fp32", 1)
    assert "ReLUConvBN(kernel=3)" in hwnas("tables", "show", profiled["table"])[1]
    status, out, _ = hwnas("tables", "check", name, "--json")
    checked = json.loads(out)
    assert status == (0 if checked["ordinary"] else 1)
    assert checked["findings"] or checked["ordinary"]
    arch = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    status, out, _ = hwnas("predict", "--table", name, arch, "--json")
    (row,) = json.loads(out)
    assert status == 0
    assert 0 < row["interval_ms"][0] < row["predicted_ms"] < row["interval_ms"][1]
    assert arch.split("+")[0] in hwnas("predict", "--table", name, arch)[1].replace("\n", "")


#: ``hwnas`` in a process of its own, whose profiles are coarse.
COARSE = """
from hwnas.cli import main
from hwnas.devices import tables
from hwnas.profilers import Plan

tables.profile_plan = lambda seconds: Plan(tolerance=1.0, min_runs=3, max_runs=3)
main()
"""


def test_words_and_results_are_kept_apart(tmp_path):
    command = [sys.executable, "-c", COARSE, "profile", *SMALL]
    environment = {**os.environ, "HWNAS_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0
    assert "profiling nasbench201 on" in done.stderr
    assert "profiling" not in done.stdout
    assert "networks left out" in done.stdout.replace("\n", " ")


def test_an_unfinished_profile_is_continued(hwnas, tmp_path, monkeypatch):
    out = tmp_path / "t.json"
    calls = 0

    def interrupted(self, path):
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LatencyTable, "save", interrupted)
        status, _, said = hwnas("profile", *SMALL, "--seconds", "0.2", "--out", str(out))
    assert (status, calls) == (130, 1)
    assert "the same command goes on" in said
    assert not out.exists()
    status, _, said = hwnas("profile", *SMALL, "--seconds", "0.2", "--out", str(out))
    assert status == 0
    assert "going on with the unfinished profile" in " ".join(said.split())
    assert LatencyTable.load(out).workloads
    assert [path.name for path in tmp_path.glob("t.json*")] == ["t.json"]


BAD = [
    (("search", "--latency", "6"), "a latency budget is a positive number with a unit (s, ms, us"),
    (("search", "--latency", "6mb"), "such as 6ms; got '6mb'"),
    (("search", "--latency", "-6ms"), "such as 6ms; got '-6ms'"),
    (("search", "--macs", "330"), "with a unit (k, M, G)"),
    (("search",), "a search needs a budget"),
    (("search", "--latency", "6ms", "--space", "resnet"), "unknown space 'resnet': choose one of"),
    (("search", "--latency", "6ms", "--method", "darts"), "unknown method 'darts'"),
    (("search", "--latency", "6ms", "--device", "tpu"), "unknown device 'tpu': choose one of"),
    (("search", "--latency", "6ms", "--data", "mnist"), "digits"),
    (("search", "--latency", "6ms", "--data", "imagefolder:nowhere"), "nowhere"),
    (("search", "--latency", "6ms", "--data", "fashion-mnist:nowhere"), "nowhere"),
    (("search", "--latency", "6ms", "--table", "nowhere.json"), "no latency table at"),
    (
        ("search", "--latency", "6ms", "--space", "nasbench201", "--width-mult", "2"),
        "takes input_size, classes, channels, cells, got 'width_mult'",
    ),
    (("profile", "--device", "tpu"), "unknown device 'tpu': choose one of cpu, gpu"),
    (("profile", "--device", "gpu"), "--device gpu cannot be used here"),
    (("profile", "--device", "gpu:1"), "CUDA_VISIBLE_DEVICES=1"),
    (("search", "--latency", "6ms", "--device", "gpu:1"), "CUDA_VISIBLE_DEVICES=1"),
    (("profile", "--threads", "0"), "threads are 1 to"),
    (("profile", "--precision", "fp16"), "runs fp32, int8, got 'fp16'"),
    (
        ("profile", "--space", "nasbench201", "--width-mult", "2"),
        "takes input_size, classes, channels, cells, got 'width_mult'",
    ),
    (("profile", "--cells", "3"), "space proxyless takes input_size, classes"),
    (("profile", "--batch", "0"), "0 is not in the range x>=1"),
    (("predict", "--table", "nowhere.json", "k3e3"), "no latency table at"),
    (("tables", "show", "nowhere"), "no latency table at 'nowhere'"),
    (("nonsense",), "No such command 'nonsense'"),
    (("search", "--latency", "6ms", "--seed", "-1"), "-1 is not in the range x>=0"),
    (
        ("profile", "--batch", "8", "bundle", "--out", "kit"),
        "--batch stands before bundle, which has options of its own",
    ),
    (
        ("profile", "--samples", "10", "--like", "amd-epyc-1thread", "--kernels", "50"),
        "--kernels does not go together with --samples",
    ),
    (
        ("search", "--latency", "6ms", "--device", "gpu", "--table", "amd-epyc-1thread"),
        "--device gpu does not fit the table, which was measured with device cpu",
    ),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line_and_status_2(hwnas, words, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, said = hwnas(*words)
    assert status == 2
    assert out == ""
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert says in said
    assert not (tmp_path / "runs").exists()


def test_an_architecture_of_another_space_is_refused(hwnas, profiled):
    status, _, said = hwnas("predict", "--table", profiled["table"], "k3e3-skip")
    assert status == 2
    assert "not an architecture of nasbench201" in said


def test_a_corrupt_table_is_refused(hwnas, tmp_path):
    path = tmp_path / "t.json"
    path.write_text("{}")
    search = ("search", "--latency", "6ms", "--table", str(path))
    for words in (("tables", "check", str(path)), search):
        status, _, said = hwnas(*words)
        assert status == 2
        assert "is not a latency table of schema 1: target: Field required" in said


def test_a_folder_that_cannot_be_written_is_named(hwnas, tmp_path):
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "t.json")
    status, _, said = hwnas("profile", *SMALL, "--seconds", "0.1", "--out", out)
    assert status == 2
    assert str(tmp_path / "file") in said
    assert said.strip().count("\n") == said.count("profiling")


def test_a_full_disk_loses_nothing(hwnas, tmp_path, monkeypatch):
    out = tmp_path / "t.json"

    def full(*_):
        raise OSError(28, "No space left on device", "t.json")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        status, _, said = hwnas("profile", *SMALL, "--seconds", "0.2", "--out", str(out))
    assert status == 2
    assert "t.json: No space left on device; make room" in said
    assert not out.exists()
    assert out.with_name("t.json.partial").exists()  # the measurements are kept


def test_profiles_of_one_space_share_a_name_in_every_process(tmp_path):
    import hwnas

    space = hwnas.space("nasbench201", input_size=8)
    job = ProfileJob(seconds=0.1)
    first, _ = profile_to_file(space, runtime("cpu"), job)
    second, _ = profile_to_file(hwnas.space("nasbench201", input_size=8), runtime("cpu"), job)
    assert first == second
