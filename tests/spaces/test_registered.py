"""Spaces from outside the package: registered, ready-made, typed as FILE.py:NAME."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from branches import branches

import hwnas.spaces
from hwnas import registry
from hwnas.errors import OptionError, UnknownNameError
from hwnas.spaces import SearchSpace, SpaceEntry

FILE = """
from dataclasses import replace
from hwnas.spaces import SearchSpace, SpaceEntry, space

def mine(input_size=16, classes=4):
    made = space("proxyless", input_size=input_size, classes=classes)
    return SearchSpace("my-space", {"input_size": input_size, "classes": classes}, made.layout)

ready = mine(8)
entry = SpaceEntry("my-space", mine, base_lr=0.5)
renamed = replace(space("proxyless", input_size=8), name="my-space")
number = 3

def no_space():
    return 3

def taken():
    return space("proxyless")
"""


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwnas.spaces.SPACES, "_registered", {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return path


def test_a_function_is_a_space() -> None:
    hwnas.spaces.register_space("branches", branches)
    assert "branches" in hwnas.spaces.names()
    made = hwnas.spaces.space("branches", channels=6)
    assert made.identifier == branches(channels=6).identifier
    assert hwnas.spaces.remake("branches", made.arguments).identifier == made.identifier
    assert hwnas.spaces.entry("branches") == SpaceEntry("branches", branches)
    with pytest.raises(OptionError, match=r"branches takes input_size, classes, channels, got 'w"):
        hwnas.spaces.space("branches", width=3)


def test_registering_again_changes_nothing_and_another_is_refused() -> None:
    first = hwnas.spaces.register_space("branches", branches)
    assert hwnas.spaces.register_space("branches", branches) is first
    with pytest.raises(OptionError, match="there is a space 'branches' already"):
        hwnas.spaces.register_space("branches", lambda: branches())
    with pytest.raises(OptionError, match="there is a space 'proxyless' already"):
        hwnas.spaces.register_space("proxyless", branches)


def test_a_ready_space_is_made_as_it_is() -> None:
    space = branches(input_size=12)
    hwnas.spaces.register_space("branches", space)
    assert hwnas.spaces.space("branches") is space
    assert hwnas.spaces.space("branches", input_size=12, classes=3) is space
    assert hwnas.spaces.remake("branches", space.arguments) is space
    with pytest.raises(OptionError, match=r"was made with input_size=12, .*got input_size=8"):
        hwnas.spaces.space("branches", input_size=8)


def test_names_are_the_spaces_own() -> None:
    with pytest.raises(OptionError, match=r"by its own name, .*: 'branches', got 'other'"):
        hwnas.spaces.register_space("other", branches())
    hwnas.spaces.register_space("other", branches)
    with pytest.raises(OptionError, match=r"by its own name, .*: 'branches', got 'other'"):
        hwnas.spaces.space("other")


@pytest.mark.parametrize("thing", [3, None, "hwnas.spaces.proxyless:proxyless"])
def test_what_is_no_space_is_refused(thing: object) -> None:
    with pytest.raises(OptionError, match=r"a function that returns a SearchSpace, .*mine is a"):
        hwnas.spaces.register_space("mine", thing)


@pytest.mark.parametrize("name", ["mine", "ready", "entry", "renamed"])
def test_a_typed_space_gets_its_own_name(file: Path, name: str) -> None:
    found = hwnas.spaces.resolve(f"{file}:{name}")
    assert found.name == "my-space"
    assert hwnas.spaces.resolve(f"{file}:{name}") is found
    assert hwnas.spaces.entry("my-space") is found
    assert hwnas.spaces.space("my-space").name == "my-space"
    assert found.base_lr == (0.5 if name == "entry" else 2e-3)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("number", "number is a int"),
        ("no_space", "a function that returns a SearchSpace, got a int"),
        ("taken", r"taken is called 'proxyless', as another is: .*replace\(space, name='my-prox"),
        ("absent", "has no 'absent'"),
    ],
)
def test_a_wrong_typed_space_is_refused(file: Path, name: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        hwnas.spaces.resolve(f"{file}:{name}")


def test_names_resolve_to_what_ships() -> None:
    assert hwnas.spaces.resolve("ofa") is hwnas.spaces.entry("ofa")
    with pytest.raises(UnknownNameError, match="unknown space 'nosuch'"):
        hwnas.spaces.resolve("nosuch")


def test_no_module_that_a_file_names_is_imported(file: Path) -> None:
    for name in (f"{file}:mine", "branches:branches"):
        with pytest.raises(UnknownNameError, match="unknown space"):
            hwnas.spaces.remake(name, {})


def test_an_installed_package_adds_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"branches": "branches:branches", "another": "branches:branches"}
    found = [SimpleNamespace(name=name, value=value) for name, value in points.items()]
    monkeypatch.setattr(registry, "_entry_points", lambda group, path: found)
    assert "branches" in hwnas.spaces.names()
    assert hwnas.spaces.space("branches").identifier == branches().identifier
    with pytest.raises(OptionError, match="'branches', got 'another'"):
        hwnas.spaces.space("another")


def test_every_entry_bears_its_name_and_makes_it() -> None:
    for name in hwnas.spaces.names():
        found = hwnas.spaces.entry(name)
        assert found.name == name
        assert found.make().name == name
        assert found.proxy is not None
        assert 0 < found.base_lr < 1
    scaled = [n for n in hwnas.spaces.names() if hwnas.spaces.entry(n).channel_scales]
    assert scaled == ["shufflenet"]
    columned = [n for n in hwnas.spaces.names() if hwnas.spaces.entry(n).columns]
    assert columned == ["ofa"]


def test_importing_spaces_imports_no_space() -> None:
    import subprocess
    import sys

    code = (
        "import sys, hwnas.spaces as s; s.names(); "
        "print([n for n in s.names() if 'hwnas.spaces.' + n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Proxies


def test_a_space_without_a_proxy_is_trained_as_it_is() -> None:
    space = branches(input_size=12, classes=5)
    assert hwnas.spaces.proxy(space, 12, 5, 1.0) is space
    assert hwnas.spaces.proxy(space, 12, 5, 0.25) is space
    with pytest.raises(OptionError, match=r"at input size 12 and with 5 classes, got 16 and 5"):
        hwnas.spaces.proxy(space, 16, 5, 1.0)
    with pytest.raises(OptionError, match=r"branches has no proxy.*register a SpaceEntry"):
        hwnas.spaces.proxy(space, 12, 10, 1.0)


def test_an_own_proxy_is_used() -> None:
    def narrow(space: SearchSpace, size: int, classes: int, width: float) -> SearchSpace:
        return branches(size, classes, int(space.arguments["channels"] * width))

    hwnas.spaces.register_space("branches", SpaceEntry("branches", branches, narrow))
    small = hwnas.spaces.proxy(branches(channels=8), 4, 2, 0.5)
    assert small.arguments == {"input_size": 4, "classes": 2, "channels": 4}
