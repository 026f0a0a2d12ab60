"""A table's predictions beside its own whole networks, and where the machine was slow."""

from dataclasses import dataclass

import numpy as np

from hwnas.errors import HwnasError
from hwnas.latency_tables import LatencyTable, check_table
from hwnas.predictors.comparison import Comparison, leave_out
from hwnas.predictors.report import PredictionReport
from hwnas.report.charts import Chart, Dot, Rule, axis, band, dots
from hwnas.spaces import SearchSpace

__all__ = ["Agreement", "agreement_of"]

#: More networks than this are not each left out in turn while a page is made.
_MOST_NETWORKS = 200
_MOST_FINDINGS = 12


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far a table's predictions are off, as far as the table itself tells.

    Attributes:
        report: of the errors; None where they are not known.
        why_not: the reason for that.
        charts: predicted over measured; residuals; the spread of single runs.
        counts: workloads that were measured and that were estimated, and whole networks.
        findings: what is suspicious, entry and problem; the first few.
        more_findings: how many others there are.
    """

    report: PredictionReport | None
    why_not: str
    charts: tuple[Chart, ...]
    counts: tuple[int, int, int]
    findings: tuple[tuple[str, str], ...]
    more_findings: int


def agreement_of(table: LatencyTable, space: SearchSpace | None) -> Agreement:
    """Each of the table's whole networks predicted from the others, see `leave_out`.

    Args:
        table: that was measured.
        space: that was profiled; None where it is not known here.
    """
    compared, why_not = _compared(table, space)
    charts = [] if compared is None else [_predicted(compared), _residuals(compared)]
    if len(table.networks) > 1:
        charts.append(_spread(table))
    findings = check_table(table, {} if space is None else space.families)
    return Agreement(
        None if compared is None else compared.report(),
        why_not,
        tuple(charts),
        (len(table.workloads), len(table.estimates), len(table.networks)),
        tuple((finding.entry, finding.problem) for finding in findings[:_MOST_FINDINGS]),
        max(0, len(findings) - _MOST_FINDINGS),
    )


def _compared(table: LatencyTable, space: SearchSpace | None) -> tuple[Comparison | None, str]:
    if space is None:
        return None, f"the space {table.space.name} is not known here"
    if len(table.networks) > _MOST_NETWORKS:
        return None, f"more than {_MOST_NETWORKS} networks take long: hwnas tables report"
    try:
        return leave_out(table), ""
    except HwnasError as error:
        return None, str(error)


def _predicted(found: Comparison) -> Chart:
    ends = [*found.measured_ms, *found.interval_ms.ravel()]
    at = axis("measured (ms)", found.measured_ms), axis("predicted (ms)", ends)
    low, high = max(at[0].low, at[1].low), min(at[0].high, at[1].high)
    same = Rule("equal", ((at[0].x(low), at[1].y(low)), (at[0].x(high), at[1].y(high))))
    points = list(zip(found.measured_ms, found.predicted_ms, strict=True))
    title = "predicted over measured, each network left out"
    marks = dots(at, points, _texts(found), found.interval_ms.tolist())
    return Chart(title, *at, dots=marks, rules=(same,))


def _residuals(found: Comparison) -> Chart:
    residuals = found.predicted_ms / found.measured_ms - 1
    ends = found.interval_ms / found.measured_ms[:, None] - 1
    numbers = range(1, len(residuals) + 1)
    at = (
        axis("networks, in the order of the table", [0, *numbers], least=0),
        axis("prediction off by (%)", [0, *ends.ravel()], percent=True),
    )
    floor = found.noise_floor
    noise = [[(x, level) for x in (at[0].low, at[0].high)] for level in (-floor, floor)]
    marks = dots(at, list(zip(numbers, residuals, strict=True)), _texts(found), ends.tolist())
    zero = Rule("", ((at[0].x(at[0].low), at[1].y(0)), (at[0].x(at[0].high), at[1].y(0))))
    return Chart(
        "how far each prediction is off, with its 95 % interval",
        *at,
        (band("noise of two measurements", 0, at, *noise),),
        marks,
        (zero,),
    )


def _texts(found: Comparison) -> list[str]:
    return [
        f"{found.space.format(arch)}\nmeasured {measured:.3f} ms, predicted {predicted:.3f} ms "
        f"({predicted / measured - 1:+.1%})"
        for arch, measured, predicted in zip(
            found.archs, found.measured_ms, found.predicted_ms, strict=True
        )
    ]


def _spread(table: LatencyTable) -> Chart:
    """Between which times 80 of 100 single runs lie, over the median: high where it was slow."""
    entries = list(table.networks.values())
    ends = np.array([(m.p10_ms, m.p90_ms) for m in entries])
    ends /= np.array([m.latency_ms for m in entries])[:, None]
    numbers = range(1, len(entries) + 1)
    at = (
        axis("networks, in the order of the table", [0, *numbers], least=0),
        axis("single runs, of the median (%)", [1, *ends.ravel()], percent=True),
    )
    texts = [
        f"{name}\n{m.latency_ms:.3f} ms; 80 of 100 runs {m.p10_ms:.3f} to {m.p90_ms:.3f} ms"
        for name, m in table.networks.items()
    ]
    marks: tuple[Dot, ...] = dots(at, [(x, 1.0) for x in numbers], texts, ends.tolist())
    return Chart(
        "where the machine was slow: between which times 80 of 100 runs lie", *at, dots=marks
    )
