"""Other machines from the command line: bundles, several at once, transfer, tables that hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas.latency_tables import LatencyTable
from hwnas.profilers.remote import ssh
from hwnas.profilers.remote.transport import REMOTE_COMMAND, Transport

SMALL = ("--space", "nasbench201", "--input-size", "8")
QUICK = (*SMALL, "--seconds", "0")


@pytest.fixture
def no_ssh(monkeypatch, tmp_path):
    """Hosts named good* are a shell of this machine; the others refuse."""

    def transport(address):
        if "good" not in address:
            return Transport(address, ("sh", "-c", "echo no route >&2; exit 255"), "a hint")
        return Transport(address, ("sh", "-c", REMOTE_COMMAND), "a hint")

    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("hwnas.profilers.remote.ssh.ssh_transport", transport)


def test_a_bundle_is_written_run_and_collected(hwnas, tmp_path):
    folder = tmp_path / "my bundle"
    status, out, said = hwnas("profile", "bundle", *QUICK, "--out", str(folder), "--json")
    assert status == 0, said
    made = json.loads(out)
    names = {path.name for path in folder.iterdir()}
    assert {"agent.py", "plan.json", "m00000.onnx"} <= names
    assert made["models"] == len(names) - 2
    subprocess.run([sys.executable, "agent.py"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    status, out, said = hwnas("profile", "collect", str(folder / "results.json"), "--json")
    assert status == 0, said
    table = LatencyTable.load(json.loads(out)["table"])
    assert len(table.workloads) == 13
    status, out, said = hwnas("profile", "collect", str(folder / "results.json"), "--json")
    assert "these results are in" in said
    assert len(LatencyTable.load(json.loads(out)["table"]).reference_sessions_ms) == 1
    assert "collect results.json" in hwnas("profile", "bundle", "--help")[1]


def test_a_bundle_is_not_written_over_other_files(hwnas, tmp_path):
    (tmp_path / "mine.txt").touch()
    status, _, said = hwnas("profile", "bundle", *QUICK, "--out", str(tmp_path))
    assert status == 2
    assert "is not empty" in said
    status, _, said = hwnas("profile", "collect", str(tmp_path / "mine.txt"))
    assert status == 2
    assert "is not the results file of an agent" in said


def test_several_devices_at_once_and_one_that_fails(hwnas, no_ssh, tmp_path):
    words = ("--device", "ssh://good", "--device", "ssh://bad")
    status, out, said = hwnas("profile", *QUICK, *words, "--json")
    assert status == 1, said
    good, bad = json.loads(out)
    assert (good["device"], bad["device"]) == ("ssh://good", "ssh://bad")
    assert LatencyTable.load(good["table"]).networks
    assert "cannot be reached: no route; a hint" in bad["error"]
    assert "1 of 2 devices profiled" in said
    status, _, said = hwnas("profile", *QUICK, *words, "--out", str(tmp_path / "t.json"))
    assert status == 2
    assert "--out names one table" in said


def test_a_machine_that_lies_stops_no_other(hwnas, no_ssh, monkeypatch):
    host = {"device": "A", "device_id": "1", "cores": 4, "core_groups": [], "system": "S"}
    host |= {"python": "3", "numpy": "1", "onnxruntime": "2", "providers": []}
    good, deep = ssh.ssh_transport, json.loads(90 * "[" + 90 * "]")
    said = {
        "ssh://done": [{"hello": host}, {"done": {}}],
        "ssh://tiny": [
            {"hello": {**host, "device_id": "2"}},
            {"round": {"runs": [[0, 1e-300]], "reference": [1.0]}},
        ],
        "ssh://deep": [{"hello": {**host, "device_id": "3"}}, {"done": deep}],
        "ssh://wrong": [{"hello": 5}],
    }

    def transport(address):
        if address not in said:
            return good(address)
        lines = "\n".join(map(json.dumps, said[address])) + "\n"
        return Transport(address, ("sh", "-c", 'printf %s "$0"; cat >/dev/null', lines), "a hint")

    monkeypatch.setattr(ssh, "ssh_transport", transport)
    words = [word for name in ("ssh://good", *said) for word in ("--device", name)]
    status, out, told = hwnas("profile", *QUICK, *words, "--json")
    assert status == 1, told
    good_one, *others = json.loads(out)
    assert LatencyTable.load(good_one["table"]).networks
    reasons = ("says that it is done", "is no time of a run", "nested too deeply", "as no agent")
    for record, reason in zip(others, reasons, strict=True):
        assert reason in record["error"]
        assert "\n" not in record["error"]
    assert "1 of 5 devices profiled" in told


def test_two_ways_to_one_machine_do_not_mix_their_runs(hwnas, no_ssh):
    words = ("--device", "ssh://good1", "--device", "ssh://good2")
    status, out, _ = hwnas("profile", *SMALL, "--seconds", "4", *words, "--json")
    assert status == 1
    tables = [LatencyTable.load(r["table"]) for r in json.loads(out) if "table" in r]
    errors = [r["error"] for r in json.loads(out) if "error" in r]
    assert len(tables) == len(errors) == 1
    assert "are two devices one machine?" in errors[0]


def test_ten_networks_and_a_similar_table(hwnas, tmp_path):
    like = tmp_path / "like.json"
    tiny = ("--input-size", "32", "--width-mult", "0.25")
    assert hwnas("profile", *tiny, "--seconds", "0", "--out", str(like))[0] == 0
    status, out, said = hwnas(
        "profile", *tiny, "--samples", "10", "--from-table", str(like), "--json"
    )
    assert status == 0, said
    path = json.loads(out)["table"]
    assert Path(path).stem.endswith("-transferred")
    table = LatencyTable.load(path)
    assert table.provenance.transfer.source == str(table.target)
    assert len(table.networks) == table.provenance.transfer.networks == 10
    listed = json.loads(hwnas("tables", "list", "--json")[1])
    assert {t["path"]: t["transferred"] for t in listed if "example" not in t["path"]}[path]
    status, _, said = hwnas("profile", *tiny, "--samples", "10", "--like", path)
    assert status == 2
    assert "is a transferred table itself" in said
    wide = str(tmp_path / "wide.json")  # what it knows beside this space is not of the other device
    fill = ("tables", "fill", str(like), "--input-size", "48", "--width-mult", "0.25")
    assert hwnas(*fill, "--out", wide)[0] == 0
    status, out, _ = hwnas("profile", *tiny, "--samples", "10", "--like", wide, "--json")
    assert status == 0
    again = LatencyTable.load(json.loads(out)["table"])
    assert LatencyTable.load(wide).estimates
    assert (again.estimates, again.kernels, again.unmeasured) == ({}, None, {})
    status, _, said = hwnas("profile", *SMALL, "--samples", "10", "--like", str(like))
    assert status == 2
    assert "takes a table of the same space" in said
    status, _, said = hwnas(
        *("profile", *tiny, "--samples", "10"), *("--like", str(like), "--from-table", str(like))
    )
    assert status == 2
    assert "--like is the earlier name of --from-table: give one of them" in said
    for words in (("--samples", "10"), ("--from-table", str(like)), ("--like", str(like))):
        status, _, said = hwnas("profile", *tiny, *words)
        assert status == 2
        assert "belong together" in said


def test_the_earlier_name_of_a_flag_works_and_is_not_shown(hwnas):
    shown = hwnas("profile", "--help")[1]
    assert "--from-table TABLE" in shown
    assert "--like" not in shown
    status, _, said = hwnas("profile", *SMALL, "--samples", "5", "--like", "nowhere.json")
    assert status == 2
    assert "no latency table at 'nowhere.json'" in said


OWN_RUNTIME = """
from dataclasses import replace
from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu


