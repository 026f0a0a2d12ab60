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
    within = bool(bands["agreement"])
    heads = ["ranked by", "Kendall, 95 %", *(["in bands"] if within else [])]
    rows = Table(
        *heads, "Spearman", "pairs", f"top {top['count']}", "lost", box=box.SIMPLE, pad_edge=False
    )
    for name, found in result["agreement"].items():
        interval = found["kendall"]["interval"]
        told = "" if interval is None else f" {interval[0]:.2f}..{interval[1]:.2f}"
        rows.add_row(
            name,
            _number(found["kendall"]["value"]) + told,
            *([_number(bands["agreement"][name]["kendall"])] if within else []),
            _number(found["spearman"]["value"]),
            _number(found["pairwise_accuracy"]["value"]),
            f"{top[name]['shared']:.0%}",
            f"{100 * top[name]['lost']:.2f}",
        )
    stdout.print(rows)
    told = f"{result['count']} architectures against {result['accuracies']}"
    if within:
        told += f"; in bands: Kendall's mean over {bands['count']} bands of equal {bands['by']}"
    told += f"; lost: points by which the best of the top {top['count']} is below the best of all"
    files = ", ".join([*result["files"].values(), "rank.json"])
    stdout.print(f"{told}; {result['seconds']:.0f} seconds; files in {out}: {files}")


def _number(value: float | None) -> str:
    return "all level" if value is None else f"{value:.3f}"
