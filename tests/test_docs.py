"""Examples of docs/python.md, of the README and of docs/gpu.md run, in small."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

import hwnas
from hwnas.cli.errors import guarded
from hwnas.data import ArrayDataset
from hwnas.profilers import Plan
from hwnas.search.methods import METHODS
from hwnas.search.result import Result

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```(python|bash)\n(.*?)```", re.DOTALL)
#: What makes a search small; the examples say more.
SMALL = {"steps": 2, "batch_size": 16, "verify_seconds": 0.0}
SMALLER = {
    "spos": {
        **{"population": 3, "generations": 2},
        **{"calibration_images": 64, "validation_images": 80},
    },
    "random": {"draws": 3},
}
TABLE = "elsewhere.json"  # this machine is measured for the notebook alone


def blocks(text: str) -> list[tuple[str, str]]:
    """The name of a block's file, its language where it is no file, and the code; in order."""
    found = []
    for match in BLOCK.finditer(text):
        before = text[: match.start()].rstrip().rpartition("\n\n")[2]
        name = re.search(r"In `(\w+\.py)`[^.]*:$", before.replace("\n", " "))
        found.append((name[1] if name else match[1], match[2]))
    return found


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Runs code in a folder, whatever it searches for in small."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for registry in (hwnas.spaces.SPACES, METHODS):
        monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(
        "hwnas.devices.tables.profile_plan",
        lambda seconds: Plan(tolerance=1.0, min_runs=3, max_runs=3),
    )
    monkeypatch.setattr("hwnas.search.searchers.proposals.RANDOM_PATHS", 3)
    table = hwnas.LatencyTable.load("amd-epyc-1thread")
    replace(table, target=replace(table.target, device="elsewhere")).save(tmp_path / TABLE)
    real = hwnas.find_network

    def find_network(space: Any, data: Any, budgets: Any, **given: Any) -> Result:
        given |= SMALL | SMALLER[given.get("method", "spos")]
        if isinstance(data, ArrayDataset):
            given["steps"] = 40
        else:
            given = {"predictor": TABLE, "proxy_input_size": 8} | given
        return real(space, data, budgets, **given)

    monkeypatch.setattr(hwnas, "find_network", find_network)
    names: dict[str, Any] = {}

    def run(code: str) -> dict[str, Any]:
        exec(compile(code, "example", "exec"), names)
        return names

    return run


def command_line(line: str, *more: str) -> None:
    """Run one line of a shell, in small."""
    from hwnas.cli import group

    words = line.partition("#")[0].split()[1:]
    if "--help" not in words:
        words += ["--steps", "2", "--train-batch", "16", "--proxy-input-size", "8", *more]
    with pytest.raises(SystemExit) as left:
        guarded(lambda standalone_mode: group(words, standalone_mode=standalone_mode))
    assert left.value.code == 0


def test_docs_python(
    small: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    found: dict[str, Result] = {}
    for kind, code in blocks(text):
        if kind == "bash":
            for line in code.splitlines():
                command_line(line, "--draws", "3", "--table", TABLE)
                printed = capsys.readouterr().out
                assert ("--draws" if "--help" in line else "best.onnx") in printed
        elif kind == "python":
            names = small(code)
            found.setdefault(names["result"].folder.name, names["result"])
        else:
            (tmp_path / kind).write_text(code)
            monkeypatch.delitem(sys.modules, kind.removesuffix(".py"), raising=False)
    assert list(found) == ["first", "phone", "blobs", "random"]
    for result in found.values():
        limit = float(result.content["budget"][0].removeprefix("latency<=").removesuffix("ms"))
        assert result.predicted_ms <= limit
        assert result.space.format(result.arch) == result.architecture
        assert result.architecture in str(result)
    assert [each.content["budget"] for each in names["found"].values()] == [
        ["latency<=4ms"],
        ["latency<=5ms"],
        ["latency<=6ms"],
    ]
    blobs = found["blobs"]
    assert blobs.measured_ms is not None
    assert blobs.measured_ms <= 1
    assert blobs.content["params"] <= 30_000
    assert blobs.content["weights"] == "from the supernet"
    assert (tmp_path / "blobs.onnx").read_bytes() == blobs.onnx
    assert found["random"].content["method"] == "random"


def test_readme_python(small: Callable[[str], dict[str, Any]]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    searching = [code for kind, code in blocks(text) if kind == "python" and "find_network" in code]
    (code,) = searching
    result = small(code)["result"]
    assert result.predicted_ms <= 6
    assert result.onnx[:1] == b"\x08"  # the field ir_version of an ONNX model


def test_the_search_without_a_card(
    small: Callable[[str], dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    lines = [line for kind, code in blocks(text) if kind == "bash" for line in code.splitlines()]
    (line,) = [line for line in lines if line.startswith("hwnas search")]
    table = hwnas.LatencyTable.load(TABLE)
    card = replace(table.target, kind="gpu", device="Tesla V100", runtime="tensorrt")
    replace(table, target=card).save(tmp_path / "v100.json")
    command_line(line, "--population", "3", "--generations", "2", "--out", "run")
    assert "not measured: the table is of another machine" in capsys.readouterr().out
    model = onnx.load(tmp_path / "run" / "best.onnx")
    (classes,) = [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim][1:]
    assert classes == table.space.arguments["classes"] == 1000
