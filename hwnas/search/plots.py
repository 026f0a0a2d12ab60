"""What a search found, as a picture."""

from pathlib import Path

import numpy as np

from hwnas.costs.additive import FloatArray
from hwnas.files import write_atomically

__all__ = ["plot_accuracy_over_latency"]


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
    from io import BytesIO

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
    axes.set(xlabel="latency (ms)", ylabel="validation accuracy with shared weights (%)")
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomically(path, picture.getvalue())


def _point(winner: tuple[float, float]) -> tuple[float, float]:
    return winner[0], 100 * winner[1]
