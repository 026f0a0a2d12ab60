"""Predictions and measurements, as a picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwnas.pictures import picture
from hwnas.predictors.comparison import Comparison

__all__ = ["plot_measured_over_predicted"]


def plot_measured_over_predicted(
    path: Path, comparisons: Mapping[str, Comparison], *, title: str
) -> None:
    """Draw each network's measurement over its prediction, with its interval, into a PNG file.

    The grey band around the identity is the noise floor of the last of the comparisons.

    Args:
        path: of the file.
        comparisons: by the name that the legend gives them.
        title: above the picture.
    """
    every = [np.concatenate([c.measured_ms, c.predicted_ms]) for c in comparisons.values()]
    ends = np.array([0.95 * np.concatenate(every).min(), 1.05 * np.concatenate(every).max()])
    floor = list(comparisons.values())[-1].noise_floor
    band = f"noise floor {floor:.1%}"
    with picture(path, (6, 5.5)) as figure:
        axes = figure.subplots()
        axes.fill_between(ends, ends * (1 - floor), ends * (1 + floor), color="0.85", label=band)
        axes.plot(ends, ends, color="0.4", linewidth=1, label="predicted = measured")
        for at, (name, found) in enumerate(comparisons.items()):
            colour = f"C{at}"
            axes.vlines(
                found.predicted_ms,
                found.interval_ms[:, 0],
                found.interval_ms[:, 1],
                color=colour,
                alpha=0.35,
                label=f"{found.confidence:.0%} interval",
            )
            axes.scatter(found.predicted_ms, found.measured_ms, s=14, color=colour, label=name)
        axes.set(xlabel="predicted (ms)", ylabel="measured (ms)", xlim=tuple(ends))
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", fontsize=8)
