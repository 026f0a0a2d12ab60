"""One call from Python: the run of the command line, and a result that agrees with itself."""

import json
import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
import torch
from click.testing import CliRunner
from problems import Bumpy, Expecting

import hwnas
from hwnas import spaces
from hwnas.cli import group
from hwnas.data import load_data
from hwnas.errors import CheckpointError, InfeasibleBudgetError, OptionError
from hwnas.files import locked
from hwnas.predictors import load_predictor
from hwnas.profilers import Plan, profile_space
from hwnas.search.find import find_network
from hwnas.search.runs import held
from hwnas.search.runs.run import CHECKPOINT
from hwnas.spaces import SearchSpace, SpaceEntry
from hwnas.testing import SyntheticRuntime

QUICK = {"steps": 8, "batch_size": 16, "population": 6, "generations": 3, "parents": 3}
BETANAS = {"steps": 16, "batch_size": 16, "alpha_batch": 16, "warm_up": 0.1, "alpha_lr": 0.1}
WORDS = ("--steps", "8", "--train-batch", "16", "--population", "6", "--generations", "3")
WORDS += ("--parents", "3", "--verify-seconds", "0")


def tiny_space(input_size=8, classes=10, width=8):
    """Four decisions; a space of its own name, with a proxy."""
    inner = spaces.space(
        "proxyless",
        input_size=input_size,
        classes=classes,
        stage_widths=(width, width),
        stage_depths=(1, 3),
        stage_strides=(1, 2),
        first_width=8,
        stem_width=8,
        head_width=16,
    )
    arguments = {"input_size": input_size, "classes": classes, "width": width}
    return SearchSpace("tiny", arguments, inner.layout)


def proxy(deployed, input_size, classes, width_mult):
    return tiny_space(input_size, classes, 8)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(spaces.SPACES._registered, "tiny", SpaceEntry("tiny", tiny_space, proxy))
        patched.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 6)
        patched.setattr("hwnas.search.candidates.evaluation._CALIBRATION_IMAGES", 64)
        patched.setattr("hwnas.search.candidates.evaluation._VALIDATION_IMAGES", 100)
        yield


@pytest.fixture(scope="module")
def deployed():
    return tiny_space(16)


@pytest.fixture(scope="module")
def table(deployed, _quick, tmp_path_factory):
    """Of a device that is not here, so that nothing is measured."""
    path = tmp_path_factory.mktemp("table") / "table.json"
    profile_space(deployed, SyntheticRuntime(), plan=Plan(1.0, min_runs=20, max_runs=20)).save(path)
    return path


@pytest.fixture(scope="module")
def limit(table, deployed):
    ms = load_predictor(str(table), deployed).predict(deployed.sample(500, seed=0))
    return round(float(np.median(ms)), 5)


