"""Training and search over time, as charts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.errors import CheckpointError
from hwnas.report.charts import Chart, Rule, axis, band, line, score_axis
from hwnas.report.searched import Searched
from hwnas.search.runs.run import LOG
from hwnas.search.runs.schema import ANOTHER

__all__ = ["alpha_charts", "loss_chart", "search_chart"]

#: Choices of a decision that are drawn: those that end as the most probable.
_MOST_CHOICES = 8
#: Of the style sheet.
_COLOURS = 8


def loss_chart(losses: Mapping[int, float]) -> Chart | None:
    """The loss of a training over its steps; None where nothing was logged."""
    points = sorted(losses.items())
    if len(points) < 2:
        return None
    at = (
        axis("training steps", [step for step, _ in points], least=0),
        axis("loss (nats)", [loss for _, loss in points], least=0),
    )
    return Chart("training loss over steps", *at, (line("", 0, at, points),))


def search_chart(source: Searched, winner: float | None) -> Chart | None:
    """Accuracies in the order in which networks were evaluated, with those of random networks.

    The evaluated ones are put together in groups as large as a generation: the best so far, the
    median of each group, and between which 80 of 100 lie.

    Args:
        source: of the evaluations.
        winner: the score of the network that was found.
    """
    metric, scores = source.metric, source.evaluated.accuracies
    accuracies = metric.value(scores)
    if len(accuracies) < 2:
        return None
    size = source.asked["population"]
    size = max(2, size or len(accuracies) // 40)
    groups = [accuracies[at : at + size] for at in range(0, len(accuracies), size)]
    ends = np.minimum(np.arange(1, len(groups) + 1) * size, len(accuracies))
    low, median, high = (
        [(end, float(np.quantile(group, q))) for end, group in zip(ends, groups, strict=True)]
        for q in (0.1, 0.5, 0.9)
    )
    best = [(at, metric.value(score)) for at, score in _best_so_far(scores)]
    paths = source.results[0]["random_paths"] if source.results else None
    levels = [] if paths is None else [metric.value(paths[k]) for k in ("least", "median", "most")]
    shown = (
        [y for _, y in (*low, *high, *best)]
        + levels
        + ([] if winner is None else [metric.value(winner)])
    )
    at = (
        axis("networks evaluated", [0, len(accuracies)], least=0),
        score_axis(metric, shown),
    )
    lines = (
        band("80 of 100 of a generation", 0, at, low, high),
        line("median of a generation", 0, at, median),
        line("best so far", 1, at, best),
    )
    rules = tuple(
        _level(at, level, f"random: {word}")
        for level, word in zip(levels, ("least", "median", "most"), strict=False)
    )
    return Chart("accuracies over the search", *at, lines, rules=rules)


def alpha_charts(source: Searched) -> list[Chart]:
    """One chart a decision: the probability of each choice over the training steps.

    It is the softmax of the architecture parameters that were logged, over the choices that are
    not pruned; a line ends where its choice is.

    Raises:
        CheckpointError: what was logged is of another space.
    """
    history = list({event["step"]: event for event in source.logged("alpha")}.values())
    if len(history) < 2:
        return []
    steps = [entry["step"] for entry in history]
    decisions = source.run.proxy.decisions
    widest = max(source.run.proxy.n_choices)
    rows = [row for entry in history for row in entry["alpha"]]
    if len(rows) != len(history) * len(decisions) or any(len(row) != widest for row in rows):
        path = source.run.folder / LOG
        raise CheckpointError(f"{path}: the alpha events are not those of this space: {ANOTHER}")
    tokens = dict.fromkeys(choice.token for d in decisions for choice in d.choices)
    colours = {token: at % _COLOURS for at, token in enumerate(tokens)}
    charts: list[Chart] = []
    named: set[str] = set()
    for row, decision in enumerate(decisions):
        shares = np.array([_softmax(entry["alpha"][row]) for entry in history])
        last = np.nan_to_num(shares[-1], nan=-1.0)[: len(decision.choices)]
        chosen = sorted(np.argsort(-last, kind="stable")[:_MOST_CHOICES].tolist())
        names = [decision.choices[choice].token for choice in chosen]
        told = not named.issuperset(names)  # a legend once is enough
        named |= set(names)
        at = (
            axis("training steps", steps),
            axis("probability (%)", [0, *np.nan_to_num(shares).ravel()], percent=True, least=0),
        )
        lines = (
            line(name if told else "", colours[name], at, list(zip(steps, values, strict=True)))
            for name, values in zip(names, shares[:, chosen].T.tolist(), strict=True)
        )
        charts.append(Chart(decision.name, *at, tuple(lines)))
    return charts


def _softmax(row: Sequence[float | None]) -> FloatArray:
    """Probabilities of a row of parameters, nan where a choice is pruned."""
    values = np.array([np.nan if value is None else value for value in row], np.float64)
    weights = np.exp(values - np.nanmax(values)) if np.isfinite(values).any() else values
    shares: FloatArray = weights / np.nansum(weights)
    return shares


def _best_so_far(accuracies: FloatArray) -> list[tuple[int, float]]:
    """The corners of the staircase of the best accuracy after each evaluation."""
    best = np.maximum.accumulate(accuracies)
    rises = np.flatnonzero(np.diff(best, prepend=-np.inf) > 0)
    corners: list[tuple[int, float]] = []
    for at in rises.tolist():
        if corners:
            corners.append((at + 1, corners[-1][1]))
        corners.append((at + 1, float(best[at])))
    return [*corners, (len(best), float(best[-1]))]


def _level(at: tuple[Any, Any], level: float, name: str) -> Rule:
    x, y = at
    return Rule(name, ((x.x(x.low), y.y(level)), (x.x(x.high), y.y(level))))
