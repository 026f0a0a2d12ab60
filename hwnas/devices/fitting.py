"""Whether what is to be measured fits into the memory of the machine that measures it."""

from hwnas.costs import workload_costs
from hwnas.errors import OptionError
from hwnas.memory import check_memory
from hwnas.ops import Graph
from hwnas.profilers import AnyRuntime
from hwnas.profilers.runtime import MeasuresRounds
from hwnas.spaces import SearchSpace

__all__ = ["check_exportable", "check_profile_fits"]

_FLOAT = 4  # bytes
#: The most that an ONNX file holds.
_ONNX_BYTES = 2**31 - 1
#: A session keeps a model's input and output, and another copy of each that is bound to it.
_COPIES = 2


def check_exportable(space: SearchSpace) -> None:
    """Refuse a space of which no network fits into an ONNX file.

    Raises:
        OptionError: all are too large.
    """
    if space.additive:
        least = space.cost("params").minimum()[1]
    else:
        least = float(space.params(space.sample(20, seed=0)).min())
    if _FLOAT * least > _ONNX_BYTES:
        raise OptionError(
            f"networks of {space.name} at this width have {least / 1e6:,.0f} M parameters or more, "
            f"and an ONNX file holds {_ONNX_BYTES / _FLOAT / 1e6:,.0f} M: give a smaller width_mult"
        )


def check_profile_fits(space: SearchSpace, runtime: AnyRuntime, batch: int) -> None:
    """Refuse a profile whose models, which are all loaded at once, exceed the machine's memory.

    Raises:
        OptionError: they do.
    """
    check_exportable(space)
    graphs = [workload.graph() for workload in space.distinct_workloads]
    params = [workload_costs(workload)["params"] for workload in space.distinct_workloads]
    needed: float = _FLOAT * sum(params)
    if not isinstance(runtime, MeasuresRounds):  # another machine has its own memory
        needed += _COPIES * _FLOAT * batch * float(sum(_ends(graph) for graph in graphs))
    check_memory(
        needed,
        f"profiling {space.name} at batch {batch}",
        "give a smaller batch, input_size or width_mult",
    )


def _ends(graph: Graph) -> int:
    """How many numbers a model takes and gives for one image."""
    total = 0
    for node in (graph.nodes[0], graph.nodes[-1]):
        size = 1
        for length in node.shape:
            size *= length
        total += size
    return total
