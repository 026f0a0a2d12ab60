"""Where the time of a model goes, as its runtime tells it: what each layer takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["LayerTime", "layer_times", "middle_half", "self_times"]

T = TypeVar("T")

_NODE, _SUFFIX = "Node", "_kernel_time"
_RUN = "model_run"
#: Times of a profile are microseconds.
_MS = 1e-3


@dataclass(frozen=True, slots=True)
class LayerTime:
    """One layer of what a runtime made of a model: its name there, ms, and what is known of it.

    Attributes:
        operator: what it computes; empty where the runtime does not say.
    """

    name: str
    latency_ms: float
    details: Any
    operator: str = ""


def layer_times(events: Sequence[Mapping[str, Any]]) -> list[LayerTime]:
    """The layers in a profile of ONNX Runtime, in their order: means of its middle runs.

    A branch or loop takes what its own nodes do not. Medians of layers would not add up: what
    disturbs a run, disturbs other layers each time.
    """
    runs = [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == _RUN]
    nodes = [e for e in events if e.get("cat") == _NODE and e["name"].endswith(_SUFFIX)]
    taken: list[dict[str, float]] = [{} for _ in runs]
    known: dict[str, Mapping[str, Any]] = {}
    for event, own in self_times(nodes):
        name = event["name"].removesuffix(_SUFFIX)
        known.setdefault(name, event["args"])
        for (start, end), times in zip(runs, taken, strict=True):
            if start <= event["ts"] < end:  # a node of a loop runs several times a run
                times[name] = times.get(name, 0.0) + own * _MS
    middle = middle_half(taken, key=lambda times: sum(times.values()))
    return [
        LayerTime(
            name,
            sum(times.get(name, 0.0) for times in middle) / len(middle),
            {"node_index": args.get("node_index", "")},
            str(args.get("op_name", "")),
        )
        for name, args in known.items()
        if middle
    ]


def middle_half(runs: Sequence[T], key: Callable[[T], float]) -> list[T]:
    """The runs without the quarter that was fastest and the quarter that was slowest."""
    quarter = len(runs) // 4
    return sorted(runs, key=key)[quarter : len(runs) - quarter]


def self_times(
    events: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Events with what each lasted without those within it, ordered by their start."""
    within = [0.0] * len(events)
    order = sorted(range(len(events)), key=lambda at: (events[at]["ts"], -events[at]["dur"]))
    around: list[int] = []
    for at in order:
        start = events[at]["ts"]
        while around and start >= events[around[-1]]["ts"] + events[around[-1]]["dur"]:
            around.pop()
        if around:
            within[around[-1]] += events[at]["dur"]
        around.append(at)
    for at in order:
        yield events[at], max(events[at]["dur"] - within[at], 0.0)
