"""What ``hwnas search`` prints of a result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Column, Table
from rich.text import Text

from hwnas.cli.output import stdout
from hwnas.costs.written import millions
from hwnas.data import Metric
from hwnas.search.result import summary

__all__ = ["print_front", "print_result"]

_WIDE = 72


def print_result(result: Mapping[str, Any], folder: Path) -> None:
    """The one network that a search found."""
    rows = Table(Column(), Column(overflow="fold"), show_header=False, box=None, pad_edge=False)
    for label, text in summary(result, folder):
        rows.add_row(label, _measured(result, text) if label == "measured" else text)
    stdout.print(rows)


def _measured(result: Mapping[str, Any], text: str) -> Text:
    if result["measured_ms"] is None:
        return Text(text, "yellow")
    value, unit, rest = text.split(" ", 2)
    return Text.assemble((f"{value} {unit}", "bold"), " ", rest)


def print_front(result: Mapping[str, Any], folder: Path) -> None:
    """The networks of several budgets, and the front of all that was evaluated."""
    metric = Metric.of(result)
    if "budgets" in result:
        names = ("predicted", "measured", "validation", "test", "MACs")
        # a budget keeps its line wherever a line can hold it
        budget = Column("budget", overflow="fold", no_wrap=stdout.width >= _WIDE)
        others = [Column(name, overflow="fold") for name in (*names, "folder")]
        rows = Table(budget, *others, box=box.SIMPLE)
        for found in result["budgets"]:
            measured = found.get("measured_ms")
            rows.add_row(
                "\n".join(found["budget"]),
                f"{found['predicted_ms']:.3f} ms",
                "not measured" if measured is None else f"{measured:.3f} ms",
                metric.text(found["accuracy"]),
                metric.text(found["test_accuracy"]),
                millions(found["macs"]),
                found["folder"],
            )
        stdout.print(rows)
    heads = ("ms", "validation", "MACs", "Pareto front: architecture")
    front = Table(*(Column(name, overflow="fold") for name in heads), box=box.SIMPLE)
    for point in result["front"]:
        front.add_row(
            f"{point['predicted_ms']:.3f}",
            metric.text(point["accuracy"]),
            millions(point["macs"]),
            point["architecture"],
        )
    stdout.print(front)
    stdout.print(
        f"{result['architectures_evaluated']} evaluated, {result['accuracies_reused']} known from "
        f"before; {result['seconds']:.0f} seconds; files in {folder}: "
        + ", ".join([*result["files"].values(), "result.json"])
    )
