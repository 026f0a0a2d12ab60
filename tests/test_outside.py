"""A method, a space with an operator of its own, data and a runtime, from outside the package.

They lie in ``tests/outside`` and are used as an installed distribution, as files that a person
types, and as objects that a program registers. Nothing in hwnas knows them.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import make_dataclass, replace
from io import StringIO
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

import hwnas
from hwnas import data, profilers, registry, spaces
from hwnas.cli import group
from hwnas.cli.errors import guarded
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable, check_table
from hwnas.ops import FAMILIES
from hwnas.predictors import fill_gaps
from hwnas.predictors.transfer import fit_transfer, transferred
from hwnas.profilers import Plan, profile_space
from hwnas.search import methods
from hwnas.testing import SyntheticRuntime, check_data, check_op, check_runtime, check_space

pytestmark = pytest.mark.usefixtures("few_random_paths")
FILES = Path(__file__).parent / "outside"
OURS = [path.stem for path in FILES.glob("*.py")]
REGISTRIES = (spaces.SPACES, data.DATA, methods.METHODS, profilers.RUNTIMES)
ENTRY_POINTS = """
[hwnas.spaces]
fire = fire_space:ENTRY
[hwnas.data]
stripes = stripes:stripes
[hwnas.runtimes]
paper = paper:Paper
[hwnas.methods]
lottery = lottery
"""
TINY = ("--steps", "6", "--train-batch", "16", "--proxy-input-size", "8", "--proxy-width", "0.5")
NAMED = {"space": "fire", "data": "stripes", "runtime": "paper", "method": "lottery"}
TYPED = {
    "space": "fire_space.py:ENTRY",
    "data": "stripes.py:stripes",
    "runtime": "paper.py:Paper",
    "method": "lottery.py",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An empty home, where child processes find no tables."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder as pip leaves it: the modules, and what says that they are a distribution."""
    site = tmp_path_factory.mktemp("site")
    for path in FILES.glob("*.py"):
        shutil.copy(path, site)
    info = site / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return site


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same files where a person wrote them; nothing is installed."""
    folder = tmp_path_factory.mktemp("mine")
    for path in FILES.glob("*.py"):
        shutil.copy(path, folder)
    return folder


def run(words, *, cwd, home, path=(), status=0):
    """A command line whose standard output is JSON, in this process as in a new one.

    The working directory and the home are others, ``path`` is searched for modules and
    distributions, and nothing is known of what was imported, typed or registered before.
    """
    forget()
    typed = [*map(str, words), "--json"]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(cwd)
        patched.setenv("HWNAS_HOME", str(home))
        patched.setattr(sys, "path", [*map(str, path), *sys.path])
        patched.setattr(registry, "_FILES", {})
        patched.setattr(registry, "_NEIGHBOURS", [])
        for known in REGISTRIES:
            patched.setattr(known, "_registered", {})
        with (
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as said,
            pytest.raises(SystemExit) as left,
        ):
            guarded(lambda standalone_mode: group(typed, standalone_mode=standalone_mode))
    forget()
    assert left.value.code == status, said.getvalue()
    return json.loads(out.getvalue()) if status == 0 else said.getvalue()


def forget():
    """Import what is outside anew, and not by the processes that evaluated candidates so far."""
    for name in OURS:
        sys.modules.pop(name, None)
    get_reusable_executor().shutdown()


def run_alone(words, *, cwd, home):
    """The same in a process of its own, where the working directory is not searched."""
    environment = {
        **os.environ,
        "HWNAS_HOME": str(home),
        "PYTHONPATH": str(Path(hwnas.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    code = "from hwnas.cli import main; main()"
    command = [sys.executable, "-P", "-c", code, *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_outside_keeps_every_contract(monkeypatch):
    monkeypatch.syspath_prepend(FILES)
    from fire_ops import Fire
    from fire_space import ENTRY
    from paper import Paper
    from stripes import stripes

    assert "Fire" not in FAMILIES
    check_op(Fire(2, 3), (8, 16, 1, 6, 6), (8, 16, 2, 7, 7), (8, 6, 1, 4, 4))
    check_data(stripes((3, 8, 8)))
    check_runtime(Paper(1))
    monkeypatch.setattr(spaces.SPACES, "_registered", {})
    spaces.register_space("fire", ENTRY)
    check_space(spaces.space("fire", input_size=8))


def test_its_operators_are_estimated_transferred_and_checked(monkeypatch):
    """A table knows operators of its own space, which no line of hwnas names."""
    monkeypatch.syspath_prepend(FILES)
    from fire_space import fire

    space = fire(width=16)
    plan = Plan(tolerance=1.0, min_runs=20, max_runs=20)
    table = profile_space(space, SyntheticRuntime(spell=1.0, outliers=0.0), plan=plan)
    unknown = "not a workload that this version knows"
    marked = {f.entry for f in check_table(table) if f.problem == unknown}
    assert marked == {key for key in table.workloads if key.startswith("Fire(")}
    assert not [f for f in check_table(table, space.families) if f.problem == unknown]

    gone = next(iter(sorted(marked)))
    some = replace(table, workloads={k: m for k, m in table.workloads.items() if k != gone})
    filled = fill_gaps(some, space.distinct_workloads, space.families)
    truth = table.workloads[gone].latency_ms
    assert filled.estimates.keys() == {gone}
    assert abs(filled.estimates[gone].latency_ms / truth - 1) < 0.2

    slower = SyntheticRuntime(spell=1.0, outliers=0.0, name="slower", call_ms=0.1)
    archs = [space.parse(name) for name in table.networks]
    ms = [slower.true_ms(space.to_onnx(arch)) for arch in archs]
    fit = fit_transfer(table, space, archs, ms, 0.1)
    entries, _ = transferred(table, fit, table.call, space.families)
    assert entries.keys() == table.workloads.keys()


def test_an_operator_that_bears_the_name_of_another_is_refused():
    from hwnas.ops import Identity
    from hwnas.spaces.chain import chain

    fields = [("kernel", int), ("expand", int)]
    other = make_dataclass("MBConv", fields, bases=(Identity,), frozen=True)
    layout = chain((3, 8, 8), [("block", [other(3, 3)], 3, 1)])
    space = spaces.SearchSpace("mine", {}, layout)
    with pytest.raises(OptionError, match="has an operator family MBConv of its own"):
        _ = space.families


# As an installed distribution


@pytest.fixture(scope="module")
def searched(installed, home, tmp_path_factory):
    """A profile and a search that name what the distribution brings."""
    cwd = tmp_path_factory.mktemp("work")
    profile = ("profile", "--space", "fire", "--runtime", "paper", "--seconds", "0")
    made = run(profile, cwd=cwd, home=home, path=[installed])
    table = LatencyTable.load(made["table"])
    limit = sorted(entry.latency_ms for entry in table.networks.values())[-2]
    words = ("search", "--method", "lottery", "--space", "fire", "--data", "stripes", *TINY)
    words += ("--latency", f"{limit}ms", "--runtime", "paper", "--table", made["table"])
    words += ("--workers", "2", "--verify-seconds", "0", "--tickets", "5", "--out", cwd / "run")
    return made, run(words, cwd=cwd, home=home, path=[installed]), limit, cwd


def test_an_installed_runtime_profiles_an_installed_space(searched):
    made, *_ = searched
    table = LatencyTable.load(made["table"])
    assert (table.space.name, table.target.runtime) == ("fire", "paper")
    assert sum(key.startswith("Fire(") for key in table.workloads) == 3 * 4
    assert not [f for f in made["findings"] if "not a workload" in f["problem"]]


def test_an_installed_method_searches_and_measures(searched):
    _, result, limit, cwd = searched
    assert (result["method"], result["space"], result["data"]) == ("lottery", "fire", "stripes")
    assert result["measured_ms"] <= limit
    assert result["predicted_ms"] <= limit
    assert 1 <= result["architectures_evaluated"] <= 5 * result["networks_measured"]
    config = json.loads((cwd / "run" / "config.json").read_text())
    assert (config["method"], config["tickets"]) == ("lottery", 5)
    log = (cwd / "run" / "log.jsonl").read_text()
    assert '"measured"' in log
    assert '"evaluated"' in log


def test_its_flags_are_shown_and_refused_elsewhere(installed, home, tmp_path):
    said = run(
        ("search", "--latency", "6ms", "--tickets", "3"),
        cwd=tmp_path,
        home=home,
        path=[installed],
        status=2,
    )
    assert "--tickets is of --method lottery, got --method spos" in said
    assert not any(tmp_path.iterdir())


def test_a_run_of_it_is_trained_ranked_searched_again_and_verified(searched, installed, home):
    made, result, limit, cwd = searched

    def again(*words):
        return run(words, cwd=cwd, home=home, path=[installed])

    trained = again("train", "run", "--steps", "4", "--train-batch", "16")
    assert trained["architecture"] == result["architecture"]
    assert trained["export"]["same_answers"] == 1
    ranked = again("rank", "run", "--count", "3", "--steps", "2", "--train-batch", "16")
    assert ranked["space"] == "fire"
    small = ("--population", "4", "--generations", "1", "--verify-seconds", "0")
    more = again(
        *("search", "--supernet", "run", "--latency", f"{limit}ms", "--runtime", "paper"),
        *("--out", "again", *small),
    )
    assert more["budgets"][0]["measured_ms"] <= limit
    assert again("verify", "run", "--seconds", "0")["target"]["runtime"] == "paper"
    text = result["architecture"]
    (predicted,) = again("predict", "--table", made["table"], text)
    assert predicted["predicted_ms"] == result["predicted_ms"]


# As files that a person types


@pytest.fixture(scope="module")
def typed(searched, files, home, tmp_path_factory):
    """The same search, everything typed; its table was measured before."""
    cwd = tmp_path_factory.mktemp("elsewhere")
    made, _, limit, _ = searched
    own = {name: files / text for name, text in TYPED.items()}
    words = ("search", "--method", own["method"], "--space", own["space"], "--data", own["data"])
    words += ("--table", made["table"], "--runtime", own["runtime"], *TINY)
    words += ("--latency", f"{limit}ms", "--workers", "2", "--verify-seconds", "0")
    words += ("--tickets", "5", "--out", cwd / "run")
    return own, run_alone(words, cwd=cwd, home=home), made["table"], cwd


def test_typed_files_find_what_installed_names_find(searched, typed):
    _, named, _, _ = searched
    _, result, _, _ = typed
    for key in ("architecture", "accuracy", "test_accuracy", "predicted_ms", "random_paths"):
        assert result[key] == named[key], key
    assert result["measured_ms"] is not None


def test_a_run_of_an_own_space_asks_for_it_again(typed, home):
    own, result, table, cwd = typed
    commands = {
        "train": ("train", "run", "--steps", "4", "--train-batch", "16"),
        "verify": ("verify", "run", "--runtime", own["runtime"], "--seconds", "0"),
        "search": ("search", "--supernet", "run", "--latency", "9ms", "--runtime", own["runtime"]),
        "predict": ("predict", "--table", table, result["architecture"]),
    }
    before = sorted(cwd.rglob("*"))
    for words in commands.values():
        said = run(words, cwd=cwd, home=home, status=2).splitlines()
        assert said[-1].startswith("error: "), said
        assert "--space FILE.py:NAME" in said[-1], said
    assert sorted(cwd.rglob("*")) == before
    with_data = ("--data", own["data"])
    for name in ("train", "verify"):
        more = ("--space", own["space"], *(with_data if name == "train" else ()))
        assert run((*commands[name], *more), cwd=cwd, home=home)


def test_a_typed_module_lies_where_the_person_is(files, home):
    words = ("profile", "--space", "fire_space:fire", "--runtime", "paper:Paper", "--seconds", "0")
    made = run_alone((*words, "--out", "t.json"), cwd=files, home=home)
    assert LatencyTable.load(files / made["table"]).space.name == "fire"
    checked = run(("tables", "check", "t.json", "--space", "fire_space:fire"), cwd=files, home=home)
    assert not [f for f in checked["findings"] if "not a workload" in f["problem"]]


# As objects of a program


@pytest.fixture(scope="module")
def _forgotten():
    """Both programs evaluate with the same processes, and none that an earlier test left."""
    forget()


@pytest.fixture
def modules(monkeypatch, _forgotten):
    """The modules, and registers that forget what was registered."""
    monkeypatch.syspath_prepend(FILES)
    for known in REGISTRIES:
        monkeypatch.setattr(known, "_registered", {})
    import fire_space
    import lottery
    import paper
    import stripes

    return fire_space, stripes, paper, lottery


def test_a_program_registers_and_searches(modules, tmp_path):
    fire_space, stripes, paper, lottery = modules
    hwnas.register_space("fire", fire_space.ENTRY)
    hwnas.register_data("stripes", stripes.stripes)
    hwnas.register_runtime("paper", paper.Paper)
    hwnas.register_method("lottery", lottery)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    table = profile_space(
        spaces.space("fire", classes=4), profilers.runtime("cpu", 1, "paper"), plan=plan
    )
    result = hwnas.find_network(
        "fire",
        "stripes",
        ["latency<=9ms"],
        method="lottery",
        predictor=table,
        out=tmp_path / "run",
        runtime="paper",
        verify_seconds=0,
        workers=2,
        steps=6,
        batch_size=16,
        proxy_input_size=8,
        proxy_width=0.5,
        tickets=5,
        progress=lambda *told: None,
    )
    assert result.content["method"] == "lottery"
    assert result.measured_ms is not None
    assert result.measured_ms <= 9
    assert result.module.training is False


def test_a_program_hands_over_objects(modules, tmp_path):
    fire_space, stripes, paper, lottery = modules
    hwnas.register_method("lottery", lottery)
    space = fire_space.fire(input_size=8)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    table = profile_space(space, paper.Paper(1), plan=plan)
    assert "fire" not in spaces.names()
    result = hwnas.find_network(
        space,
        stripes.stripes((3, 8, 8)),
        ["latency<=9ms"],
        method="lottery",
        predictor=table,
        out=tmp_path / "run",
        workers=2,
        steps=6,
        batch_size=16,
        tickets=5,
        progress=lambda *told: None,
    )
    assert result.space is result.proxy is space
    assert result.measured_ms is None  # no runtime of this machine is called paper
