"""What is wrong is said in one line, with exit status 2, before anything trains or is measured."""

import re
from importlib.metadata import EntryPoint

import pytest

import hwnas as package
from hwnas import data, profilers, registry, spaces
from hwnas.errors import OptionError, UnknownNameError
from hwnas.profilers import Plan, profile_space
from hwnas.search import methods
from hwnas.testing import SyntheticRuntime

OWN = """
number = 3
class Slow:
    def predict(self, archs):
        return 1.0 + archs.sum(axis=1)
slow = Slow()
def raises(*given, **named):
    raise KeyError("what I need")
def returns(*given, **named):
    return 3
def no_data(input_shape):
    return 3
def lost_data(input_shape):
    raise KeyError("where they are")
"""
REGISTRIES = {
    "method": methods.METHODS,
    "space": spaces.SPACES,
    "data": data.DATA,
    "runtime": profilers.RUNTIMES,
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A working directory with files of a person, where nothing may train or be measured."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("import no_such_module_at_all\nthing = 1\n")
    (tmp_path / "torn.py").write_text("thing = (\n")
    monkeypatch.chdir(tmp_path)
    for known in REGISTRIES.values():
        monkeypatch.setattr(known, "_registered", {})

    def never(*given, **named):
        raise AssertionError("something was trained or measured")

    monkeypatch.setattr("hwnas.devices.tables.profile_space", never)
    monkeypatch.setattr("hwnas.devices.completing.extend_table", never)
    monkeypatch.setattr("hwnas.search.supernet_training.train_step", never)
    before = sorted(tmp_path.iterdir())
    yield tmp_path
    left = [path for path in sorted(tmp_path.iterdir()) if path not in before]
    assert [path.name for path in left if path.name != "__pycache__"] == []


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of a device that is not this machine."""
    space = spaces.space("nasbench201", input_size=8)
    plan = Plan(tolerance=1.0, min_runs=5, max_runs=5)
    path = tmp_path_factory.mktemp("tables") / "table.json"
    profile_space(space, SyntheticRuntime(), plan=plan).save(path)
    return str(path)


@pytest.fixture
def refused(hwnas):
    """Run a command that must be refused; returns its one line."""

    def run(*words):
        status, out, said = hwnas(*words)
        assert (status, out) == (2, ""), said
        (line,) = said.splitlines()
        assert line.startswith("error: ")
        return line

    return run


SEARCH = ("search", "--latency", "9ms")


@pytest.mark.parametrize("flag", ["method", "space", "data", "table", "runtime"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("absent.py:thing", "there is no file"),
        ("absent.py", "there is no file"),
        ("own.py:absent", "own.py has no 'absent'"),
        ("broken.py:thing", "cannot be imported: ModuleNotFoundError: .*no_such_module_at_all"),
        ("torn.py:thing", "cannot be imported: SyntaxError"),
        ("no_such_module_at_all:thing", "no_such_module_at_all"),
        ("own.py:number", "number"),
        ("own.py", ""),
    ],
)
def test_what_is_typed_is_not_there_or_wrong(refused, flag, text, says):
    line = refused(*SEARCH, f"--{flag}", text)
    assert re.search(says, line), line


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("method", "unknown method 'cream': choose one of amended-darts, betanas"),
        ("space", "unknown space 'cream': choose one of darts, darts-s1, darts-s2, fbnet"),
        ("data", "unknown data 'cream': choose one of digits"),
        ("table", "no latency table at 'cream'"),
        ("runtime", "unknown CPU runtime 'cream': choose one of onnxruntime"),
    ],
)
def test_an_unknown_name(refused, flag, says):
    assert says in refused(*SEARCH, "--device", "cpu", f"--{flag}", "cream")


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("method", "lacks Settings, check, search"),
        ("space", "cannot be made: KeyError: 'what I need'"),
        ("data", "cannot read own.py:raises: KeyError: 'what I need'"),
        ("runtime", "cannot be made for 1 threads: KeyError: 'what I need'"),
        ("table", "an object with predict"),
    ],
)
def test_a_function_that_raises(refused, flag, says):
    assert says in refused(*SEARCH, "--device", "cpu", f"--{flag}", "own.py:raises")


def test_data_that_cannot_be_made(refused):
    assert "KeyError: 'where they are'" in refused(*SEARCH, "--data", "own.py:lost_data")
    assert "lack name, classes" in refused(*SEARCH, "--data", "own.py:no_data")


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("space", "a function that returns a SearchSpace, got a int"),
        ("runtime", "lacks precisions, target, load"),
        ("table", "an object with predict"),
    ],
)
def test_a_function_that_returns_something_else(refused, flag, says):
    assert says in refused(*SEARCH, "--device", "cpu", f"--{flag}", "own.py:returns")


@pytest.mark.parametrize("command", ["train", "rank", "verify", "search --supernet"])
def test_a_run_that_is_not_there(refused, command):
    more = ("--latency", "9ms") if command.startswith("search") else ()
    assert "nowhere" in refused(*command.split(), "nowhere", *more)


# Settings and what a method needs


def test_an_unknown_setting_or_value():
    for given, says in (
        ({"stepps": 3}, "method spos takes sharing, .*; got 'stepps'"),
        ({"stepps": 3}, "every search takes input_size, .*worker_backend.* and progress; got"),
        ({"seed": -1}, r"a seed is a whole number from 0 to \d+, got -1"),
        ({"seed": 10**30}, "a seed is a whole number"),
        ({"seed": 1.0}, "a seed is a whole number"),
        ({"steps": 10**9}, "steps is at most 1e\\+07, since nobody needs more"),
        ({"sampler": "constraint", "bins": range(1, 2000)}, "bins"),
        ({"population": 4, "generations": 2, "finalists": 9}, "among the 8 architectures"),
        ({"steps": 0}, "steps is a whole number of at least 1, got 0"),
        ({"steps": 2.5}, "steps is a whole number"),
        ({"steps": True}, "steps is a whole number"),
        ({"warm_up": 0.5}, "got 'warm_up'"),
        ({"optimizer": "lbfgs"}, "optimizer is one of"),
        ({"method": "betanas", "finalists": 2}, "method betanas takes .*; got 'finalists'"),
        ({"method": "amended-darts", "eta": -0.1}, "eta is a number of at least 0, got -0.1"),
        ({"workers": 0}, "workers is a whole number of at least 1"),
        ({"confidence": 1.0}, "confidence is a number above 0 below 1"),
    ):
        with pytest.raises(OptionError, match=says):
            package.find_network("nasbench201", "digits", ["latency<=9ms"], **given)
    with pytest.raises(UnknownNameError, match="unknown method 'darts'"):
        package.find_network("nasbench201", "digits", ["latency<=9ms"], method="darts")


@pytest.mark.parametrize(
    "given",
    [
        {"RANK": "1"},
        {"RANK": "0"},
        {"WORLD_SIZE": "x"},
        {"WORLD_SIZE": "2"},
        {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"},
    ],
    ids=lambda given: "-".join(map("".join, given.items())),
)
def test_half_of_torchrun(refused, monkeypatch, given):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert "start with torchrun" in refused(*SEARCH)
    assert "start with torchrun" in refused("train", "nowhere")
    with pytest.raises(OptionError, match="start with torchrun"):
        package.find_network("nasbench201", "digits", ["latency<=9ms"])


def test_foreign_flags(refused):
    line = refused(*SEARCH, "--method", "betanas", "--finalists", "2")
    assert "--finalists is of --method nao and spos, got --method betanas" in line


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_predictor_without_what_is_needed(refused, device):
    words = (*SEARCH, "--device", device, "--space", "nasbench201", "--input-size", "8")
    words += ("--table", "own.py:slow")
    assert "interval" in refused(*words, "--confidence", "0.95")
    line = refused(*words, "--method", "betanas")
    assert "expected" in line
    assert "betanas" in line


@pytest.mark.parametrize(
    "words",
    [
        ("--latency", "0ms"),
        ("--latency", "0.000001ms"),
        ("--latency", "fast"),
        ("--latency", "4ms,6ms"),
        ("--macs", "1"),
        ("--bitops", "3G"),
        (),
    ],
    ids=lambda words: "-".join(words) or "none",
)
def test_budgets(refused, table, words):
    refused("search", "--table", table, *words)


# Names that are taken, and packages that are broken


@pytest.fixture
def entry_points(monkeypatch):
    """Installs entry points: a function that takes (group, name, value)."""
    found: list[EntryPoint] = []

    def of_group(group, path):
        return [point for point in found if point.group == group]

    monkeypatch.setattr(registry, "_entry_points", of_group)
    return lambda group, name, value: found.append(EntryPoint(name, value, group))


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_name_is_registered_twice(kind):
    first = {"method": methods.METHODS.get("spos"), "space": _space, "data": _data, "runtime": int}
    other = {
        "method": methods.METHODS.get("betanas"),
        "space": lambda: _space(),
        "data": lambda input_shape: _data(input_shape),
        "runtime": float,
    }
    register = getattr(package, f"register_{kind}")
    register("mine", first[kind])
    with pytest.raises(OptionError, match="'mine' already: register another name"):
        register("mine", other[kind])
    shipped = REGISTRIES[kind].names()[0]
    with pytest.raises(OptionError, match=r"already|by its own name"):
        register(shipped, other[kind])


def _space():
    from dataclasses import replace

    return replace(spaces.space("nasbench201"), name="mine")


def _data(input_shape):
    raise NotImplementedError


@pytest.mark.parametrize("kind", REGISTRIES)
def test_two_packages_use_one_name(refused, entry_points, kind):
    group = {"method": "methods", "space": "spaces", "runtime": "runtimes"}.get(kind, kind)
    entry_points(f"hwnas.{group}", "mine", "one:thing")
    entry_points(f"hwnas.{group}", "mine", "two:thing")
    line = refused(*SEARCH, "--device", "cpu", f"--{kind}", "mine")
    assert "'mine' (two:thing), which is taken: uninstall one of the two" in line


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_package_with_a_name_that_ships_concerns_nobody_else(entry_points, kind):
    group = {"method": "methods", "space": "spaces", "runtime": "runtimes"}.get(kind, kind)
    registry = REGISTRIES[kind]
    clashing, *others = registry.names()
    entry_points(f"hwnas.{group}", clashing, "other:thing")
    assert registry.names() == [clashing, *others]
    for name in others:
        assert registry.get(name)
    with pytest.raises(OptionError, match=r"\(other:thing\), which is taken"):
        registry.get(clashing)


@pytest.mark.parametrize("kind", REGISTRIES)
@pytest.mark.parametrize(
    ("value", "says"),
    [("no_such_module_at_all:thing", "No module named"), ("own:absent", "has no 'absent'")],
)
def test_a_package_is_broken(refused, entry_points, monkeypatch, place, kind, value, says):
    monkeypatch.syspath_prepend(str(place))
    group = {"method": "methods", "space": "spaces", "runtime": "runtimes"}.get(kind, kind)
    entry_points(f"hwnas.{group}", "mine", value)
    line = refused(*SEARCH, "--device", "cpu", f"--{kind}", "mine")
    assert f"entry point {value} of an installed package" in line
    assert says in line


def test_a_broken_package_disturbs_nobody_else(hwnas, refused, entry_points, table):
    entry_points("hwnas.methods", "mine", "no_such_module_at_all")
    status, out, _ = hwnas("search", "--help")
    assert status == 0
    assert "mine" in out
    refused("search", "--latency", "0.000001ms", "--table", table)


@pytest.mark.parametrize(
    "words",
    [
        ("profile", "--out", ""),
        ("profile", "bundle", "--out="),
        ("profile", "collect", ""),
        ("measure", "m.onnx", "--save", ""),
        ("measure", "m.onnx", "--plot", ""),
        ("search", "--latency", "9ms", "--out", ""),
        ("search", "--latency", "9ms", "--supernet", ""),
        ("train", ""),
        ("rank", "nowhere", "--out", ""),
        ("verify", "nowhere", "--network", ""),
        ("report", "nowhere", "--out", ""),
        ("tables", "report", "amd-epyc-1thread", "--plot", ""),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_not_the_current_folder(refused, words):
    """As that of a shell's variable which is not set."""
    assert "it is empty: is a variable of the shell not set?" in refused(*words)