def typed(*words):
    """Run the command line in this process; returns its JSON document."""
    done = CliRunner().invoke(group, [*map(str, words), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(table, limit, tmp_path_factory):
    """Of a search whose proxy is smaller than what is deployed."""
    return hwnas.find_network(
        "tiny",
        "digits",
        [f"latency<={limit}ms"],
        predictor=table,
        out=tmp_path_factory.mktemp("found") / "run",
        proxy_input_size=8,
        verify_seconds=0,
        **QUICK,
    )


def outputs(model, images):
    """What onnxruntime makes of images, one at a time."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def images_of(size, count=12):
    return np.random.default_rng(0).standard_normal((count, 3, size, size)).astype(np.float32)


@torch.inference_mode()
def logits(module, images):
    assert not module.training
    return module(torch.from_numpy(images)).numpy()


def files(folder):
    return {path.name for path in folder.iterdir()}


def test_it_is_the_search_of_the_command_line(found, table, limit, tmp_path):
    words = ("--space", "tiny", "--latency", f"{limit}ms", "--table", table, *WORDS)
    out = tmp_path / "typed"
    content = typed("search", *words, "--proxy-input-size", "8", "--out", out)
    mine = dict(found.content)
    assert mine.pop("verify") == f"hwnas verify {found.folder}"
    assert content.pop("verify") == f"hwnas verify {out}"
    assert {**content, "seconds": 0} == {**mine, "seconds": 0}
    assert files(out) == files(found.folder)
    for name in ("config.json", "best.onnx", "proxy.onnx", "table.json", "weights.safetensors"):
        assert (out / name).read_bytes() == (found.folder / name).read_bytes(), name
    assert (out / CHECKPOINT).read_bytes() == (found.folder / CHECKPOINT).read_bytes()


def test_each_goes_on_where_the_other_stopped(found, table, limit, caplog):
    words = ("--space", "tiny", "--latency", f"{limit}ms", "--table", table, *WORDS)
    before = (found.folder / "log.jsonl").read_text()
    content = typed("search", *words, "--proxy-input-size", "8", "--out", found.folder)
    assert content == found.content
    new = (found.folder / "log.jsonl").read_text().removeprefix(before).splitlines()
    assert [json.loads(line)["event"] for line in new] == ["start"]  # nothing else was done


def test_a_picture_that_a_kill_left_undrawn_is_drawn_by_the_same_call(
    found, table, limit, tmp_path
):
    out = tmp_path / "run"
    shutil.copytree(found.folder, out)
    (out / "accuracy_latency.png").unlink()
    before = (out / "log.jsonl").read_text()
    words = ("--space", "tiny", "--latency", f"{limit}ms", "--table", table, *WORDS)
    words += ("--proxy-input-size", "8", "--out", out)
    content = typed("search", *words)
    assert (out / "accuracy_latency.png").read_bytes().startswith(b"\x89PNG")
    known = {"seconds": 0, "verify": ""}
    assert {**content, **known} == {**found.content, **known}
    new = (out / "log.jsonl").read_text().removeprefix(before).splitlines()
    assert [json.loads(line)["event"] for line in new] == ["start"]  # nothing was evaluated again
    # and without the supernet, which would have to be trained again, the result is all there is
    (out / "accuracy_latency.png").unlink()
    (out / CHECKPOINT).unlink()
    assert typed("search", *words) == content
    assert not (out / "accuracy_latency.png").exists()


def test_a_network_of_a_table_with_fewer_classes_can_be_trained_in_full(tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.predictors.workloads._LEAST", 5)
    few = tiny_space(16, classes=5)
    plan = Plan(1.0, min_runs=20, max_runs=20)
    profile_space(few, SyntheticRuntime(), plan=plan).save(tmp_path / "few.json")
    words = ("--macs", "1G", "--table", tmp_path / "few.json", *WORDS, "--out", tmp_path / "run")
    found = typed("search", *words, "--proxy-input-size", "8")
    assert found["deployed"]["classes"] == found["trained"]["classes"] == 10
    words = ("--full", "--steps", "2", "--train-batch", "8", "--out", tmp_path / "full")
    report = typed("train", tmp_path / "run", *words)
    assert report["network"] == "deployed"
    assert report["export"]["same_answers"] > 0.99


def test_the_result_says_what_the_files_say(found, deployed, table, limit):
    assert json.loads((found.folder / "result.json").read_text()) == found.content
    assert found.space.identifier == deployed.identifier
    assert found.proxy.identifier == tiny_space(8).identifier
    arch = found.arch
    assert deployed.format(arch) == found.architecture
    assert found.predicted_ms == load_predictor(str(table), deployed).predict(arch[None])[0]
    low, high = found.predicted_interval_ms
    assert low < found.predicted_ms < high
    assert found.predicted_ms <= limit
    assert found.measured_ms is None
    assert 0 <= found.accuracy <= 1
    assert found.onnx == (found.folder / "best.onnx").read_bytes()


def test_its_text_has_the_numbers(found, limit):
    text = str(found)
    for part in (
        found.architecture,
        f"latency<={limit}ms",
        f"{found.predicted_ms:.3f} ms",
        f"{found.content['macs'] / 1e6:.1f} M MACs",
        f"{found.accuracy:.1%} validation",
        f"{found.content['test_accuracy']:.1%} test",
        "not measured: the table is of another machine",
        f"hwnas verify {found.folder}",
        str(found.folder),
    ):
        assert part in text, part
    shown = []
    found._repr_pretty_(SimpleNamespace(text=shown.append), cycle=False)
    assert shown == [text]


def test_the_trained_module_answers_as_its_file(found):
    images = images_of(8)
    ours = logits(found.proxy_module, images)
    theirs = outputs((found.folder / "proxy.onnx").read_bytes(), images)
    assert ours.shape == (12, 10)
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)
    assert len({row.tobytes() for row in ours}) == 12


def test_the_trained_module_has_the_accuracy_that_is_reported(found):
    digits = load_data("digits", input_size=8)
    hits = [logits(found.proxy_module, x).argmax(1) == y for x, y in digits.test()]
    assert np.concatenate(hits).mean() == pytest.approx(found.content["test_accuracy"], abs=2e-3)


def test_the_deployed_module_answers_as_its_file_though_drawn_at_random(found):
    images = images_of(16)
    ours = logits(found.module, images)
    assert ours == pytest.approx(outputs(found.onnx, images), rel=1e-4, abs=1e-4)
    assert found.content["weights"].startswith("drawn at random")


def test_a_module_without_its_weights_says_so(found, tmp_path):
    moved = type(found)(tmp_path, found.content, found.space, found.proxy)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is not there"):
        _ = moved.proxy_module


@pytest.mark.usefixtures("synthetic")
def test_measured_here_with_the_weights_of_the_supernet(tmp_path):
    space = tiny_space(8)
    digits = load_data("digits", input_size=8)
    plan = Plan(0.05, min_runs=20, max_runs=40)
    table = profile_space(space, SyntheticRuntime(spell=1.0), plan=plan)
    ms = load_predictor(table, space).predict(space.sample(500, seed=0))
    limit = float(np.quantile(ms, 0.6))
    told = []
    result = find_network(
        space,
        digits,
        [f"latency<={limit}ms", "params<=1M"],
        predictor=table,
        out=tmp_path,
        proxy_width=1.0,
        verify_seconds=0,
        progress=lambda task, share, remark: told.append(task),
        **QUICK,
    )
    assert result.measured_ms <= limit
    assert result.measured_ms == pytest.approx(result.predicted_ms, rel=0.15)
    assert f"{result.measured_ms:.3f} ms" in str(result)
    assert result.space is result.proxy is space
    assert result.content["weights"] == "from the supernet"
    assert "proxy.onnx" not in files(tmp_path)
    images = images_of(8)
    for module in (result.module, result.proxy_module):
        expected = outputs(result.onnx, images)
        assert logits(module, images) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert {"training the supernet", "evaluating", "generations"} <= set(told)


def test_a_folder_that_another_process_works_in_is_refused_before_latencies_are_known(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(held, "_PATIENCE_SECONDS", 0.2)
    asked = []

    class Own:
        target = "a device of my own"

        def predict(self, archs):
            asked.append(len(archs))
            return np.ones(len(archs))

    handle = os.open(tmp_path, os.O_RDONLY)  # a lock belongs to what opened it
    assert locked(handle)
    try:
        with pytest.raises(OptionError, match="another process works in"):
            find_network(
                "nasbench201", "digits", ["latency<=2ms"], predictor=Own(), out=tmp_path, **QUICK
            )
    finally:
        os.close(handle)
    assert not asked
    assert files(tmp_path) == set()


# A predictor of a person's own


class StoppedError(Exception):
    pass


def log_of(folder, event):
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return [{**e, "seconds": 0} for e in lines if e["event"] == event]


@pytest.fixture(scope="module")
def trained_here():
    """Space, data, and a predictor's sum; what is trained is what is deployed."""
    space = tiny_space(8)
    table = profile_space(space, SyntheticRuntime(), plan=Plan(1.0, min_runs=20, max_runs=20))
    return space, load_data("digits", input_size=8), load_predictor(table, space)


def search(trained_here, own, out, *, stop_at=None, method="spos", share=0.5, **settings):
    """A search under an own predictor; optionally killed at the nth word of progress."""
    space, digits, _ = trained_here
    limit = float(np.quantile(own.predict(space.sample(500, seed=0)), share))
    told = 0

    def progress(task, share, remark):
        nonlocal told
        told += 1
        if told == stop_at:
            raise StoppedError

    common = {"out": out, "proxy_width": 1.0, "progress": progress}
    settings = {**(QUICK if method == "spos" else BETANAS), **settings}
    budgets = [f"latency<={limit}ms"]
    found = find_network(space, digits, budgets, method=method, predictor=own, **common, **settings)
    return found, limit


@pytest.mark.parametrize("method", ["spos", "betanas"])
def test_a_search_ends_without_a_picture_that_cannot_be_drawn(
    trained_here, tmp_path, monkeypatch, caplog, method
):
    def broken(*given, **named):
        raise ValueError("a $ too many")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    own = Expecting(trained_here[2])
    found, _ = search(trained_here, own, tmp_path / "a", method=method)
    assert "no picture: " in caplog.text
    assert "accuracy_latency.png is not drawn: ValueError: a $ too many" in caplog.text
    assert found.content["files"] == {"network": "best.onnx"}
    assert json.loads((tmp_path / "a" / "result.json").read_text()) == found.content


def test_an_own_predictor_is_a_hard_constraint(trained_here, tmp_path):
    own = Bumpy(trained_here[2])
    found, limit = search(trained_here, own, tmp_path / "a", share=0.3)
    space = trained_here[0]
    names = [e["architecture"] for e in log_of(tmp_path / "a", "evaluated")]
    assert len(names) >= 12
    archs = np.array([space.parse(name) for name in names])
    assert own.predict(archs).max() <= limit
    assert found.predicted_ms == own.predict(found.arch[None])[0] <= limit
    assert found.predicted_interval_ms is None
    assert "the predictor gives no interval" in str(found)
    assert "not said (Bumpy)" in str(found)
    # killed behind training and among evaluations, another process goes on to the same end
    for stop_at in (5, 10):
        with pytest.raises(StoppedError):
            search(trained_here, Bumpy(trained_here[2]), tmp_path / "b", share=0.3, stop_at=stop_at)
    again, _ = search(trained_here, Bumpy(trained_here[2]), tmp_path / "b", share=0.3)
    assert again.architecture == found.architecture
    assert log_of(tmp_path / "b", "evaluated") == log_of(tmp_path / "a", "evaluated")
    with pytest.raises(CheckpointError, match="table was"):  # another predictor, another search
        search(trained_here, Slower(trained_here[2]), tmp_path / "b", share=0.3)


class Slower(Bumpy):
    """Twice the latency."""

    def predict(self, archs):
        return 2 * super().predict(archs)


def test_betanas_without_an_expectation_is_refused_before_anything_trains(trained_here, tmp_path):
    with pytest.raises(
        OptionError, match=r"the method betanas needs an expectation .* which Bumpy does not give"
    ):
        search(trained_here, Bumpy(trained_here[2]), tmp_path / "run", method="betanas")
    assert not (tmp_path / "run").exists()


def test_betanas_with_an_expectation_resumes_to_the_same_result(trained_here, tmp_path):
    space, _, table = trained_here
    own = Expecting(table)
    found, limit = search(trained_here, own, tmp_path / "whole", method="betanas")
    assert own.predict(found.arch[None])[0] == found.predicted_ms <= limit
    history = log_of(tmp_path / "whole", "alpha")
    assert history
    ms = own.predict(space.sample(500, seed=0))
    assert ms.min() <= history[-1]["expected"][0] <= ms.max()
    for stop_at in (6, 8):
        with pytest.raises(StoppedError):
            search(
                trained_here, Expecting(table), tmp_path / "cut", method="betanas", stop_at=stop_at
            )
    again, _ = search(trained_here, Expecting(table), tmp_path / "cut", method="betanas")
    skip = ("seconds", "verify")
    assert {k: v for k, v in again.content.items() if k not in skip} == {
        k: v for k, v in found.content.items() if k not in skip
    }
    whole, cut = (tmp_path / name / CHECKPOINT for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()


# What is refused


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (InfeasibleBudgetError, {"budgets": ["latency<=0.00001ms"]}, "no architecture keeps lat"),
        (InfeasibleBudgetError, {"budgets": ["macs<=0.001k"]}, "no architecture keeps macs<="),
        (hwnas.HwnasError, {"budgets": []}, "a search needs a budget"),
        (hwnas.HwnasError, {"budgets": ["latency<=six"]}, "six"),
        (hwnas.HwnasError, {"method": "sposs"}, "spos"),
        (OptionError, {"no_such": 1}, "method spos takes .*got 'no_such'"),
        (OptionError, {"steps": 0}, "steps is a whole number of at least 1, got 0"),
        (OptionError, {"alpha_lr": 0.1}, "method spos takes .*got 'alpha_lr'"),
        (OptionError, {"confidence": 95}, "confidence is a number above 0 below 1"),
        (OptionError, {"precision": "int8"}, "--precision int8 does not fit the table"),
        (OptionError, {"predictor": object()}, "a predictor is an object with predict"),
        (OptionError, {"predictor": Bumpy}, "Bumpy is a class: give an object"),
        (OptionError, {"width_mult": 0.5}, "space tiny takes .*got 'width_mult'"),
    ],
)
def test_bad_input_leaves_no_folder(table, tmp_path, monkeypatch, error, arguments, message):
    monkeypatch.chdir(tmp_path)
    given = {
        **{"space": "tiny", "data": "digits", "budgets": ["latency<=9s"], "predictor": table},
        **{"proxy_input_size": 8, **QUICK, **arguments},
    }
    with pytest.raises(error, match=message) as caught:
        find_network(**given)
    assert len(str(caught.value).splitlines()) == 1
    assert re.search(message, str(caught.value))
    assert list(tmp_path.iterdir()) == []
