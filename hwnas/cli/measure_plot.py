"""The picture of ``hwnas measure``: what runs take, and how far they spread."""

from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.pictures import picture

if TYPE_CHECKING:
    from hwnas.devices.any_model import Report

__all__ = ["draw"]

#: Inches of a row, and of what stands above and below all rows.
_ROW, _AROUND, _WIDTH = 0.45, 1.3, 7.0


def draw(report: "Report", path: Path) -> None:
    """One row for each measured model: a bar to the median, its interval, p90 and p99."""
    rows = list(report.measured)
    with picture(path, (_WIDTH, _AROUND + _ROW * len(rows))) as figure:
        axes = figure.subplots()
        places = range(len(rows))
        medians = [one.median_ms for one in rows]
        errors = [one.median_ms * one.latency.median_error for one in rows]
        axes.barh(places, medians, xerr=errors, height=0.6, alpha=0.6, capsize=3, label="median")
        for label, marker, values in (
            ("steady", "|", [one.steady_ms for one in rows]),
            ("90th percentile", "o", [one.p90_ms for one in rows]),
            ("99th percentile", "x", [one.p99_ms for one in rows]),
        ):
            axes.plot(values, places, marker, color="black", markersize=7, label=label)
        axes.set_yticks(places, [one.label for one in rows])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("latency (ms)")
        axes.legend(loc="best", fontsize="small")