class Mine(OnnxRuntimeCpu):
    def target(self, precision, batch):
        return replace(super().target(precision, batch), runtime="mine")


def make(threads):
    return Mine(threads)
"""


def test_an_own_runtime_is_profiled_and_its_table_found_again(hwnas, tmp_path, monkeypatch):
    (tmp_path / "my_runtime.py").write_text(OWN_RUNTIME)
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "t.json")
    own = ("--runtime", "my_runtime.py:make")
    status, out, said = hwnas("profile", *QUICK, "--device", "cpu", *own, "--out", path, "--json")
    assert status == 0, said
    assert json.loads(out)["target"]["runtime"] == "mine"
    # without the file nobody knows what "mine" is: that is said, and nothing is imported
    said = hwnas("tables", "check", path, "--device", "cpu", "--json")[2]
    assert "another runtime: mine instead of onnxruntime" in " ".join(said.split())
    status, out, said = hwnas("tables", "check", path, "--device", "cpu", *own, "--json")
    assert json.loads(out)["differences"] == []
    status, _, said = hwnas("profile", *QUICK, "--runtime", "my_runtime.py:other")
    assert status == 2
    assert "has no 'other'" in said


def test_a_registered_runtime_finds_the_table_that_it_made(hwnas, tmp_path, monkeypatch):
    from hwnas.profilers import RUNTIMES, register_runtime
    from hwnas.registry import typed_object

    monkeypatch.setattr(RUNTIMES, "_registered", {})
    (tmp_path / "my_runtime.py").write_text(OWN_RUNTIME)
    register_runtime("mine", typed_object(f"{tmp_path}/my_runtime.py:make"))
    path = str(tmp_path / "t.json")
    status, out, said = hwnas("profile", *QUICK, "--runtime", "mine", "--out", path, "--json")
    assert status == 0, said
    out = hwnas("tables", "check", path, "--device", "cpu", "--json")[1]
    assert json.loads(out)["differences"] == []


def test_whether_a_table_still_holds(hwnas, tmp_path):
    path = tmp_path / "t.json"
    assert hwnas("profile", *QUICK, "--out", str(path))[0] == 0
    status, out, _ = hwnas("tables", "check", str(path), "--device", "cpu", "--json")
    found = json.loads(out)
    assert found["count"] == len(found["entries"]) == 12
    assert (status == 0) == (found["verdict"] == "holds")
    table = LatencyTable.load(path)
    record = json.loads(table.to_json())
    for entries in (record["workloads"], record["networks"]):
        for entry in entries.values():
            for name in ("latency_ms", "p10_ms", "p90_ms"):
                entry[name] *= 10
    record["target"]["runtime_version"] = "0.1"
    path.write_text(json.dumps(record))
    status, out, said = hwnas("tables", "check", str(path), "--device", "cpu")
    assert status == 1
    assert "changed: an entry is still within" in " ".join(out.split())
    assert "another runtime_version: 0.1" in " ".join(said.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--device", "ssh://-oProxyCommand=x"), "is written ssh://user@host"),
        (("--device", "adb:-s"), "is written adb or adb:SERIAL"),
        (("--cores", "big"), "are for ssh:// and adb devices"),
        (("--samples", "4", "--like", "x"), "x>=5"),
    ],
)
def test_bad_requests_are_one_line_and_status_2(hwnas, words, says):
    status, out, said = hwnas("profile", *SMALL, *words)
    assert status == 2
    assert out == ""
    assert says in " ".join(said.split())
