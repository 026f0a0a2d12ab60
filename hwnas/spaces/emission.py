"""From a layout and a path to the nodes of one network."""

from collections.abc import Sequence

from hwnas.errors import OptionError
from hwnas.ops import Graph
from hwnas.spaces.layout import Layout, Path

__all__ = ["emit"]


def emit(layout: Layout, path: Path) -> Graph:
    """The nodes of the network that runs this candidate in each slot, below the slots' names.

    Raises:
        OptionError: the wiring runs a slot that the path does not use, or gives something else
            than what it computed last.
    """
    graph = Graph(layout.input_shape)

    def run(at: int, x: int) -> int:
        slot, choice = layout.slots[at], path[at]
        if choice is None:
            raise OptionError(f"the wiring runs {slot.name}, which the path does not use")
        workload = slot.workloads[choice]
        with graph.scope(slot.name):
            return workload.op.emit(graph, x, workload.out_channels, workload.stride)

    def add(name: str, terms: Sequence[int]) -> int:
        with graph.scope(name):
            return graph.add(*terms)

    def concat(name: str, parts: Sequence[int]) -> int:
        with graph.scope(name):
            return graph.concat(*parts)

    end = layout.wire(path, 0, run, add, concat)
    if end != len(graph.nodes) - 1:
        raise OptionError(
            f"a network gives what is computed last, here {graph.nodes[-1].name}, got "
            f"{graph.nodes[end].name} from the wiring"
        )
    return graph
