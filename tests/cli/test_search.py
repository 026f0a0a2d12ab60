"""The main job as a user types it: in its own process, killed and resumed, on a small space."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

import hwnas
from hwnas.devices import profile_to_file
from hwnas.latency_tables import LatencyTable
from hwnas.profilers import Plan, runtime

SIZE = ("--input-size", "32", "--width-mult", "0.25")
QUICK = (
    *SIZE,
    *("--steps", "12", "--train-batch", "32", "--population", "6", "--generations", "3"),
    *("--top", "3", "--verify-seconds", "0", "--seed", "3", "--proxy-input-size", "8"),
    *("--calibration-images", "64", "--validation-images", "100"),
)
#: The latency budget is loose and the MACs are tight, so that noise decides nothing.
BUDGET = ("--latency", "1s", "--macs", "1.17M")


@pytest.fixture(scope="module")
def deployed():
    return hwnas.space("proxyless", input_size=32, classes=10, width_mult=0.25)


@pytest.fixture(scope="module")
def home(deployed, tmp_path_factory):
    """A home that holds a coarse table of this machine."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HWNAS_HOME", str(folder))
        patched.setattr(
            "hwnas.devices.tables.profile_plan", lambda _: Plan(1.0, min_runs=20, max_runs=20)
        )
        profile_to_file(deployed, runtime("cpu"))
    return folder


def words_of(out, *words):
    return ["search", *QUICK, "--out", str(out), "--json", *words]


@pytest.fixture
def here(hwnas, home, monkeypatch):
    """Run a search in this process: status, stdout, stderr."""
    monkeypatch.setenv("HWNAS_HOME", str(home))
    return lambda out, *words: hwnas(*words_of(out, *words))


def evaluated(folder):
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return {e["architecture"]: e["accuracy"] for e in lines if e["event"] == "evaluated"}


