"""No module that a table or a run names is imported, whatever a command does with it."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hwnas as package
from hwnas import spaces
from hwnas.profilers import profile_space
from hwnas.testing import SyntheticRuntime

pytestmark = pytest.mark.usefixtures("few_random_paths")
NAMES = ("evil.py:thing", "evil:thing", "evil.py", "evil")
BUDGET = ("--latency", "9ms")
SMALL = ("--population", "4", "--generations", "1", "--parents", "2", "--verify-seconds", "0")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run, and its architecture."""
    from hwnas.profilers import Plan

    space = spaces.space("nasbench201", input_size=8, classes=10, channels=4, cells=1)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = package.find_network(
        space,
        "digits",
        ["latency<=9ms"],
        predictor=profile_space(space, SyntheticRuntime(), plan=plan),
        out=folder,
        steps=2,
        batch_size=8,
        population=4,
        generations=1,
        parents=2,
        proxy_input_size=8,
        progress=lambda *told: None,
    )
    return folder, result.architecture


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The working directory holds a module that leaves a trace when it is imported."""
    trace = tmp_path / "imported"
    (tmp_path / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(trace)!r}).write_text('')\n"
        "def thing(*given, **named):\n    raise RuntimeError\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield trace
    assert not trace.exists()
    assert "evil" not in sys.modules


def tampered(folder: Path, name: str, **changes):
    """A copy of a JSON file's run with other words in it."""
    copy = Path("run")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    path = copy / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return copy


def test_the_trap_works(hwnas, trap):
    assert hwnas("search", *BUDGET, "--space", "evil.py:thing")[0] == 2
    assert trap.exists()
    trap.unlink()
    hwnas("search", *BUDGET, "--data", "evil:thing")
    assert trap.exists()
    trap.unlink()
    sys.modules.pop("evil", None)


@pytest.mark.parametrize(
    "keys", [("space",), ("data", "method", "runtime", "predictor", "sampler")], ids="-".join
)
@pytest.mark.parametrize("name", [NAMES[0], NAMES[-1]])
def test_a_run_names_a_module(hwnas, whole, trap, keys, name):
    folder, _ = whole
    for file in ("config.json", "result.json"):
        run = tampered(folder, file, **dict.fromkeys(keys, name))
        commands = (
            ("train", run, "--steps", "1", "--train-batch", "8"),
            ("rank", run, "--count", "3", "--steps", "1", "--train-batch", "8"),
            ("verify", run, "--seconds", "0"),
            ("show", run),
            ("search", "--supernet", run, *BUDGET, *SMALL, "--out", "again"),
        )
        for words in commands:
            status, _, said = hwnas(*map(str, words))
            if file == "config.json" and words[0] not in ("show", "verify"):
                assert status == 2, said
                assert said.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["space", "runtime"])
def test_a_table_names_a_module(hwnas, whole, trap, name, what):
    folder, text = whole
    table = package.LatencyTable.load(folder / "table.json")
    if what == "space":
        table = replace(table, space=replace(table.space, name=name))
    else:
        table = replace(table, target=replace(table.target, runtime=name))
    table.save("table.json")
    commands = (
        ("predict", "--table", "table.json", text),
        ("show", "--table", "table.json", text),
        ("tables", "show", "table.json"),
        ("tables", "check", "table.json"),
        ("tables", "check", "table.json", "--device", "cpu"),
        ("tables", "report", "table.json"),
        ("tables", "report", "table.json", "--measure", "4"),
        ("tables", "fill", "table.json", "--out", "filled.json", "--space", "nasbench201"),
        ("profile", "--samples", "5", "--from-table", "table.json", "--space", "nasbench201"),
        ("search", "--table", "table.json", *BUDGET, "--steps", "1", "--train-batch", "8"),
    )
    for words in commands:
        if (what, words[0]) == ("runtime", "search"):
            continue  # searches, see below
        status, _, said = hwnas(*words)
        if words[0] in ("search", "predict") and what == "space":
            assert status == 2, said
    assert not Path("runs").exists()


def test_a_search_with_such_a_runtime_does_not_measure(hwnas, whole, trap):
    folder, _ = whole
    table = package.LatencyTable.load(folder / "table.json")
    replace(table, target=replace(table.target, runtime="evil.py:thing")).save("table.json")
    words = ("search", "--table", "table.json", *BUDGET, "--steps", "1", "--train-batch", "8")
    status, out, said = hwnas(*words, *SMALL, "--proxy-input-size", "8", "--json")
    assert status == 0, said
    assert json.loads(out)["measured_ms"] is None
