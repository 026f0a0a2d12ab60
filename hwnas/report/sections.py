"""What each section of the page shows, computed from what its source holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt

from hwnas.costs import parse_budget
from hwnas.data import Metric
from hwnas.errors import HwnasError
from hwnas.predictors.breakdown import Breakdown, breakdown
from hwnas.report.agreement import Agreement, agreement_of
from hwnas.report.answer import Fact, Kept, budgets_kept, facts_of
from hwnas.report.cell_graph import CellGraph, cells_of
from hwnas.report.charts import Chart, axis, dots, score_axis
from hwnas.report.curves import alpha_charts, loss_chart, search_chart
from hwnas.report.drawing import Drawn, drawn
from hwnas.report.measured import MeasuredModels
from hwnas.report.repeat import command_of
from hwnas.report.searched import Searched
from hwnas.report.sources import Source, Tabled
from hwnas.report.trained import Ranked, Trained
from hwnas.spaces import SearchSpace

__all__ = [
    "Answer",
    "OfModels",
    "OfRanking",
    "OfSearch",
    "OfTable",
    "OfTraining",
    "Section",
    "section_of",
]


@dataclass(frozen=True, eq=False)
class Answer:
    """One network that a search found, or the best so far.

    Attributes:
        architecture: as its space prints it.
        facts, kept: its numbers and its budgets; none where it is not the result.
        network: where its milliseconds go.
        cells: its cells as graphs.
        shares: decision -> its milliseconds in words, and their share of the prediction.
        result: the content of its result; None where it is the best so far.
    """

    architecture: str
    facts: Sequence[Fact]
    kept: Sequence[Kept]
    network: Drawn
    cells: Sequence[CellGraph]
    shares: Mapping[int, tuple[str, float]]
    result: Mapping[str, Any] | None


@dataclass(frozen=True, eq=False)
class OfSearch:
    """A search."""

    source: Searched
    command: str
    status: str
    answers: Sequence[Answer]
    scatter: Mapping[str, Any] | None
    loss: Chart | None
    search: Chart | None
    alphas: Sequence[Chart]
    slow: Sequence[str]
    agreement: Agreement | None
    kind: str = "search"


@dataclass(frozen=True, eq=False)
class OfTraining:
    """A network trained alone."""

    source: Trained
    command: str
    loss: Chart | None
    kind: str = "training"


@dataclass(frozen=True, eq=False)
class OfRanking:
    """A ranking that was checked."""

    source: Ranked
    command: str
    chart: Chart | None
    kind: str = "ranking"


@dataclass(frozen=True, eq=False)
class OfTable:
    """A latency table."""

    source: Tabled
    agreement: Agreement
    kind: str = "table"


@dataclass(frozen=True, eq=False)
class OfModels:
    """Measured ONNX models."""

    source: MeasuredModels
    kind: str = "models"


Section = OfSearch | OfTraining | OfRanking | OfTable | OfModels


def section_of(source: Source) -> Section:
    """The section of a source."""
    if isinstance(source, Searched):
        return _of_search(source)
    if isinstance(source, Trained):
        return OfTraining(source, command_of(source), loss_chart(source.losses))
    if isinstance(source, Ranked):
        return OfRanking(source, command_of(source), _ranking(source))
    if isinstance(source, Tabled):
        return OfTable(source, agreement_of(source.table, source.space))
    return OfModels(source)


def _of_search(source: Searched) -> OfSearch:
    answers = [_answer(source, r["architecture"], r) for r in source.results]
    if not answers and (best := _best(source)) is not None:
        answers = [_answer(source, best, None)]
    winner = source.results[0]["accuracy"] if source.results else None
    return OfSearch(
        source,
        command_of(source),
        _status(source),
        answers,
        _scatter(source),
        loss_chart(source.losses),
        search_chart(source, winner),
        alpha_charts(source),
        _slow(source),
        None if source.table is None else agreement_of(source.table, source.space),
    )


def _best(source: Searched) -> str | None:
    """The most accurate network that was evaluated, of several the cheapest."""
    front = source.evaluated.front
    return source.space.format(source.evaluated.archs[front[-1]]) if front else None


def _answer(source: Searched, architecture: str, result: Mapping[str, Any] | None) -> Answer:
    arch: npt.ArrayLike = source.space.parse(architecture)
    try:
        parts = breakdown(source.space, arch, source.predictor)
    except HwnasError:  # latencies that do not know this network
        parts = breakdown(source.space, arch)
    return Answer(
        architecture,
        [] if result is None else facts_of(result),
        [] if result is None else budgets_kept(result),
        drawn(parts),
        cells_of(source.space, arch),
        _shares(source.space, parts),
        result,
    )


def _shares(space: SearchSpace, found: Breakdown) -> dict[int, tuple[str, float]]:
    numbers = {decision.name: at for at, decision in enumerate(space.decisions)}
    timed = ((part, part.ms) for part in found.parts if part.name in numbers)
    return {
        numbers[part.name]: (
            f"{part.name} {part.choice}: {ms:.3f} ms in all such cells",
            max(ms, 0.0) / found.predicted_ms,
        )
        for part, ms in timed
        if ms is not None and found.predicted_ms
    }


def _status(source: Searched) -> str:
    """Where an unfinished search stands; empty for a finished one."""
    if source.finished:
        return ""
    parts, steps = [], [*source.losses, *(event["step"] for event in source.logged("alpha"))]
    if steps:
        parts.append(f"trained for {max(steps):,} of {source.run.config['steps']:,} steps")
    if len(source.evaluated.archs):
        parts.append(f"{len(source.evaluated.archs):,} networks evaluated")
    if measured := source.logged("measured"):
        parts.append(f"{len(measured)} measurements")
    return ", ".join(parts) or "nothing is trained or evaluated yet"


def _slow(source: Searched) -> list[str]:
    """Measurements of the search, and the pauses for slow spells of the machine to end."""
    return [
        f"{event['architecture']}: {event['latency_ms']:.3f} ms"
        if event["event"] == "measured"
        else f"waited {event['pause_s']:g} s for a slow spell to end"
        for event in source.events
        if event["event"] in ("measured", "waited")
    ]


def _scatter(source: Searched) -> dict[str, Any] | None:
    """All evaluated networks for the page's script."""
    evaluated = source.evaluated
    if not len(evaluated.archs):
        return None
    metric = source.metric
    limits = _limits_ms(source) if evaluated.latency_ms is not None else []
    measured = [r["measured_ms"] for r in source.results if r["measured_ms"] is not None]
    spans = [*evaluated.costs, *limits, *(measured if evaluated.latency_ms is not None else [])]
    word = "looked up" if source.cost_source == "looked up" else "predicted"
    label = "MACs (millions)" if evaluated.latency_ms is None else f"latency, {word} (ms)"
    winners = [evaluated.position(r["architecture"]) for r in source.results]
    return {
        **evaluated.as_data(metric),
        "limits": limits,
        "winners": [at for at in winners if at is not None],
        "measured": [
            [r["measured_ms"], metric.value(r["accuracy"])]
            for r in source.results
            if r["measured_ms"] is not None and evaluated.latency_ms is not None
        ],
        "x": asdict(axis(label, spans)),
        "y": asdict(score_axis(metric, metric.value(evaluated.accuracies))),
    }


def _limits_ms(source: Searched) -> list[float]:
    budgets = map(parse_budget, source.budgets)
    return sorted({b.limit for b in budgets if b.quantity == "latency" and b.percentile is None})


def _ranking(source: Ranked) -> Chart | None:
    """True accuracies over those with shared weights."""
    if source.content is None:
        return None
    looked_up, metric = "accuracies" in source.content, Metric.of(source.content)
    truth = "true_accuracy" if looked_up else "alone_accuracy"
    rows = source.content["architectures"]
    points = [(metric.value(r["supernet_accuracy"]), metric.value(r[truth])) for r in rows]
    at = (
        score_axis(metric, [x for x, _ in points], "with shared weights"),
        score_axis(metric, [y for _, y in points], "looked up" if looked_up else "trained alone"),
    )
    texts = [
        f"{row['architecture']}\n{metric.text(row['supernet_accuracy'], 2)} with shared weights, "
        f"{metric.text(row[truth], 2)} in truth"
        for row in rows
    ]
    title = f"{metric.name} in truth over that with shared weights"
    return Chart(title, *at, dots=dots(at, points, texts))
