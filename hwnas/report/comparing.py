"""Several runs beside each other: what each was asked for, on what, and what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwnas.report.charts import Chart, axis, dots
from hwnas.report.sections import OfRanking, OfSearch, OfTraining, Section

__all__ = ["Compared", "Entry", "compared"]


@dataclass(frozen=True)
class Entry:
    """One network of one run.

    Attributes:
        run, method, budgets, target: of the run.
        result: what it found.
    """

    run: str
    method: str
    budgets: str
    target: str
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Compared:
    """Networks of several searches: accuracy over latency, and a row each."""

    entries: Sequence[Entry]
    chart: Chart | None
    others: Sequence[str]


def compared(sections: Sequence[Section]) -> Compared | None:
    """All networks that were found; None for a single one."""
    searches = [section for section in sections if isinstance(section, OfSearch)]
    entries = [
        Entry(
            one.source.name,
            one.source.method,
            ", ".join(result["budget"]) or "none",
            one.source.target,
            result,
        )
        for one in searches
        for result in one.source.results
    ]
    if len(sections) < 2 or len(entries) < 2:
        return None
    others = [
        section.source.name for section in sections if isinstance(section, OfTraining | OfRanking)
    ]
    return Compared(entries, _chart(entries), others)


def _chart(entries: Sequence[Entry]) -> Chart | None:
    known = [(e, _ms(e.result), e.result["accuracy"]) for e in entries if _ms(e.result) is not None]
    if len(known) < 2:
        return None
    at = (
        axis("latency, measured where it was (ms)", [ms for _, ms, _ in known]),
        axis("accuracy (%)", [accuracy for *_, accuracy in known], percent=True),
    )
    texts = [f"{e.run}, {e.budgets}\n{ms:.3f} ms, {a:.1%}" for e, ms, a in known]
    points = [(ms, accuracy) for _, ms, accuracy in known]
    return Chart("accuracy over latency of what was found", *at, dots=dots(at, points, texts))


def _ms(result: Mapping[str, Any]) -> Any:
    measured = result["measured_ms"]
    return result["predicted_ms"] if measured is None else measured
