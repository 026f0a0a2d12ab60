"""What ONNX Runtime's own profiler says of the nodes of a model."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from hwnas.profilers.layers import LayerTime, middle_half
from hwnas.profilers.onnxruntime_sessions import bound, load_session, new_session
from hwnas.profilers.protocol import Job

__all__ = ["layer_times", "profiled", "self_times"]

#: Runs of a session that profiles itself: so many, or for so long (s), but some at least.
_EXPLAINED_RUNS, _EXPLAINED_S, _LEAST_RUNS = 24, 5.0, 4
#: Nodes of the model that tells what the profiler itself takes.
_IDLE_NODES = 64
#: Of the events of a profile.
_NODE, _SUFFIX, _RUN = "Node", "_kernel_time", "model_run"
#: Their times are microseconds.
_MS = 1e-3


def profiled(
    model: bytes,
    threads: int,
    between: Callable[[], object] = lambda: None,
    provider: str = "cpu",
) -> list[LayerTime]:
    """What each node of the optimised graph takes.

    Args:
        model: what.
        threads: inside an operator.
        between: called before each run.
        provider: as `new_session` takes it.
    """
    return layer_times(_profile(model, threads, between, provider), _profiler_ms())


def layer_times(events: Sequence[Mapping[str, Any]], profiler_ms: float = 0.0) -> list[LayerTime]:
    """The layers in a profile of ONNX Runtime, in their order: means of its middle runs.

    A branch or loop takes what its own nodes do not. Medians of layers would not add up: what
    disturbs a run, disturbs other layers each time.

    Args:
        events: of the whole profile, times in microseconds.
        profiler_ms: by which the profiler makes each node longer.
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
                times[name] = times.get(name, 0.0) + max(own * _MS - profiler_ms, 0.0)
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


def _profile(
    model: bytes, threads: int, between: Callable[[], object], provider: str = "cpu"
) -> list[dict[str, Any]]:
    """The events of ONNX Runtime's own profiler over some runs."""
    with tempfile.TemporaryDirectory() as folder:
        session = new_session(model, threads, provider, str(Path(folder) / "profile"))
        run, start = bound(session), time.monotonic()
        for at in range(_EXPLAINED_RUNS):
            between()
            run()
            if at + 1 >= _LEAST_RUNS and time.monotonic() - start > _EXPLAINED_S:
                break
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_bytes())
    return events


@cache
def _profiler_ms() -> float:
    """What the profiler adds to the time of each node: it writes down shapes before it stops.

    From nodes that do next to nothing: what it says of them, less what they take without it.
    """
    nodes = [helper.make_node("Neg", [f"v{at}"], [f"v{at + 1}"]) for at in range(_IDLE_NODES)]
    ends = [
        helper.make_tensor_value_info(f"v{at}", TensorProto.FLOAT, [1, 1])
        for at in (0, _IDLE_NODES)
    ]
    graph = helper.make_graph(nodes, "idle", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    run = load_session(model, 1)
    plain: list[float] = []
    said = sum(
        layer.latency_ms for layer in layer_times(_profile(model, 1, partial(_note, run, plain)))
    )
    return max(0.0, said - sum(plain) / len(plain)) / _IDLE_NODES


def _note(run: Job, runs: list[float]) -> None:
    runs.append(run())
