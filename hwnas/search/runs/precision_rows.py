"""What a person reads of the precisions of a ``result.json``."""

from collections.abc import Mapping
from typing import Any

from hwnas.data import Metric

__all__ = ["as_fp32", "precision_rows"]


def precision_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which precision won, and what each of them found; nothing where one was searched."""
    found, metric = result.get("precisions", []), Metric.of(result)
    rows = [("precision", f"{result['precision']}, the best of what follows")] if found else []
    return rows + [(one["precision"], _in_precision(one, metric)) for one in found]


def _in_precision(one: Mapping[str, Any], metric: Metric) -> str:
    if one["architecture"] is None:
        return f"no network: {one['why_not']}"
    known = [(one["measured_ms"], "measured"), (one["predicted_ms"], "predicted")]
    parts = [f"{ms:.3f} ms {how}" for ms, how in known if ms is not None]
    parts.append(f"{metric.text(one['accuracy'])} validation in {one['precision']}")
    if one["why_not"] is not None:
        parts.append(one["why_not"])
    elif one["twins"] is not None:
        twins = one["twins"]
        how = "beside it" if twins["measured"] else "as predicted"
        parts.append(f"{-twins['change']:.1%} less time than the same in fp32 {how}")
    return ", ".join(parts)


def as_fp32(result: Mapping[str, Any]) -> str:
    """What is said behind an accuracy where another precision is deployed than it is of."""
    target = result["target"]
    known = isinstance(target, Mapping) and result["bitops"] is None
    return ", as fp32" if known and target.get("precision", "fp32") != "fp32" else ""
