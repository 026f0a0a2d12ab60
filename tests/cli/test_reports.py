"""What is printed of budgets and rankings."""

import io
from pathlib import Path

import pytest

from hwnas.cli.rank import _print_summary
from hwnas.cli.search_report import print_front
from hwnas.cli.train import _print_worst_classes
from hwnas.search.retraining.ranking import rank_correlation


@pytest.fixture
def printed(monkeypatch):
    """A function that prints into a text of so many columns."""

    def run(width, function, *given):
        from hwnas.cli.output import stdout

        text = io.StringIO()
        monkeypatch.setattr(stdout, "_file", text)  # what `file` and `width` fall back from
        monkeypatch.setattr(stdout, "_width", width)
        function(*given)
        return text.getvalue()

    return run


FOUND = {
    "budget": ["latency<=123.456ms", "macs<=330000000", "params<=4000000"],
    "predicted_ms": 5.4,
    "measured_ms": None,
    "accuracy": 0.9,
    "test_accuracy": 0.9,
    "macs": 3e8,
    "folder": "runs/spos-proxyless-latency6ms-s0-919aea/latency123.456ms-macs330000000",
}
POINT = {"predicted_ms": 1.2, "accuracy": 0.5, "macs": 1e6, "architecture": "k3e3-skip-" * 20}
RESULT = {
    "budgets": [FOUND],
    "front": [POINT],
    "architectures_evaluated": 4,
    "accuracies_reused": 4,
    "seconds": 4.0,
    "files": {"plot": "pareto.png"},
}


def test_a_budget_is_never_cut(printed):
    text = printed(80, print_front, RESULT, Path("runs/x"))
    for budget in FOUND["budget"]:
        assert budget in text
    assert "…" not in text
    squeezed = "".join(text.split())
    assert POINT["architecture"] in squeezed
    assert "…" not in printed(40, print_front, RESULT, Path("runs/x"))


@pytest.mark.parametrize(("count", "says"), [(3, "too few networks: 8 tell"), (8, " to ")])
def test_a_ranking_of_few_networks_says_so(printed, count, says):
    accuracies = [0.1 * at for at in range(count)]
    result = {
        "agreement": rank_correlation(accuracies, accuracies[::-1]),
        "architectures": [{"alone_accuracy": value} for value in accuracies],
        "count": count,
        "steps": 3,
        "seconds": 1.0,
        "files": {"plot": "rank.png"},
    }
    text = printed(80, _print_summary, result, Path("x"))
    assert says in text
    assert ("0.000 to 0.000" in text) is (count == 8)
    assert all((m["interval"] is None) is (count < 8) for m in result["agreement"].values())


def test_the_worst_classes_come_first(printed):
    classes = [{"name": f"c{at}", "images": 10, "accuracy": at / 20} for at in range(12)][::-1]
    classes.append({"name": "none", "images": 0, "accuracy": None})
    lines = printed(80, _print_worst_classes, classes).split("\n")
    assert "worst of 12 classes" in lines[1]
    shown = [line.split() for line in lines if "%" in line]
    assert shown == [[f"c{at}", "10", f"{5 * at}.00%"] for at in range(10)]
    assert printed(80, _print_worst_classes, []) == ""