@pytest.fixture(scope="module")
def undisturbed(hwnas_once, home, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HWNAS_HOME", str(home))
        status, result, said = hwnas_once(*words_of(out, *BUDGET))
    assert status == 0, said
    return out, json.loads(result), said


def test_the_result_is_whole_and_keeps_every_budget(undisturbed, deployed):
    out, result, said = undisturbed
    needed = "method space architecture predicted_ms predicted_interval_ms measured_ms budget macs"
    needed += " params accuracy target seed seconds"
    assert set(needed.split()) <= set(result)
    assert json.loads((out / "result.json").read_text()) == result
    arch = deployed.parse(result["architecture"])
    assert result["macs"] == deployed.macs(arch)[0] <= 1.17e6
    assert result["params"] == deployed.params(arch)[0]
    table = LatencyTable.load(out / "table.json")
    predictor = hwnas.load_predictor(table, deployed)
    assert result["predicted_ms"] == predictor.predict(arch)[0]
    assert result["predicted_interval_ms"] == predictor.predict_interval(arch)[0].tolist()
    assert 0 < result["measured_ms"] <= 1000
    assert result["measured"]["latency_ms"] == result["measured_ms"]
    assert result["target"]["device"] == table.target.device
    assert result["accuracy"] == max(evaluated(out).values())
    assert "deployed: proxyless at 32 pixels" in said
    assert "trained: a proxy of width 0.25 at 8 pixels" in said
    assert (out / "accuracy_latency.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_infeasible_was_ever_evaluated(undisturbed, deployed):
    archs = np.array([deployed.parse(name) for name in evaluated(undisturbed[0])])
    assert len(archs) >= 50
    assert deployed.macs(archs).max() <= 1.17e6


def test_random_paths_are_the_first_fifty_evaluations(undisturbed):
    out, result, _ = undisturbed
    first = list(evaluated(out).values())[:50]
    expected = {"count": 50, "least": min(first), "median": np.median(first), "most": max(first)}
    assert result["random_paths"] == expected
    assert result["architectures_evaluated"] == len(evaluated(out)) == 50 + 2 * 6


def test_the_exported_network_is_the_architecture(undisturbed, deployed):
    out, result, _ = undisturbed
    model = onnx.load(out / "best.onnx")
    onnx.checker.check_model(model, full_check=True)
    about = {prop.key: prop.value for prop in model.metadata_props}
    assert about["architecture"] == result["architecture"]
    assert about["space"] == "proxyless"
    assert about["hwnas.weights"] == "random"
    kernels = [list(n.attribute[0].ints) for n in model.graph.node if n.op_type == "Conv"]
    built = deployed.build(deployed.parse(result["architecture"]))
    import torch

    convs = [m for m in built.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(kernels) == len(convs)
    # the trained proxy has the accuracy that the result states
    assert (out / "proxy.onnx").exists()


def test_the_trained_proxy_file_has_the_stated_accuracy(undisturbed):
    import onnxruntime as ort

    from hwnas.data import load_data

    out, result, _ = undisturbed
    data = load_data("digits", input_size=8)
    session = ort.InferenceSession(out / "proxy.onnx")
    right = [
        int(session.run(None, {"input": data.to_float(image[None])})[0].argmax()) == label
        for image, label in zip(data.test_images, data.test_labels, strict=True)
    ]
    assert np.mean(right) == pytest.approx(result["test_accuracy"], abs=2 / len(right))


def test_killed_and_resumed_it_ends_as_if_undisturbed(undisturbed, home, here, tmp_path):
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "hwnas", *words_of(out, *BUDGET)],
        env={**os.environ, "HWNAS_HOME": str(home), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = out / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        text = log.read_text() if log.exists() else ""
        if text.count('"event": "evaluated"') >= 59:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "result.json").exists()
    status, ended, _ = here(out, *BUDGET)
    assert status == 0
    result = json.loads(ended)
    whole, expected, _ = undisturbed
    assert result["architecture"] == expected["architecture"]
    assert result["accuracy"] == expected["accuracy"]
    assert result["test_accuracy"] == expected["test_accuracy"]
    assert evaluated(out) == evaluated(whole)


def test_the_same_command_again_returns_the_result_at_once(undisturbed, here):
    out, expected, _ = undisturbed
    status, result, said = here(out, *BUDGET)
    assert (status, json.loads(result)) == (0, expected)
    assert "finished" in said


def test_other_flags_in_the_same_folder_are_refused(undisturbed, here):
    out, expected, _ = undisturbed
    status, _, said = here(out, *BUDGET, "--steps", "13")
    assert status == 2
    assert "steps was 12 and is now 13" in said
    assert json.loads((out / "result.json").read_text()) == expected


def test_an_infeasible_budget_says_what_the_fastest_is_before_anything_is_trained(
    hwnas, home, deployed, tmp_path, monkeypatch
):
    monkeypatch.setenv("HWNAS_HOME", str(home))
    out = tmp_path / "run"
    status, _, said = hwnas("search", *QUICK, "--latency", "1us", "--out", str(out))
    assert status == 2
    assert "no architecture keeps latency<=0.001ms: the least is" in said
    assert "k3e3-skip-skip-skip" in said.replace("\n", "")
    assert not out.exists()


def test_a_budget_that_needs_no_table_is_refused_before_one_is_measured(
    hwnas, tmp_path, monkeypatch
):
    monkeypatch.setenv("HWNAS_HOME", str(tmp_path / "home"))
    status, _, said = hwnas("search", *QUICK, "--macs", "1k", "--out", str(tmp_path / "run"))
    assert status == 2
    assert "no architecture keeps macs<=1k: the least is" in said
    assert not list(tmp_path.iterdir())


@pytest.fixture
def foreign(home, tmp_path):
    """The machine's table, as if it came from another one."""
    (path,) = Path(home, "tables").glob("*.json")
    record = json.loads(path.read_text())
    record["target"] |= {"device": "Other CPU", "device_id": "feed"}
    copy = tmp_path / "foreign.json"
    copy.write_text(json.dumps(record))
    return copy


def test_an_infeasible_budget_comes_before_advice_of_where_to_measure(hwnas, foreign, tmp_path):
    run = tmp_path / "run"
    flags = ("--table", str(foreign), "--out", str(run))
    status, _, said = hwnas("search", *QUICK, "--latency", "1us", *flags)
    assert (status, run.exists()) == (2, False)
    assert "no architecture keeps latency<=0.001ms" in said
    assert "copy the folder" not in said


def test_a_foreign_table_is_used_only_by_name_and_measures_nothing(foreign, here, tmp_path):
    status, out, said = here(tmp_path / "run", "--latency", "1s", "--table", str(foreign))
    assert status == 0
    result = json.loads(out)
    assert result["measured_ms"] is None
    assert result["target"]["device"] == "Other CPU"
    assert "the table was measured elsewhere" in said
    assert "device: " in said


def test_a_run_goes_on_with_the_table_it_began_with(undisturbed, here, foreign):
    out, expected, _ = undisturbed
    status, result, said = here(out, *BUDGET, "--table", str(foreign))
    assert (status, json.loads(result)) == (0, expected)
    assert f"the table that this run began with; {foreign} is another by now" in said
    status, _, said = here(out, *BUDGET, "--table", "nowhere.json")
    assert status == 2
    assert "no latency table at" in said


def test_a_table_of_other_settings_is_not_bent_to_the_flags(hwnas, foreign, tmp_path):
    status, _, said = hwnas(
        "search", *QUICK, "--latency", "1s", "--table", str(foreign), "--threads", "2"
    )
    assert status == 2
    assert "--threads 2 does not fit the table, which was measured with threads 1" in said


def test_a_run_folder_that_cannot_be_made_is_named(hwnas, home, tmp_path, monkeypatch):
    monkeypatch.setenv("HWNAS_HOME", str(home))
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "run")
    status, _, said = hwnas("search", *QUICK, "--latency", "1s", "--out", out)
    assert status == 2
    assert str(tmp_path / "file") in said
