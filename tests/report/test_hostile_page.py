"""Whatever files call themselves stands on the page as text, and nothing of it runs."""

import json
from dataclasses import dataclass, replace

import pytest

from hwnas.report import write_report
from hwnas.report.page import embedded, render
from hwnas.report.searched import read_search
from hwnas.report.sections import section_of
from hwnas.spaces import Decision, SearchSpace

NAMES = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "</title><img src=x onerror='window.ran = 1'>",
    '" onload="window.ran = 1" x="',
    "'--><svg onload=window.ran=1>",
    "[[ 7 * 7 ]] {{ 7 * 7 }} {% raw %}",
    "\x1b[31mred \u202e\u2028 end",
    "x" * 10_000,
]
SAID = [
    name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e").replace("\u2028", "\\u2028")
    for name in NAMES
]


def test_strangers_names_are_text(browser, make_search, small_table, tmp_path):
    for at, (method, data, weights, device) in enumerate((NAMES[:4], NAMES[4:])):
        changes = {"method": method, "weights": weights, "target": device}
        run = make_search(
            tmp_path / f"run{at}", config={"method": method, "data": data}, result=changes
        )
        table = replace(small_table, target=replace(small_table.target, device=device))
        table.save(run / "table.json")
    write_report([str(tmp_path / "run0"), str(tmp_path / "run1")], tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    assert browser.run("return window.ran ?? 0") == 0
    assert browser.run("return document.images.length") == 0
    assert browser.run("return document.querySelectorAll('[onload], [onerror]').length") == 0
    text = " ".join(browser.run("return document.body.textContent").split())
    for name in SAID:
        assert " ".join(name.split()) in text
    assert browser.complaints() == []
    assert browser.requests() == []
    browser.open(tmp_path / "report.html", width=390)
    assert browser.run("return document.documentElement.scrollWidth") <= 390


def test_a_training_with_hostile_classes(browser, small_space, tmp_path):
    folder = tmp_path / "train<b>&\"'"
    folder.mkdir()
    arch = small_space.format(small_space.sample(1, seed=0)[0])
    config = {
        "space": small_space.name,
        "arguments": dict(small_space.arguments),
        "architecture": arch,
        "network": "proxy",
        "steps": 10,
        "seed": 0,
    }
    accuracy = {"validation": 0.5, "test": 0.25}
    train = {
        "architecture": arch,
        "network": "proxy",
        "macs": 1,
        "params": 2,
        "accuracy": accuracy,
        "accuracy_by_class": [{"name": n, "images": 4, "accuracy": 0.5} for n in NAMES],
        "export": {"accuracy": 0.25, "torch_accuracy": 0.25, "same_answers": 1.0, "images": 4},
        "seconds": 1.0,
        "files": {"network": "network.onnx"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "train.json").write_text(json.dumps(train))
    page = tmp_path / "report.html"
    assert write_report([str(folder)], page) == [(folder.name, "training")]
    browser.open(page)
    cells = (
        "return [...document.querySelectorAll('.classes td:first-child')].map((c) => c.textContent)"
    )
    assert browser.run(cells) == SAID
    assert browser.numbers(".facts")[:2] == [0.25, 0.5]  # test, validation
    assert browser.run("return document.querySelector('h1').textContent") == folder.name
    assert browser.run("return window.ran ?? 0") == 0
    assert browser.complaints() == []


@dataclass(frozen=True)
class Token:
    """A choice with any name."""

    token: str


class Renamed:
    """A layout whose decisions and choices have strangers' names."""

    def __init__(self, layout):
        self._layout, self._written = layout, {}
        self.decisions = tuple(
            Decision(name, tuple(Token(f"{name}{at}") for at in range(len(decision.choices))))
            for name, decision in zip(NAMES, layout.decisions, strict=False)
        )

    def __getattr__(self, name):
        return getattr(self._layout, name)

    def format(self, arch):
        text = "".join(d.choices[c].token for d, c in zip(self.decisions, arch, strict=True))
        self._written[text] = list(arch)
        return text

    def parse(self, text):
        return self._written[text]


def test_strangers_names_of_blocks_and_choices_are_text(
    browser, make_search, small_space, tmp_path
):
    found = read_search(make_search(tmp_path / "run", finished=False))
    space = SearchSpace(small_space.name, small_space.arguments, Renamed(small_space.layout))
    run = replace(found.run, deployed=space, proxy=space)
    found = replace(found, run=run, evaluated=replace(found.evaluated, space=space))
    (tmp_path / "report.html").write_text(render([section_of(found)]))
    browser.open(tmp_path / "report.html")
    rows = "return [...document.querySelectorAll(arguments[0])].map((c) => c.textContent)"
    names = SAID[: len(space.decisions)]
    assert browser.run(rows, ".sides td:first-child")[4:] == names
    best = found.evaluated.archs[found.evaluated.front[-1]]
    assert browser.run(rows, ".sides td:nth-child(2)")[4:] == [
        f"{name}{choice}" for name, choice in zip(names, best, strict=True)
    ]
    assert set(names) <= set(browser.run(rows, ".parts td:first-child"))
    assert browser.run("return window.ran ?? 0") == 0
    assert browser.run("return document.images.length") == 0
    assert browser.complaints() == []


@pytest.mark.parametrize("name", NAMES)
def test_data_for_the_script_is_json_that_ends_no_element(name):
    text = str(embedded({name: [name, 1.5, None]}))
    assert not set("<>&\u2028\u2029\x1b\u202e") & set(text)
    said = SAID[NAMES.index(name)]
    assert json.loads(text) == {said: [said, 1.5, None]}
