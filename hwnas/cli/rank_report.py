"""What ``hwnas rank --accuracies`` prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from hwnas.cli.output import stdout

__all__ = ["print_table_ranking"]


def print_table_ranking(result: Mapping[str, Any], out: Path) -> None:
    """How well a supernet ranks, beside what costs nothing."""
    top, bands = result["top"], result["bands"]
    rows = Table("ranked by", "Kendall", "95 %", "Spearman", "pairs", box=box.SIMPLE)
    within = bool(bands["agreement"])
    if within:
        rows.add_column("Kendall in bands")
    rows.add_column(f"top {top['count']}")
    rows.add_column("lost by best of these")
    for name, found in result["agreement"].items():
        interval = found["kendall"]["interval"]
        cells = [
            name,
            _number(found["kendall"]["value"]),
            "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
            _number(found["spearman"]["value"]),
            _number(found["pairwise_accuracy"]["value"]),
        ]
        if within:
            cells.append(_number(bands["agreement"][name]["kendall"]))
        lost = f"{100 * top[name]['lost']:.2f} points"
        rows.add_row(*cells, f"{top[name]['shared']:.0%}", lost)
    stdout.print(rows)
    told = f"{result['count']} architectures against {result['accuracies']}"
    if within:
        told += f"; bands: {bands['count']} of equal {bands['by']}, the mean over them"
    files = ", ".join([*result["files"].values(), "rank.json"])
    stdout.print(f"{told}; {result['seconds']:.0f} seconds; files in {out}: {files}")


def _number(value: float | None) -> str:
    return "all level" if value is None else f"{value:.3f}"
