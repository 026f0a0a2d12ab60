"""Several runs beside each other: what each was asked for, on what, and what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwnas.data import Metric
from hwnas.report.charts import Chart, axis, dots, score_axis
from hwnas.report.sections import OfSearch, Section

__all__ = ["Compared", "Entry", "compared"]


@dataclass(frozen=True)
class Entry:
    """One network of one run, or a run that has none to show.

    Attributes:
        run, method, budgets, target: of the run.
        result: what it found; None where it is not finished, or found a front.
        state: why there is no result.
    """

    run: str
    method: str
    budgets: str
    target: str
    result: Mapping[str, Any] | None
    state: str = ""


@dataclass(frozen=True)
class Compared:
    """Several searches: a row for each network that was found, and accuracy over latency."""

    entries: Sequence[Entry]
    chart: Chart | None


def compared(sections: Sequence[Section]) -> Compared | None:
    """All that was found; None for a single search."""
    searches = [section for section in sections if isinstance(section, OfSearch)]
    if len(searches) < 2 and not any(len(one.source.results) > 1 for one in searches):
        return None
    entries = [entry for one in searches for entry in _entries(one)]
    return Compared(entries, _chart(entries))


def _entries(section: OfSearch) -> list[Entry]:
    source = section.source
    of_run = source.name, source.method
    if not source.results:
        front = f"a front of {len(source.front)} networks"
        state = front if source.finished else "not finished"
        return [Entry(*of_run, ", ".join(source.budgets) or "none", source.target, None, state)]
    return [
        Entry(*of_run, ", ".join(result["budget"]), source.target, result)
        for result in source.results
    ]


def _chart(entries: Sequence[Entry]) -> Chart | None:
    found = [(entry, entry.result) for entry in entries if entry.result is not None]
    metrics = {Metric.of(result) for _, result in found}
    known = [(e, _ms(r), r["accuracy"]) for e, r in found if _ms(r) is not None]
    if len(known) < 2 or len(metrics) > 1:
        return None
    (metric,) = metrics
    at = (
        axis("latency, measured where it was (ms)", [ms for _, ms, _ in known]),
        score_axis(metric, [metric.value(score) for *_, score in known]),
    )
    texts = [f"{e.run}, {e.budgets}\n{ms:.3f} ms, {metric.text(a)}" for e, ms, a in known]
    points = [(ms, metric.value(score)) for _, ms, score in known]
    return Chart(f"{metric.name} over latency of what was found", *at, dots=dots(at, points, texts))


def _ms(result: Mapping[str, Any]) -> Any:
    measured = result["measured_ms"]
    return result["predicted_ms"] if measured is None else measured
