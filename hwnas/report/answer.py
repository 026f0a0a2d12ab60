"""The answer in numbers: what was found, how good it is, and where each number is from."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hwnas.costs import Budget, parse_budget
from hwnas.costs.written import millions
from hwnas.data import Metric
from hwnas.predictors.intervals import NORMAL_95

__all__ = ["SOURCES", "Fact", "Kept", "accuracy_noise", "budgets_kept", "facts_of"]

#: Where a number may be from, and what that means; the page explains them once.
SOURCES = {
    "measured": "by the clock of the device, or counted on images",
    "modelled": "computed from measurements of parts, or of other networks",
    "estimated": "inferred for a part that nobody measured",
    "looked up": "as it stands in the table of a benchmark",
    "exact": "follows from the network's shapes",
}


@dataclass(frozen=True)
class Fact:
    """A number with its words.

    Attributes:
        label: what it is.
        text: as a person reads it.
        source: a key of `SOURCES`; empty for words.
        value: the number itself, as its file holds it; None for words.
        note: what else belongs to it.
    """

    label: str
    text: str
    source: str = ""
    value: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Kept:
    """A budget, and how much of it a network uses.

    Attributes:
        budget: as it was asked for.
        share: of the limit; None where the quantity is not known.
        source: where the quantity is from.
    """

    budget: str
    share: float | None
    source: str


def facts_of(result: Mapping[str, Any]) -> list[Fact]:
    """The numbers of one result, the most important first."""
    return [*_latency(result), *_accuracy(result), *_size(result)]


def accuracy_noise(accuracy: float, images: int | None) -> float | None:
    """Half the 95 % interval of an accuracy, 0 to 1, by chance of the images alone.

    Args:
        accuracy: 0 to 1.
        images: that it was counted on; None where that is not known.
    """
    if not images:
        return None
    return NORMAL_95 * math.sqrt(accuracy * (1 - accuracy) / images)


def budgets_kept(result: Mapping[str, Any]) -> list[Kept]:
    """Each budget beside what the network takes, measured where it was measured."""
    return [_kept(parse_budget(text), result) for text in result["budget"]]


def _kept(budget: Budget, result: Mapping[str, Any]) -> Kept:
    if budget.quantity != "latency":
        known = {name: result.get(name) for name in ("macs", "params", "bitops")}
        value = (known | {"memory": result.get("memory_bytes")}).get(budget.quantity)
        return Kept(str(budget), None if value is None else value / budget.limit, "exact")
    if budget.percentile is not None:
        clock = (result.get("measured") or {}).get("clock_ms", {})
        value = clock.get(f"p{budget.percentile:.12g}")
        return Kept(str(budget), None if value is None else value / budget.limit, "measured")
    if result["measured_ms"] is not None:
        return Kept(str(budget), result["measured_ms"] / budget.limit, "measured")
    value = result["predicted_ms"]
    return Kept(str(budget), None if value is None else value / budget.limit, _predicted(result))


def _predicted(result: Mapping[str, Any]) -> str:
    return "looked up" if "latency" in result["looked_up"] else "modelled"


def _latency(result: Mapping[str, Any]) -> Iterator[Fact]:
    predicted, measured = result["predicted_ms"], result["measured_ms"]
    if measured is not None:
        about = result["measured"]
        notes = []
        if about.get("relative_error") is not None:
            notes.append(f"± {about['relative_error']:.1%}")
        if predicted is not None:
            notes.append(f"prediction {predicted / measured - 1:+.1%} off")
        if about.get("measurements", 1) > 1:
            notes.append(f"the least of {about['measurements']} measurements")
        if about.get("waited_s"):
            notes.append(f"{about['waited_s']:g} s waited for a slow spell to end")
        clock = ", ".join(f"{at} {ms:.3f}" for at, ms in about.get("clock_ms", {}).items())
        notes.append(f"by the clock {clock} ms" if clock else "")
        note = "; ".join(filter(None, notes))
        yield Fact("latency", f"{measured:.3f} ms", "measured", measured, note)
    if predicted is not None:
        interval = result["predicted_interval_ms"]
        note = "no interval is known"
        if interval is not None:
            note = f"95 %: {interval[0]:.3f} to {interval[1]:.3f} ms"
        label = "latency" if measured is None else "predicted"
        yield Fact(label, f"{predicted:.3f} ms", _predicted(result), predicted, note)
        if measured is None and "latency" not in result["looked_up"]:
            yield Fact("measured", "not yet", note="the device was not at hand: hwnas verify")


def _accuracy(result: Mapping[str, Any]) -> Iterator[Fact]:
    looked_up, accuracy = result["looked_up"].get("accuracy"), result["accuracy"]
    paths, metric = result["random_paths"], Metric.of(result)
    least, most = metric.text(paths["least"]), metric.text(paths["most"])
    beside = f"{paths['count']} random networks: {least} to {most}"
    if looked_up is not None:
        unit = " %" if looked_up["unit"] == "%" else ""
        text = f"{looked_up['value']:g}{unit}"
        yield Fact("accuracy", text, "looked up", accuracy, f"in {looked_up['table']}; {beside}")
        return
    images = result.get("validation_images")
    counted = metric.is_accuracy and result["rank_by"] == "accuracy"
    noise = accuracy_noise(accuracy, images) if counted else None
    note = f"± {100 * noise:.1f} points by chance of {images:,} images; " if noise else ""
    name = f"validation {metric.name}" if result["rank_by"] == "accuracy" else result["rank_by"]
    how = f"{note}trained proxy, shared weights; {beside}"
    yield Fact(name, metric.text(accuracy), "measured", metric.value(accuracy), how)
    tested, label = result["test_accuracy"], f"test {metric.name}"
    text, value = metric.text(tested), metric.value(tested)
    yield Fact(label, text, "measured", value, "the same weights")


def _size(result: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("MACs", millions(result["macs"]), "exact", result["macs"])
    yield Fact("parameters", millions(result["params"], 2), "exact", result["params"])
    if result["bitops"] is not None:
        text = f"{result['bitops'] / 2**30:.2f} G"
        yield Fact("BitOps", text, "exact", result["bitops"], "of 2^30")
    if result["memory_bytes"] is not None:
        text = f"{result['memory_bytes'] / 1e6:.1f} MB"
        note = "weights and live tensors, fp32, batch 1"
        yield Fact("memory", text, "exact", result["memory_bytes"], note)
    largest = result["largest"]
    if largest is not None:
        metric, better = Metric.of(result), result["accuracy"] - largest["accuracy"]
        text = f"winner {100 * better:+.1f} points" if metric.is_accuracy else f"{better:+.4g}"
        if largest["architecture"] == result["architecture"]:
            text = "it is the winner"
        note = f"{metric.text(largest['accuracy'])} with {millions(largest['macs'])} MACs"
        yield Fact("largest within the budgets", text, note=note)
