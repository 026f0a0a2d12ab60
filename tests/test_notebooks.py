"""What notebooks show of results, tables and spaces: small, static, and nothing but text."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from families import cnn_space

import hwnas
from hwnas.html_text import html_table
from hwnas.search.result import Result

EVIL = (
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "[[x]](y) {{7*7}} &lt;b&gt;",
    "\x1b[31mred\u202e",
    "<" * 10_000,
)


class Page(HTMLParser):
    """The tags, the attributes and the text of a piece of HTML."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts = set(), set(), []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data):
        self.texts.append(data)


def checked(html):
    """The texts of a table that is small, and holds nothing but text."""
    assert len(html.encode()) < 6000
    page = Page(html)
    assert page.tags <= {"div", "b", "table", "tr", "td"}
    assert page.attributes <= {("style", "text-align:left")}
    return page.texts


def result(**changes):
    content = {
        "architecture": "k3e3",
        "budget": ["latency<=6ms"],
        "predicted_ms": 5.5,
        "predicted_interval_ms": [5.25, 5.75],
        "measured_ms": None,
        "target": "a phone",
        "verify": "hwnas verify x",
        "macs": 3_000_000,
        "params": 2_000_000,
        "bitops": None,
        "accuracy": 0.75,
        "test_accuracy": 0.5,
        "random_paths": {"count": 9, "least": 0.1, "median": 0.2, "most": 0.3},
        "weights": "drawn",
        "seconds": 12.0,
        "files": {"network": "best.onnx"},
    }
    space = hwnas.space("nasbench201")
    return Result(Path("run"), content | changes, space, space)


@pytest.mark.parametrize("text", EVIL)
def test_words_of_strangers_are_text(text, small_table):
    texts = checked(html_table(text, [(text, text)] * 50))
    shown = text[:3].replace("\x1b", "\\x1b")
    assert all(t.startswith((shown, "... and ")) for t in texts)
    checked(result(architecture=text, target=text, weights=text)._repr_html_())
    table = replace(small_table, target=replace(small_table.target, device=text))
    checked(table._repr_html_())


def test_what_does_not_fit_is_counted():
    rows = [(str(at), "x" * 90) for at in range(100)]
    texts = checked(html_table("many", rows))
    shown = [text for text in texts if text.isdigit()]
    assert shown == [str(at) for at in range(len(shown))]
    assert texts[-1] == f"... and {100 - len(shown)} more"


def test_a_result_shows_its_summary():
    texts = checked(result()._repr_html_())
    assert "k3e3" in texts
    assert "5.500 ms (95 %: 5.250 to 5.750)" in texts
    assert "not measured: predictions are of a phone" in texts


def test_a_table_shows_what_it_is_of(small_table):
    texts = checked(small_table._repr_html_())
    assert str(small_table.target) in texts
    assert f"{len(small_table.workloads)} measured, 0 estimated" in texts
    ms = [network.latency_ms for network in small_table.networks.values()]
    assert f"{min(ms):.3f} to {max(ms):.3f} ms" in texts


@pytest.mark.parametrize("name", ["proxyless", "darts", "darts-s2", "nao"])
def test_a_space_shows_its_choices(name):
    space = hwnas.space(name)
    texts = checked(space._repr_html_())
    first = space.decisions[0]
    assert f"{first.name} ({len(first.choices)})" in texts
    assert any(text.startswith(first.choices[0].token) for text in texts)


def test_a_family_shows_its_choices():
    texts = checked(cnn_space()._repr_html_())
    assert texts[texts.index("k2 (3)") + 1] == "3, 5, 7"
