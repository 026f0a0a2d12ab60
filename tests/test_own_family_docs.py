"""The three families of docs/own-family.md are searched, in small, and what stands beside them."""

import ast
import re
import sys
from pathlib import Path

import pytest
from torch import nn

import hwnas
from hwnas.costs import Budget
from hwnas.search.methods import METHODS
from hwnas.supernet import Supernet

TEXT = (Path(__file__).parents[1] / "docs" / "own-family.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"In `(\w+)\.py`:\n\n```python\n(.*?)```", TEXT, re.DOTALL))
OTHERS = list(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
SMALL = {"steps": 2, "batch_size": 8, "population": 3, "generations": 2, "verify_seconds": 0.0}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for count, few in (
        ("hwnas.search.searchers.proposals.RANDOM_PATHS", 3),
        ("hwnas.search.constraints._BUILT", 80),
        ("hwnas.search.candidates.largest._BUILT", 8),
        ("hwnas.costs.feasible_set._COUNTED_COSTLY", 8),
        ("hwnas.costs.guided._DRAWS_COSTLY", 16),
    ):
        monkeypatch.setattr(count, few)
    for registry in (hwnas.spaces.SPACES, METHODS):
        monkeypatch.setattr(registry, "_registered", {})
    for name, code in FILES.items():
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)


def beyond_the_module(code: str) -> int:
    """Lines that are neither the module's classes or function nor imports."""
    of_module = (ast.ClassDef, ast.FunctionDef, ast.Import, ast.ImportFrom)
    return sum(
        node.end_lineno - node.lineno + 1
        for node in ast.parse(code).body
        if not isinstance(node, of_module)
    )


@pytest.mark.parametrize("name", ["my_cnn", "my_resnet", "my_vit"])
def test_each_is_searched_within_its_budget(name: str, tmp_path: Path) -> None:
    assert beyond_the_module(FILES[name]) <= 10
    names: dict[str, object] = {}
    exec(compile(FILES[name], name, "exec"), names)
    space = names["space"]
    limit = int(sorted(space.macs(space.sample(15, seed=0)))[7]) + 1
    result = hwnas.find_network(
        space, "digits", [Budget("macs", limit)], out=tmp_path / "r", **SMALL
    )
    assert result.content["macs"] <= limit
    assert result.content["weights"] == "from the supernet"


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    assert beyond_the_module(FILES["my_heads"]) <= 10
    names: dict[str, object] = {}
    exec(compile(FILES["my_heads"], "my_heads", "exec"), names)
    result = hwnas.find_network(
        names["space"], names["data"], ["params<=5k"], out=tmp_path / "r", **SMALL
    )
    assert result.content["metric"] == {"name": "off", "lower_is_better": True}
    assert set(result.module(names["words"], names["beside"])) == {"mean", "spread"}


def test_inactive_choices_of_the_transformer_say_nothing() -> None:
    names: dict[str, object] = {}
    exec(compile(FILES["my_vit"], "my_vit", "exec"), names)
    space = names["space"]
    some = space.parse("2-3-4-4-4-64-128-192-192")
    assert space.format(space.canonical(some)) == (
        "depth=2-h1=3-h2=4-h3=2-h4=2-m1=64-m2=128-m3=64-m4=64"
    )
    assert len(Supernet(space, seed=0).weights(some)) == 3 + 2 * 12 + 4


def test_the_other_blocks_run(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    real = hwnas.find_network

    def find_network(space, data, budgets, **given):
        small = {"population": 3, "generations": 2} if data is None else SMALL
        return real(space, data, budgets, **{**given, **small})

    def brief(data, steps):
        return lambda model: 0.25

    monkeypatch.setattr(hwnas, "find_network", find_network)
    monkeypatch.setattr(hwnas, "brief_training", brief)
    others = [code for code in OTHERS if code not in FILES.values()]
    names = {"build": lambda kernel, width: nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))}
    for code in others:
        exec(compile(code, "docs", "exec"), names)
    assert len(others) == 3
    printed = capsys.readouterr().out.split()
    assert printed[-1] == "0.25"
