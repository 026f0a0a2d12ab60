"""How the house is built inside its rooms: no circles, floors of the search, small files."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import FILES, PACKAGE, circles, imported_modules, imported_names, module_of

SOURCES = {module_of(path): path.read_text(encoding="utf-8") for path in FILES}
IMPORTS = imported_modules(SOURCES)

#: Floors of the room ``search``, from the ground up; files and folders that are not listed fail.
SEARCH_FLOORS = (
    {"constraints", "runs", "settings", "torchrun"},
    {"looked_up", "options", "shared_settings"},
    {"auxiliary", "limits", "mixing", "problem", "regularisation", "result"},
    {"supernet_training"},
    {"candidates", "gradient"},
    {"outcome", "retraining", "searchers"},
    {"context", "deployed_space", "deployment"},
    {"choosing", "reuse"},
    {"from_supernet", "methods"},
    {"job"},
    {"precisions"},
    {"find"},
)
SEARCH_LEVEL = {part: level for level, parts in enumerate(SEARCH_FLOORS) for part in parts}
MOST_ARGUMENTS = 8
MOST_LINES = 300
BUSY_ROOMS = [path for path in FILES if path.is_relative_to(PACKAGE / "search")] + [
    path for path in FILES if path.is_relative_to(PACKAGE / "cli")
]


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


# Circles


def test_no_files_import_each_other() -> None:
    assert circles(IMPORTS) == []
    assert "hwnas.search.candidates.parallel" in IMPORTS["hwnas.search.find"], "a deferred import"


def test_circles_are_seen() -> None:
    sources = {
        "a": "import b",
        "b": "def f():\n    from c import x",
        "c": "if True:\n    from a.d import y",
        "e": "import a, b, c, numpy",
    }
    assert circles(imported_modules(sources)) == [["a", "b", "c"]]
    assert circles(imported_modules({**sources, "b": "import numpy"})) == []


def test_nothing_is_imported_relative() -> None:
    for path in FILES:
        wrong = [name for name in imported_names(SOURCES[module_of(path)]) if name[0] == "."]
        assert not wrong, f"{relative(path)} imports {wrong[0]}"


def exported(source: str) -> set[str] | None:
    """What a file says that it exports; None where it says nothing."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return {ast.unparse(name).strip("'\"") for name in getattr(node.value, "elts", ())}
    return None


def test_what_others_import_is_exported() -> None:
    assert exported('__all__ = ["a", "b"]') == {"a", "b"}
    exports = {module: exported(source) for module, source in SOURCES.items()}
    for module, source in SOURCES.items():
        for name in imported_names(source, parts=True):
            home, _, part = name.rpartition(".")
            if name not in SOURCES and exports.get(home):
                assert part in exports[home], f"{module} imports {name}, which is not in __all__"


# Floors of the search


def search_part(module: str) -> str | None:
    """The file or folder of ``search`` that a module lies in; None for others, and the room."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["hwnas", "search"] and len(parts) > 2 else None


def test_every_part_of_the_search_has_a_floor() -> None:
    parts = {search_part(module) for module in SOURCES} - {None}
    assert parts == set(SEARCH_LEVEL)


@pytest.mark.parametrize("module", [m for m in SOURCES if search_part(m)])
def test_the_search_imports_down_its_floors(module: str) -> None:
    part = search_part(module)
    for target in map(search_part, IMPORTS[module]):
        lower = target in (None, part) or SEARCH_LEVEL[target] < SEARCH_LEVEL[part]
        assert lower, f"{module} imports {target}, which does not lie below {part}"


def test_the_search_imports_no_method() -> None:
    methods = {m for m in SOURCES if m.startswith("hwnas.search.methods.")}
    assert {"hwnas.search.methods.spos", "hwnas.search.methods.betanas"} <= methods
    for module in (m for m in SOURCES if m.startswith("hwnas.search")):
        assert not IMPORTS[module] & methods, f"{module} imports {IMPORTS[module] & methods}"


# Layouts


def chain_questions(source: str) -> list[str]:
    """The calls ``isinstance(..., Chain)`` of a file, and of other layouts that ship."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "isinstance"
        and {"Chain", "Cells"} & {ast.unparse(n).split(".")[-1] for n in ast.walk(node.args[1])}
    ]


def test_nobody_asks_what_layout_a_space_has() -> None:
    assert chain_questions("x = isinstance(space.layout, (int, chain.Chain))")
    assert not chain_questions("isinstance(x, Chained) or Chain(isinstance)")
    asked = {
        module: chain_questions(source)
        for module, source in SOURCES.items()
        if not module.startswith("hwnas.spaces")
    }
    assert not {module: calls for module, calls in asked.items() if calls}


# Sizes


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and number of arguments of each function; those that click calls are left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            name = getattr(node, "name", "lambda")
            if any(map(_makes_command, getattr(node, "decorator_list", []))):
                continue
            known = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            yield name, sum(a.arg not in ("self", "cls") for a in known)


def _makes_command(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).split(".")[-1] in ("command", "group")


def test_arguments_are_counted() -> None:
    source = """
def f(a, /, b, *c, d=1, **e): ...
class X:
    def g(self, a): ...
@click.command("x")
def h(a, b, c): ...
@classmethod
def i(cls): ...
"""
    assert dict(functions(source)) == {"f": 3, "g": 1, "i": 0}


@pytest.mark.parametrize("path", BUSY_ROOMS, ids=relative)
def test_files_are_small_and_take_few_arguments(path: Path) -> None:
    source = SOURCES[module_of(path)]
    lines = len(source.splitlines())
    assert lines <= MOST_LINES, f"{lines} lines"
    for name, count in functions(source):
        assert count <= MOST_ARGUMENTS, f"{name} takes {count} arguments"


# Files of strangers

#: These read what hwnas itself wrote a moment ago, what it is installed with, or the system.
READ_THEIR_OWN = {
    *("cli/errors.py", "memory.py", "report/page.py", "testing/method.py"),
    *("devices/any_model/probe.py", "devices/any_model/quantising.py", "kernels/optimise.py"),
    *("profilers/gpu/engine_cache.py", "profilers/host.py", "profilers/onnxruntime_profile.py"),
    *("profilers/remote/agent.py", "profilers/remote/bundle.py"),
    "profilers/remote/device_state.py",
}


def test_files_of_strangers_are_read_by_what_bounds_them() -> None:
    found = set()
    for path in FILES:
        calls = (
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        )
        names = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
        if names & {"read_bytes", "read_text"}:
            found.add(relative(path))
    assert found == READ_THEIR_OWN
