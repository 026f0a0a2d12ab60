"""``hwnas report``, and ``hwnas search --report``, as a person types them."""

import csv
import html
import json
import re
import shlex

import pytest

from hwnas import spaces
from hwnas.cli import reporting

pytest.importorskip("jinja2")

RUNS = ("run", "again")
QUICK = ("--population", "10", "--generations", "3", "--parents", "4")


@pytest.fixture
def searched(hwnas, tmp_path, monkeypatch):
    """Searches a little tabular benchmark below this folder; returns what `hwnas` does."""
    monkeypatch.chdir(tmp_path)
    space = spaces.space("nasbench201")
    names = dict.fromkeys(space.format(arch) for arch in space.sample(300, seed=0))
    with (tmp_path / "acc.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["arch_str", "accuracy", "ms"])
        for at, name in enumerate(names):
            rows.writerow([name, 50 + at % 45, 1 + at / 300])

    def search(*words):
        missing = ("--accuracies", "acc.csv:accuracy", "--missing", "infeasible")
        return hwnas("search", "--space", "nasbench201", *missing, *QUICK, *words)

    return search


def command_on(page):
    """The words of the command that the page shows."""
    return shlex.split(html.unescape(re.search(r"<pre><code>(.*?)</code>", page)[1]))


def test_the_command_on_the_page_asks_for_the_same_again(hwnas, searched, tmp_path):
    status, _, said = searched("--macs", "90M", "--seed", "7", "--out", "run", "--mutation", "0.3")
    assert status == 0, said
    status, out, said = hwnas("report", "run", "--json")
    assert status == 0, said
    page = (tmp_path / "report.html").read_text()
    assert json.loads(out) == {
        "file": "report.html",
        "bytes": len(page.encode()),
        "sources": [{"name": "run", "kind": "search"}],
    }
    words = command_on(page)
    assert words[:2] == ["hwnas", "search"]
    status, _, said = hwnas(*words[1:], "--out", "again")
    assert status == 0, said
    first, again = (json.loads((tmp_path / run / "config.json").read_text()) for run in RUNS)
    assert first == again


def test_a_search_keeps_its_page_up_to_date(searched, tmp_path, monkeypatch):
    pages = []
    write = reporting.Reporting.write

    def written(self):
        write(self)
        page = tmp_path / "run" / "report.html"
        pages.append(page.read_text() if page.exists() else "")

    monkeypatch.setattr(reporting.Reporting, "write", written)
    monkeypatch.setattr(reporting, "_SHARE", 0)
    words = ("--latency", "2ms", "--latencies", "acc.csv:ms", "--out", "run", "--report")
    status, _, said = searched(*words)
    assert status == 0, said
    assert len(pages) >= 3
    assert "This search is not finished" in pages[1]
    assert "This search is not finished" not in pages[-1]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert f'<data value="{result["predicted_ms"]}">' in pages[-1]
    again = len(pages)
    assert searched(*words)[0] == 0  # finished, and told once more
    assert pages[again:] == pages[again - 1 : again]


def test_a_report_that_fails_stops_no_search(searched, tmp_path):
    (tmp_path / "run" / "report.html").mkdir(parents=True)
    status, _, said = searched("--macs", "90M", "--out", "run", "--report")
    assert status == 0
    assert "no report:" in said


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["."], "is no run"),
        (["nothing"], "there is nothing at nothing"),
        (["amd-epyc-1thread", "acc.csv"], "acc.csv"),
    ],
)
def test_what_cannot_be_reported_is_one_line(hwnas, searched, words, complaint):
    status, out, said = hwnas("report", *words)
    assert (status, out) == (2, "")
    assert complaint in said
    assert said.count("\n") == 1
