"""What a search found, as a picture."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.costs.additive import FloatArray
from hwnas.files import write_atomically

__all__ = ["picture", "plot_accuracy_over_latency", "plot_front"]


def plot_accuracy_over_latency(
    path: Path,
    latency_ms: FloatArray,
    accuracies: FloatArray,
    *,
    winner: tuple[float, float],
    measured_ms: float | None,
    limit_ms: float | None,
    title: str,
) -> None:
    """Draw every evaluated architecture, the budget and the winner into a PNG file.

    Args:
        path: of the file.
        latency_ms: predicted, (n,).
        accuracies: 0 to 1, (n,).
        winner: its predicted ms and its accuracy.
        measured_ms: the winner on the device, if it was measured.
        limit_ms: the latency budget, if there is one.
        title: above the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(latency_ms, 100 * np.asarray(accuracies), s=9, alpha=0.5, label="evaluated")
    if limit_ms is not None:
        axes.axvline(limit_ms, color="tab:red", linestyle="--", label=f"budget {limit_ms:g} ms")
    axes.scatter(*_point(winner), marker="*", s=160, color="tab:orange", label="winner, predicted")
    if measured_ms is not None:
        axes.scatter(
            *_point((measured_ms, winner[1])), marker="x", s=60, color="black", label="measured"
        )
    _finish(path, figure, axes, title)


def plot_front(
    path: Path,
    latency_ms: FloatArray,
    accuracies: FloatArray,
    front: Sequence[int],
    *,
    limits_ms: Sequence[float],
    title: str,
) -> None:
    """Draw every evaluated architecture, and the Pareto front as steps, into a PNG file.

    Args:
        path: of the file.
        latency_ms: predicted, (n,).
        accuracies: 0 to 1, (n,).
        front: positions of the front, by rising latency.
        limits_ms: latency budgets.
        title: above the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    percent = 100 * np.asarray(accuracies)
    axes.scatter(latency_ms, percent, s=9, alpha=0.4, label="evaluated")
    chosen = np.asarray(front, np.int64)
    axes.step(
        latency_ms[chosen],
        percent[chosen],
        where="post",
        color="tab:orange",
        marker="o",
        label="Pareto front",
    )
    for limit in limits_ms:
        axes.axvline(limit, color="tab:red", linestyle="--", linewidth=0.8)
    _finish(path, figure, axes, title)


def _finish(path: Path, figure: Any, axes: Any, title: str) -> None:
    """Name the axes and write the file."""
    axes.set(xlabel="latency (ms)", ylabel="validation accuracy with shared weights (%)")
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    write_atomically(path, picture(figure))


def picture(figure: Any) -> bytes:
    """A figure as a PNG file."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()


def _point(winner: tuple[float, float]) -> tuple[float, float]:
    return winner[0], 100 * winner[1]
