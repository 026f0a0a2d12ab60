"""A trained supernet, searched again, retrained and checked, as a user types it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import hwnas as library
from hwnas.cli import group
from hwnas.cli.errors import guarded
from hwnas.profilers import Plan, profile_space
from hwnas.testing import SyntheticRuntime

pytestmark = pytest.mark.usefixtures("few_random_paths")
TRAINING = (
    *("--input-size", "32", "--width-mult", "0.5", "--proxy-input-size", "8"),
    *("--steps", "24", "--train-batch", "32"),
    *("--shares", "2", "--seed", "3"),
    *("--calibration-images", "64", "--validation-images", "100"),
)
QUICK = ("--population", "6", "--generations", "3", "--top", "3")
TRAIN = ("--steps", "40", "--train-batch", "32", "--ema", "0.9")


def run(*words):
    """Run a command in this process; returns its JSON document."""
    done = CliRunner().invoke(group, [*map(str, words), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def deployed():
    return library.space("proxyless", input_size=32, classes=10, width_mult=0.5)


@pytest.fixture(scope="module")
def table(deployed, tmp_path_factory):
    """A table of a machine that is not here, so that nothing is measured."""
    path = tmp_path_factory.mktemp("table") / "table.json"
    profile_space(deployed, SyntheticRuntime(), plan=Plan(1.0, min_runs=5, max_runs=5)).save(path)
    return path


@pytest.fixture(scope="module")
def predictor(table, deployed):
    return library.load_predictor(library.LatencyTable.load(table), deployed)


@pytest.fixture(scope="module")
def limits(predictor, deployed):
    """Latency budgets that 20, 50 and 80 of 100 architectures keep."""
    ms = predictor.predict(deployed.sample(500, seed=0))
    return [round(float(v), 4) for v in np.quantile(ms, [0.2, 0.5, 0.8])]


@pytest.fixture(scope="module")
def source(table, limits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "run"
    words = ("--latency", f"{limits[1]}ms", "--table", table, "--out", folder)
    run("search", *TRAINING, *QUICK, *words)
    return folder


@pytest.fixture(scope="module")
def lists(limits):
    return ",".join(f"{limit}ms" for limit in limits)


@pytest.fixture(scope="module")
def again(source, lists, tmp_path_factory):
    out = tmp_path_factory.mktemp("again") / "run"
    before = (source / "supernet.safetensors").read_bytes()
    result = run("search", "--supernet", source, "--latency", lists, *QUICK, "--out", out)
    assert (source / "supernet.safetensors").read_bytes() == before
    return out, result


def events(folder, kind):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [e for e in lines if e["event"] == kind]


def evaluated(folder):
    return {e["architecture"]: e["accuracy"] for e in events(folder, "evaluated")}


def without_time(result):
    return {k: v for k, v in result.items() if k not in ("seconds", "budgets")}


def test_each_budget_has_a_result_that_keeps_it(again, deployed, predictor, limits):
    out, result = again
    assert result == json.loads((out / "result.json").read_text())
    for found, limit in zip(result["budgets"], limits, strict=True):
        assert found == json.loads((out / found["folder"] / "result.json").read_text())
        assert found["predicted_ms"] <= limit
        assert found["predicted_ms"] == predictor.predict(deployed.parse(found["architecture"]))[0]
        onnx.checker.check_model(onnx.load(out / found["folder"] / "best.onnx"), full_check=True)
    assert (out / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_trained_and_no_accuracy_computed_twice(again, source):
    out, result = again
    assert not events(out, "trained")
    new, old = evaluated(out), evaluated(source)
    assert not set(new) & set(old)
    assert len(events(out, "evaluated")) == len(new) == result["architectures_evaluated"]
    assert result["accuracies_reused"] == len(old)


def test_each_winner_is_the_best_of_all_that_was_evaluated(again, source, deployed, predictor):
    out, result = again
    every = {**evaluated(source), **evaluated(out)}
    ms = predictor.predict(np.array([deployed.parse(name) for name in every]))
    accuracies = np.array(list(every.values()))
    for found in result["budgets"]:
        (limit,) = (float(b.removeprefix("latency<=").removesuffix("ms")) for b in found["budget"])
        assert found["accuracy"] == accuracies[ms <= limit].max()
    assert all(a["accuracy"] <= b["accuracy"] for a, b in pairwise(result["budgets"]))
    for point in result["front"]:
        better = (ms <= point["predicted_ms"]) & (accuracies > point["accuracy"])
        assert not better.any()
        assert every[point["architecture"]] == point["accuracy"]


def test_cut_short_it_ends_with_the_same_result(again, source, lists, tmp_path):
    out, result = again
    copy = tmp_path / "run"
    shutil.copytree(out, copy)
    (copy / "result.json").unlink()
    log = (copy / "log.jsonl").read_text()
    (copy / "log.jsonl").write_text(log[: int(0.6 * len(log))])
    words = ("--supernet", source, "--latency", lists, *QUICK, "--out", copy)
    resumed = run("search", *words)
    assert without_time(resumed) == without_time(result)
    assert evaluated(copy) == evaluated(out)


def test_a_result_of_one_budget_is_searched_again_like_the_run_itself(
    again, source, limits, tmp_path
):
    out, result = again
    folder = out / result["budgets"][0]["folder"]
    words = ("--latency", f"{limits[0]}ms", *QUICK, "--out", tmp_path / "run")
    found = run("search", "--supernet", folder, *words)
    assert Path(found["supernet"]).resolve() == source.resolve()


def test_a_result_of_one_budget_is_verified_like_any_other(typed, again):
    out, result = again
    folder = out / result["budgets"][0]["folder"]
    assert result["budgets"][0]["verify"] == f"hwnas verify {folder}"
    status, said = typed("verify", folder, "--seconds", "0")
    assert "no latency table" not in said
    assert status in (0, 1)  # it was measured here, and kept its budget or not


def test_runs_may_be_moved_and_named_otherwise(again, source, lists, tmp_path, monkeypatch):
    out, result = again
    for folder in (source, out):
        shutil.copytree(folder, tmp_path / folder.parent.name / folder.name)
    source, out = (tmp_path / f.parent.name / f.name for f in (source, out))
    words = ("--latency", lists, *QUICK)
    monkeypatch.chdir(source.parent)
    assert run("search", "--supernet", source.name, *words, "--out", out) == result
    folder = out / result["budgets"][0]["folder"]
    report = run("train", folder, "--steps", "1", "--train-batch", "8")
    assert report["supernet_accuracy"] is not None


def test_the_whole_front_within_a_budget(source, deployed, predictor, limits, tmp_path):
    words = ("--pareto", "--latency", f"{limits[1]}ms", *QUICK[:-2])
    first = run("search", "--supernet", source, *words, "--out", tmp_path / "a")
    archs = np.array([deployed.parse(name) for name in evaluated(tmp_path / "a")])
    assert len(archs) >= 6
    assert predictor.predict(archs).max() <= limits[1]
    points = [(p["predicted_ms"], p["accuracy"]) for p in first["front"]]
    assert points == sorted(points)
    assert all(a[1] < b[1] for a, b in pairwise(points))


@pytest.fixture
def typed(capsys):
    """Run a command in this process; returns (exit status, stderr on one line)."""

    def invoke(*words):
        with pytest.raises(SystemExit) as left:
            guarded(lambda standalone_mode: group([*map(str, words)], standalone_mode=False))
        return left.value.code, " ".join(capsys.readouterr().err.split())

    return invoke


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--latency", "1us,1s"], "no architecture keeps latency<=0.001ms: the least is"),
        (["--latency", "1s", "--space", "nasbench201"], '--space "nasbench201" does not fit'),
        (["--latency", "1s", "--learning-rate", "1"], "--learning-rate 1.0 does not fit the"),
        (["--latency", "1s", "--shares", "4"], "--shares 4 does not fit the supernet of"),
        (["--latency", "1s", "--max-norm", "0"], "which was trained with 5.0: leave it out"),
        (["--latency", "1us", "--max-norm", "5"], "no architecture keeps latency<=0.001ms"),
        (["--latency", "1s", "--input-size", "64"], "which was trained with 32"),
        (["--latency", "1s", "--proxy-width", "1"], "--proxy-width does not go together with"),
        ([], "a search needs a budget: give --latency 4ms,6ms"),
        (["--latency", "4ms,x"], "a latency budget is a positive number with a unit"),
        (["--pareto", "--latency", "4ms,6ms"], "give at most one limit of each kind"),
        (["--pareto", "--top", "3"], "--top does not go together with --pareto"),
        (["--latency", "1s", "--drop-margin", "2"], "--drop-margin does not go together with"),
    ],
)
def test_what_does_not_fit_is_refused(typed, source, tmp_path, words, said):
    out = tmp_path / "run"
    status, message = typed("search", "--supernet", source, *words, "--out", out)
    assert status == 2
    assert said in message
    assert not out.exists()


def test_other_images_are_refused(typed, source, tmp_path):
    from PIL import Image

    for kind in range(10):
        (tmp_path / "images" / str(kind)).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (8, 8), kind * number).save(
                tmp_path / "images" / str(kind) / f"{number}.png"
            )
    words = ("--latency", "1s", "--data", f"imagefolder:{tmp_path / 'images'}")
    status, message = typed("search", "--supernet", source, *words)
    assert status == 2
    assert "holds other images than digits did when the supernet of" in message


def test_data_that_are_elsewhere_now_are_asked_for(typed, source, tmp_path):
    """A relative folder is not found from another folder."""
    copy = tmp_path / "run"
    shutil.copytree(source, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "data": "imagefolder:some/images"}))
    for words in (("train", copy), ("search", "--supernet", copy, "--latency", "1s")):
        status, message = typed(*words)
        assert status == 2
        assert f"that is where the data of {copy} were" in message
        assert message.endswith("say where they are now, --data SPEC")
    assert "--data" not in typed("train", copy, "--data", "imagefolder:nowhere")[1]


def test_several_budgets_and_fronts_need_a_supernet(typed):
    assert typed("search", "--latency", "4ms,6ms")[1].endswith("which --supernet RUN names")
    assert "name its run with --supernet RUN" in typed("search", "--latency", "4ms", "--pareto")[1]


def test_a_changed_flag_is_named(typed, again, source, lists):
    out, _ = again
    words = ("--latency", lists, *QUICK, "--population", "7", "--out", out)
    status, message = typed("search", "--supernet", source, *words)
    assert status == 2
    assert "population was 6 and is now 7" in message


def test_a_supernet_that_is_not_finished_is_refused(typed, source, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(source, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "steps": 25}))
    status, message = typed("search", "--supernet", copy, "--latency", "1s")
    assert status == 2
    assert "was trained for 24 of 25 steps: run its own search to the end first" in message
    (copy / "supernet.safetensors").unlink()
    assert "holds no supernet" in typed("rank", copy)[1]
    assert "there is no run in" in typed("train", tmp_path / "nowhere")[1]


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "hwnas", *map(str, words), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def report(source):
    return run("train", source, *TRAIN)


def test_a_killed_training_ends_with_the_same_report(source, report, tmp_path):
    out = tmp_path / "killed"
    process = start("train", source, *TRAIN, "--out", out)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (out / "network.safetensors").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "train.json").exists()
    resumed = run("train", source, *TRAIN, "--out", out)
    assert without_time(resumed) == without_time(report)
    (whole,) = source.glob("train-proxy-*")
    models = [(folder / "network.onnx").read_bytes() for folder in (out, whole)]
    assert models[0] == models[1]


def test_the_report_compares_with_the_supernet(source, report):
    result = json.loads((source / "result.json").read_text())
    assert report["architecture"] == result["architecture"]
    assert report["supernet_accuracy"]["validation"] == result["accuracy"]
    assert report["supernet_accuracy"]["test"] == result["test_accuracy"]
    assert report["network"] == "proxy"
    assert report["accuracy"]["test"] > 0.2
    assert report["export"]["accuracy"] == pytest.approx(report["accuracy"]["test"], abs=0.003)
    assert report["export"]["same_answers"] >= 0.998
    (folder,) = source.glob("train-proxy-*")
    assert json.loads((folder / "train.json").read_text()) == report


def test_the_report_says_how_each_class_is_told(source, report):
    classes = report["accuracy_by_class"]
    assert [entry["name"] for entry in classes] == list("0123456789")
    right = sum(entry["images"] * entry["accuracy"] for entry in classes)
    count = sum(entry["images"] for entry in classes)
    assert count == 1797 // 5
    assert right / count == pytest.approx(report["accuracy"]["test"])


def test_files_say_what_networks_must_be_shown(source, report, deployed):
    (folder,) = source.glob("train-proxy-*")
    result = json.loads((source / "result.json").read_text())
    for path, said in (
        (source / "best.onnx", result["preprocessing"]),
        (source / "proxy.onnx", {**result["preprocessing"], "resize": [8, 8]}),
        (folder / "network.onnx", report["preprocessing"]),
    ):
        model = onnx.load(path)
        (text,) = (p.value for p in model.metadata_props if p.key == "hwnas.preprocessing")
        assert json.loads(text) == said
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        assert shape == [1, 3, *said["resize"]]
        assert said["class_names"] == list("0123456789")
        assert len(said["mean"]) == 3


def test_the_deployed_network_and_another_architecture_can_be_trained(source, deployed, tmp_path):
    text = deployed.format(deployed.cost("macs").minimum()[0])
    words = ("--architecture", text, "--full", "--steps", "2", "--train-batch", "4")
    report = run("train", source, *words, "--out", tmp_path / "run")
    assert report["network"] == "deployed"
    assert report["architecture"] == text
    assert report["macs"] == deployed.macs(deployed.parse(text))[0]


def test_training_needs_one_architecture(typed, again):
    status, message = typed("train", again[0])
    assert status == 2
    assert "holds no single result" in message or "does not say" in message


def test_the_ranking_check_trains_each_once(source, tmp_path):
    words = ("--count", "3", "--steps", "3", "--train-batch", "16", "--out", tmp_path / "rank")
    result = run("rank", source, *words)
    entries = result["architectures"]
    assert len(events(tmp_path / "rank", "trained alone")) == len(entries) == 3
    assert (tmp_path / "rank" / "rank.png").read_bytes().startswith(b"\x89PNG")
    assert set(result["agreement"]) == {"kendall", "spearman", "pairwise_accuracy"}
    (tmp_path / "rank" / "rank.json").unlink()
    resumed = run("rank", source, *words)
    assert without_time(resumed) == without_time(result)
    assert len(events(tmp_path / "rank", "trained alone")) == 3


#: ``hwnas`` as `few_random_paths` makes it here.
FEW_PATHS = """
from hwnas.cli import main
from hwnas.search.searchers import proposals

proposals.RANDOM_PATHS = 6
main()
"""


def test_torchrun_searches_like_one_process_with_as_many_shares(source, table, limits, tmp_path):
    """The fixture accumulated two shares a batch in one process."""
    program = tmp_path / "few_paths.py"
    program.write_text(FEW_PATHS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += ["2", program, "search", *TRAINING, *QUICK, "--json"]
    command += ["--latency", f"{limits[1]}ms", "--table", table, "--out", tmp_path / "run"]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)  # one document: the other rank is silent
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    losses = [[e["loss"] for e in events(f, "trained")] for f in (tmp_path / "run", source)]
    assert np.abs(np.subtract(*losses)).max() <= 2e-4  # rounded to 1e-4 in the log
    assert len(losses[0]) >= 4
