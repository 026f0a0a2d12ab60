"""Things by name, and what a person types: files, modules, and what lies beside them."""

import sys

import pytest

from hwnas.errors import OptionError, UnknownNameError
from hwnas.registry import Registry, is_typed_object, typed_modules, typed_object

FILE = """
import {neighbour}

def now():
    return {neighbour}.VALUE

def later():
    import {late}
    return {late}.VALUE
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A file with a neighbour that it imports at once, and one that it imports later."""
    names = {"neighbour": "neighbour_of_a_test", "late": "late_neighbour_of_a_test"}
    (tmp_path / "mine.py").write_text(FILE.format(**names))
    for value, name in enumerate(names.values()):
        (tmp_path / f"{name}.py").write_text(f"VALUE = {value}\n")
    monkeypatch.setattr("hwnas.registry._FILES", {})
    monkeypatch.setattr("hwnas.registry._NEIGHBOURS", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        *((text, True) for text in ("a.py:x", "dir/a.py", "a:x", "a.b:x", "/tmp/a b.py:x")),
        *((text, False) for text in ("a", "digits:dir/", "a:", ":x", "a:1", "cifar10:/data")),
    ],
)
def test_what_is_typed(text, typed):
    assert is_typed_object(text) is typed


def test_a_file_without_a_name_is_its_module(folder):
    module = typed_object(str(folder / "mine.py"))
    assert module.now() == 0
    assert typed_object(f"{folder / 'mine.py'}:now") is module.now


def test_a_file_finds_its_neighbours_at_once_and_later(folder):
    assert typed_object(f"{folder / 'mine.py'}:now")() == 0
    assert typed_object(f"{folder / 'mine.py'}:later")() == 1
    names = {module.__name__ for module in typed_modules()}
    assert "neighbour_of_a_test" in names, "no other process can import it"
    assert sys.path[0] != str(folder), "what is installed comes first"


def test_a_typed_module_may_lie_in_the_working_directory(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.chdir(folder)
    assert typed_object("late_neighbour_of_a_test:VALUE") == 1


def accept(name, thing):
    if not isinstance(thing, int):
        raise OptionError(f"{name} is no number")
    return thing


def test_names_are_those_that_ship_and_those_registered():
    numbers = Registry("number", "hwnas.no_such_group", {"one": 1, "size": "sys:maxsize"}, accept)
    numbers.register("two", 2)
    numbers.register("two", 2)
    assert numbers.names() == ["one", "size", "two"]
    assert [numbers.get(name) for name in numbers.names()] == [1, sys.maxsize, 2]
    for name, thing, says in (
        ("two", 3, "there is a number 'two' already"),
        ("one", 1, "there is a number 'one' already"),
        ("a:b", 1, "without ':'"),
        ("", 1, "without ':'"),
        ("three", "3", "three is no number"),
    ):
        with pytest.raises(OptionError, match=says):
            numbers.register(name, thing)
    with pytest.raises(UnknownNameError, match="unknown number 'x': choose one of one, size, two"):
        numbers.get("x")


def test_a_name_is_looked_up_and_a_text_imported(folder):
    values = Registry("value", "hwnas.no_such_group", {}, accept)
    text = f"{folder / 'late_neighbour_of_a_test.py'}:VALUE"
    assert values.typed(text) == 1
    with pytest.raises(UnknownNameError):
        values.get(text)
    assert values.names() == []
