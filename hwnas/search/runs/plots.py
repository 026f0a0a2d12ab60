"""What a search found, as a picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.data import ACCURACY, Metric
from hwnas.documents import inside
from hwnas.pictures import picture, said_if_not_drawn
from hwnas.search.runs.run import Run
from hwnas.search.runs.schema import OWN

__all__ = [
    "Scale",
    "lacks_picture",
    "plot_accuracy_over_latency",
    "plot_against_table",
    "plot_alphas",
    "plot_front",
    "plot_ranking",
    "write_and_draw",
]

_SIZE = (7.0, 4.5)


@dataclass(frozen=True)
class Scale:
    """What the two axes of a picture hold.

    Attributes:
        cost: words at the first.
        metric: what the scores at the second are of.
        score: words there; None for those of the metric.
    """

    cost: str = "latency (ms)"
    metric: Metric = ACCURACY
    score: str | None = None

    @property
    def labels(self) -> tuple[str, str]:
        """The words at both."""
        return self.cost, self.score or self.metric.label("validation", "with shared weights")


_USUAL = Scale()


def write_and_draw(
    run: Run, name: str, content: dict[str, Any], draw: Callable[[Path], None]
) -> dict[str, Any]:
    """Write a result, and then its picture, whose failure is said and costs nothing else.

    Args:
        run: the folder.
        name: of the result's file.
        content: of it; ``content["files"]["plot"]`` names the picture.
        draw: makes the file of this path.

    Returns:
        The content that was written, which names no picture if there is none.
    """
    run.write_json(name, content)
    with said_if_not_drawn():
        draw(run.folder / content["files"]["plot"])
        return content
    files = {what: file for what, file in content["files"].items() if what != "plot"}
    content = {**content, "files": files}
    run.write_json(name, content)
    return content


def lacks_picture(run: Run, content: Mapping[str, Any]) -> bool:
    """Whether a finished run names a picture that is not there: it was killed before it drew it.

    To go through the run again draws it; whatever took time is in its folder.
    """
    files = content.get("files")
    name = files.get("plot") if isinstance(files, dict) else None
    return isinstance(name, str) and not inside(run.folder, name, advice=OWN).exists()


def plot_accuracy_over_latency(
    path: Path,
    latency_ms: FloatArray,
    accuracies: FloatArray,
    *,
    winner: tuple[float, float],
    measured_ms: float | None,
    limit_ms: float | None,
    title: str,
    scale: Scale = _USUAL,
) -> None:
    """Draw every evaluated architecture, the budget and the winner into a PNG file.

    Args:
        path: of the file.
        latency_ms: predicted, (n,); another cost where no latency is known.
        accuracies: scores, (n,).
        winner: its predicted ms and its score.
        measured_ms: the winner on the device, if it was measured.
        limit_ms: the latency budget, if there is one.
        title: above the picture.
        scale: of both axes.
    """
    drawn = scale.metric.plotted
    shown, best = drawn(np.asarray(accuracies)), drawn(winner[1])
    with picture(path, _SIZE) as figure:
        axes = figure.subplots()
        axes.scatter(latency_ms, shown, s=9, alpha=0.5, label="evaluated")
        if limit_ms is not None:
            axes.axvline(limit_ms, color="tab:red", linestyle="--", label=f"budget {limit_ms:g} ms")
        axes.scatter(
            winner[0], best, marker="*", s=160, color="tab:orange", label="winner, predicted"
        )
        if measured_ms is not None:
            axes.scatter(measured_ms, best, marker="x", s=60, color="black", label="measured")
        _finish(axes, title, scale.labels)


def plot_front(
    path: Path,
    latency_ms: FloatArray,
    accuracies: FloatArray,
    front: Sequence[int],
    *,
    limits_ms: Sequence[float],
    title: str,
    scale: Scale = _USUAL,
) -> None:
    """Draw every evaluated architecture, and the Pareto front as steps, into a PNG file.

    Args:
        path: of the file.
        latency_ms: predicted, (n,).
        accuracies: scores, (n,).
        front: positions of the front, by rising latency.
        limits_ms: latency budgets.
        title: above the picture.
        scale: of both axes.
    """
    shown = scale.metric.plotted(np.asarray(accuracies))
    chosen = np.asarray(front, np.int64)
    with picture(path, _SIZE) as figure:
        axes = figure.subplots()
        axes.scatter(latency_ms, shown, s=9, alpha=0.4, label="evaluated")
        axes.step(
            latency_ms[chosen],
            shown[chosen],
            where="post",
            color="tab:orange",
            marker="o",
            label="Pareto front",
        )
        for limit in limits_ms:
            axes.axvline(limit, color="tab:red", linestyle="--", linewidth=0.8)
        _finish(axes, title, scale.labels)


def _finish(axes: Any, title: str, labels: tuple[str, str]) -> None:
    """Name the axes."""
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)


def plot_alphas(
    path: Path,
    history: Sequence[Mapping[str, Any]],
    choices: Mapping[str, Sequence[str]],
    *,
    title: str,
) -> None:
    """Draw alpha and the training frequency of every choice over the steps into a PNG file.

    One row a decision, alpha on the left, the share of the training steps on the right (BetaNAS,
    figure 5). A line ends where its choice is dropped.

    Args:
        path: of the file.
        history: see `hwnas.search.gradient.alphas.history`.
        choices: decision -> names of its choices, of the decisions to draw, in order.
        title: above the picture.
    """
    steps = np.array([entry["step"] for entry in history])
    alphas = np.array([entry["alpha"] for entry in history], np.float64)
    trained = np.array([entry["trained"] for entry in history])
    shares = np.diff(trained, axis=0, prepend=0) / np.diff(steps, prepend=0)[:, None, None]
    shares[np.isnan(alphas)] = np.nan
    height = 1.2 + 1.5 * len(choices)
    with picture(path, (9, height), layout=None) as figure:  # to compute a layout takes seconds
        figure.subplots_adjust(0.08, 0.5 / height, 0.9, 1 - 0.6 / height, wspace=0.12, hspace=0.15)
        rows = figure.subplots(len(choices), 2, sharex=True, squeeze=False)
        before: Sequence[str] = ()
        for decision, ((name, names), (left, right)) in enumerate(
            zip(choices.items(), rows, strict=True)
        ):
            for choice, label in enumerate(names):
                left.plot(steps, alphas[:, decision, choice], label=label)
                right.plot(steps, _smoothed(shares[:, decision, choice]), label=label)
            left.set_ylabel(name, fontsize=8)
            for axes in (left, right):
                axes.tick_params(labelsize=6)
                axes.locator_params(nbins=3)  # each tick takes milliseconds to draw
            if names != before:
                right.legend(fontsize=6, loc="upper left", bbox_to_anchor=(1, 1))
            before = names
            right.set_ylim(bottom=0)  # from 0, so that balanced looks balanced
        rows[0][0].set_title("alpha", fontsize=9)
        rows[0][1].set_title("share of training steps", fontsize=9)
        for axes in rows[-1]:
            axes.set_xlabel("training steps of the weights")
        figure.suptitle(title, y=1 - 0.1 / height, fontsize=9)


def plot_ranking(
    path: Path,
    shared: FloatArray,
    alone: FloatArray,
    kendall: float | None,
    metric: Metric = ACCURACY,
) -> None:
    """Draw accuracies of networks trained alone over those with shared weights into a PNG file.

    Args:
        path: of the file.
        shared, alone: scores, (n,).
        kendall: their rank correlation; None where all are level.
        metric: what the scores are of.
    """
    with picture(path, (5, 4.5)) as figure:
        axes = figure.subplots()
        axes.scatter(metric.plotted(shared), metric.plotted(alone), s=16)
        axes.set(
            xlabel=metric.label("validation", "with shared weights"),
            ylabel=metric.label("test", "trained alone"),
        )
        axes.set_title("all level" if kendall is None else f"Kendall {kendall:.2f}", fontsize=9)
        axes.grid(alpha=0.3)


def plot_against_table(
    path: Path,
    guesses: Mapping[str, FloatArray],
    truth: FloatArray,
    kendalls: Mapping[str, float | None],
    title: str,
) -> None:
    """Draw true accuracies over each guess into a PNG file.

    Args:
        path: of the file.
        guesses: name -> what ranks the architectures, (n,).
        truth: their accuracies, 0 to 1, (n,).
        kendalls: name -> rank correlation; None where all are level.
        title: where the truth stands.
    """
    with picture(path, (4 * len(guesses), 4)) as figure:
        rows = figure.subplots(1, len(guesses), sharey=True, squeeze=False)[0]
        for axes, (name, guess) in zip(rows, guesses.items(), strict=True):
            kendall = kendalls[name]
            axes.scatter(guess, 100 * truth, s=10, alpha=0.6)
            axes.set(xlabel=name)
            axes.set_title("all level" if kendall is None else f"Kendall {kendall:.2f}", fontsize=9)
            axes.grid(alpha=0.3)
        rows[0].set_ylabel("true accuracy (%)")
        figure.suptitle(title, fontsize=9)


def _smoothed(values: FloatArray) -> FloatArray:
    """The mean of each value and the four before it."""
    return np.array([values[max(0, at - 4) : at + 1].mean() for at in range(len(values))])
