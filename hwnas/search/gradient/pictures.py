"""What a differentiable search prefers as it goes on, as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from hwnas.arrays import FloatArray
from hwnas.pictures import picture, said_if_not_drawn
from hwnas.search.gradient.alphas import history
from hwnas.search.problem import Problem
from hwnas.search.runs.plots import plot_alphas
from hwnas.search.runs.run import Run

__all__ = ["draw_alphas", "plot_operators", "shares_of_operators"]

_FILE = "alpha.png"


def draw_alphas(
    run: Run, problem: Problem, method: str, *, by_operator: bool = False
) -> dict[str, str]:
    """Draw what a run logged of alpha into its folder.

    Args:
        run: that was searched.
        problem: what was searched.
        method: its name in the title.
        by_operator: means over all decisions instead of one row a decision.

    Returns:
        What is shown -> the file; empty where nothing could be drawn.
    """
    path, past = run.folder / _FILE, history(run.logged("alpha"))
    choices = {d.name: [choice.token for choice in d.choices] for d in problem.space.decisions}
    title = f"{method}, {problem.space.name}, {problem.data.name}"
    with said_if_not_drawn():
        if by_operator:
            plot_operators(path, past, list(choices.values()), title=title)
        else:
            plot_alphas(path, past, choices, title=title)
        return {"architecture parameters": _FILE}
    return {}


def plot_operators(
    path: Path,
    history: Sequence[Mapping[str, Any]],
    choices: Sequence[Sequence[str]],
    *,
    title: str,
) -> None:
    """Draw the mean probability of each operator, and how sure decisions are, into a PNG file.

    A search that collapses is seen at once: one line rises, that of the skip connections.

    Args:
        path: of the file.
        history: see `hwnas.search.gradient.alphas.history`; every choice is active.
        choices: of each decision, the names of its choices.
        title: above the picture.
    """
    steps = [entry["step"] for entry in history]
    with picture(path, (7, 6)) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        for name, shares in shares_of_operators(history, choices).items():
            above.plot(steps, shares, label=name)
        largest = np.array(
            [[row.max() for row in rows] for rows in _probabilities(history, choices)]
        )
        below.plot(steps, largest.min(axis=1), label="least sure decision")
        below.plot(steps, np.median(largest, axis=1), label="median")
        above.set_ylabel("mean probability")
        below.set(xlabel="training steps of the weights", ylabel="largest probability")
        for axes in (above, below):
            axes.set_ylim(0, 1)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=7)
        above.set_title(title, fontsize=9)


def shares_of_operators(
    history: Sequence[Mapping[str, Any]], choices: Sequence[Sequence[str]]
) -> dict[str, FloatArray]:
    """For each operator its mean probability (n_entries,) over the decisions that offer it.

    Args:
        history, choices: see `plot_operators`.
    """
    names = list(dict.fromkeys(name for row in choices for name in row))
    found: dict[str, list[float]] = {name: [] for name in names}
    for rows in _probabilities(history, choices):
        for name, shares in found.items():
            of_name = [
                float(row[at])
                for row, offered in zip(rows, choices, strict=True)
                for at, other in enumerate(offered)
                if other == name
            ]
            shares.append(sum(of_name) / len(of_name))
    return {name: np.array(shares) for name, shares in found.items()}


def _probabilities(
    history: Sequence[Mapping[str, Any]], choices: Sequence[Sequence[str]]
) -> list[list[FloatArray]]:
    """For each entry and decision, the softmax of the alphas of its choices."""
    return [
        [softmax(row[: len(names)]) for row, names in zip(entry["alpha"], choices, strict=True)]
        for entry in history
    ]
