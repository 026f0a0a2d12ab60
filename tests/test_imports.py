"""Imports point down the floors of the house, and the light rooms stay light."""

import subprocess
import sys
from pathlib import Path

import pytest
from sources import FILES, PACKAGE, imported_names, room_of

#: Floors from the ground up; a room imports from the floors below it, and nothing else. Files and
#: folders that are not listed belong nowhere and fail: give them a place here.
FLOORS = (
    {"version", "errors", "arrays", "visible"},
    {"files", "given", "html_text", "memory", "progress", "reading", "registry"},
    {"csv_files", "documents", "npz_files", "pictures"},
    {"ops"},
    {"costs", "onnx_graph", "latency_tables", "data"},
    {"spaces", "kernels"},
    {"profilers", "predictors", "supernet"},
    {"devices"},
    {"search"},
    {"report", "testing"},
    {"cli"},
    {"__main__"},
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def complaints(room: str, source: str) -> list[str]:
    """What a file of a room imports and may not."""
    wrong = []
    for name in imported_names(source):
        top, _, rest = name.partition(".")
        if name.startswith("."):
            wrong.append(f"{name} is relative")
        elif top == "hwnas":
            target = rest.split(".")[0]
            if target == room:
                continue
            if target not in LEVEL:
                wrong.append(f"{name} is in no room: import from the room itself")
            elif LEVEL[target] >= LEVEL[room]:
                wrong.append(f"{name} does not lie below {room}")
    return wrong


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms <= set(LEVEL), f"no floor for {sorted(rooms - set(LEVEL))}"
    assert {"errors", "ops", "costs", "onnx_graph", "spaces"} <= rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":  # the public face looks at all rooms, lazily
        return
    wrong = complaints(room, path.read_text(encoding="utf-8"))
    assert not wrong, "; ".join(wrong)


@pytest.mark.parametrize(
    ("room", "source", "complaint"),
    [
        ("ops", "from hwnas.costs import graph_macs", "hwnas.costs does not lie below ops"),
        ("spaces", "import hwnas.search.job", "hwnas.search.job does not lie below spaces"),
        ("supernet", "from hwnas.predictors import x", "does not lie below supernet"),
        ("profilers", "from hwnas import supernet", "hwnas.supernet does not lie below profilers"),
        ("search", "def f():\n    from hwnas.cli import main", "does not lie below search"),
        ("search", "from hwnas.testing import x", "does not lie below search"),
        ("costs", "from . import additive", "is relative"),
        ("costs", "from ..ops import Op", "..ops is relative"),
        ("search", "import hwnas", "hwnas is in no room"),
        ("search", "from hwnas import space", "hwnas.space is in no room"),
    ],
)
def test_wrong_imports_are_seen(room: str, source: str, complaint: str) -> None:
    (seen,) = complaints(room, source)
    assert complaint in seen


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("search", "from hwnas.supernet import Supernet\nfrom hwnas.search.runs.run import Run"),
        ("testing", "from hwnas.search import x\nimport numpy, torch"),
        ("cli", "from hwnas.version import __version__\nfrom hwnasty import x"),
    ],
)
def test_right_imports_pass(room: str, source: str) -> None:
    assert complaints(room, source) == []


@pytest.mark.parametrize(
    "module",
    [
        *("hwnas", "hwnas.errors", "hwnas.ops", "hwnas.costs", "hwnas.data", "hwnas.spaces"),
        *("hwnas.supernet.kinds", "hwnas.search.methods.spos", "hwnas.search.methods.betanas"),
        "hwnas.search.methods.amended_darts",
    ],
)
def test_light_rooms_do_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "False"
