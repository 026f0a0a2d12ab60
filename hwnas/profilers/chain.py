"""Small workloads, measured several times in a row in one model.

Alone, a block of a few microseconds pays for the start of a model and for layouts at its two ends,
which it does not pay inside a network. The slope from one to several in a row is free of both.
"""

from dataclasses import replace

from hwnas.costs import graph_macs
from hwnas.latency_tables import Measurement
from hwnas.ops import Graph, Workload

__all__ = ["chained", "slope"]

#: Above this many multiply-accumulates an image, what happens at the ends hardly counts.
_SMALL_MACS = 50e6


def chained(workload: Workload, count: int) -> Graph | None:
    """A workload ``count`` times in a row, or None: it is not small, or does not fit itself."""
    graph = workload.graph()
    if graph.nodes[-1].shape != graph.input_shape or graph_macs(graph) > _SMALL_MACS:
        return None
    chain = Graph(graph.input_shape)
    last = 0
    for link in range(count):
        new = {0: last}  # node of the link -> node of the chain
        for at, node in enumerate(graph.nodes[1:], start=1):
            inputs = tuple(new[i] for i in node.inputs)
            chain.nodes.append(replace(node, name=f"{link}.{node.name}", inputs=inputs))
            new[at] = len(chain.nodes) - 1
        last = len(chain.nodes) - 1
    return chain


def slope(one: Measurement, many: Measurement, count: int, call: Measurement) -> Measurement:
    """What one more link of a chain costs, with a call: comparable with other workloads alone.

    Args:
        one: the workload alone.
        many: ``count`` of them in a row.
        count: at least 2.
        call: an almost empty model.

    Returns:
        ``call + (many - one) / (count - 1)``, its errors propagated; ``one`` itself where the chain
        is no slower than a single link, which only noise can do.
    """
    step_ms = (many.latency_ms - one.latency_ms) / (count - 1)
    if step_ms <= 0:
        return one
    errors_ms = (one.relative_error * one.latency_ms, many.relative_error * many.latency_ms)
    error_ms = (errors_ms[0] ** 2 + errors_ms[1] ** 2) ** 0.5 / (count - 1)
    latency_ms = call.latency_ms + step_ms
    return Measurement(
        latency_ms=latency_ms,
        relative_error=error_ms / latency_ms,
        p10_ms=latency_ms * many.p10_ms / many.latency_ms,
        p90_ms=latency_ms * many.p90_ms / many.latency_ms,
        runs=min(one.runs, many.runs),
    )
