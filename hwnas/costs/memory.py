"""Memory of a network: weights, and the most that lives beside them while it runs.

A tensor lives from the step that makes it to the last one that reads it. What is elementwise writes
over its input where nobody reads that later, as runtimes plan it; batch-norm and activation are
folded into the kernel before them or write over its output, which comes to the same.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hwnas.costs.counting import PARAMS
from hwnas.ops import Graph

__all__ = ["Step", "graph_steps", "graph_weight_bytes", "peak_live"]

_FLOAT = 4  # bytes
_IN_PLACE = {
    *("batch_norm", "relu", "relu6", "hard_swish", "hard_sigmoid", "pact", "add", "mul"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel of a network and the tensor that it makes.

    Attributes:
        size: of the tensor, bytes.
        inputs: steps before this one whose tensors it reads.
        in_place: it may write over its first input, if that is as large.
    """

    size: int
    inputs: tuple[int, ...] = ()
    in_place: bool = False


def peak_live(steps: Sequence[Step], held: Collection[int] = ()) -> int:
    """The most bytes of tensors that live at once.

    Args:
        steps: in the order they run; what nobody reads lives to the end, as outputs do.
        held: steps whose tensors live all the time and are not written over: a network's inputs,
            which belong to its caller.
    """
    last = {name: at for at, step in enumerate(steps) for name in step.inputs}
    end = {at: len(steps) if at in held else last.get(at, len(steps)) for at in range(len(steps))}
    live = sum(steps[at].size for at in held)
    peak = live
    for at, step in enumerate(steps):
        dying = [i for i in dict.fromkeys(step.inputs) if end[i] == at]
        first = step.inputs[0] if step.inputs else None
        over = step.in_place and first in dying and steps[first].size == step.size
        if at not in held:
            live += 0 if over else step.size
        peak = max(peak, live)
        live -= sum(steps[i].size for i in dying if not (over and i == first))
    return peak


def graph_steps(graph: Graph) -> list[Step]:
    """The steps of a graph at fp32 and batch 1, the input first."""
    return [
        Step(
            _FLOAT * node.shape[0] * node.shape[1] * node.shape[2],
            () if node.kind == "zero" else node.inputs,
            node.kind in _IN_PLACE,
        )
        for node in graph.nodes
    ]


def graph_weight_bytes(graph: Graph) -> int:
    """Bytes of the weights in the exported file, at fp32.

    A batch-norm behind a convolution is folded into it and leaves a bias; alone it is a scale and a
    shift.
    """
    numbers = 0
    for node in graph.nodes[1:]:
        if node.kind == "batch_norm":
            folded = graph.nodes[node.inputs[0]].kind == "conv"
            numbers += node.shape[0] * (1 if folded else 2)
        else:
            numbers += PARAMS[node.kind](node, graph.shape(node.inputs[0]))
    return _FLOAT * numbers
