"""Values of a graph that are the same for every image: added where it costs nothing.

Behind a zero stand such values: what a batch-norm makes of zeros, say. Runtimes compute them
beforehand, but add each as a whole map, in a layout that is not the one of convolutions: cells of
NAS-Bench-201 whose convolutions read zeros take up to half as long again.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from hwnas.ops import Graph, Node
from hwnas.ops.weights import Array

__all__ = ["Weight", "fold_constants", "scale_and_shift"]

#: The array of a node by its leaf, such as ``weight``; raises `OptionError` where there is none.
Weight = Callable[[Node, str], Array]

#: Kinds of nodes that make zeros of zeros.
_KEEP_ZERO = frozenset({"add", "avg_pool", "conv", "max_pool", "relu"})
_BN_EPSILON = 1e-5  # torch's default


def scale_and_shift(node: Node, weight: Weight) -> tuple[Array, Array]:
    """What a batch-norm is in inference, (channels,) each."""
    mean, var = weight(node, "running_mean"), weight(node, "running_var")
    learned = weight(node, "weight") if node.affine else np.ones_like(var)
    scale = learned / np.sqrt(var + np.float32(_BN_EPSILON))
    shift = weight(node, "bias") if node.affine else np.zeros_like(mean)
    return scale, shift - mean * scale


def fold_constants(
    graph: Graph, weights: Mapping[str, Array], weight: Weight
) -> tuple[Graph, Mapping[str, Array]]:
    """The same function, whose sums take constants in through the shift of a batch-norm.

    A constant has one value a channel. It is folded where the same sum adds a batch-norm that
    nobody else reads; elsewhere, and where a window makes it differ at the border, it is left.
    What is zero whatever the weights is left out of every sum.

    Args:
        graph: any.
        weights: by torch state-dict name, not changed.
        weight: reads them, and checks their shapes.

    Returns:
        The graph with shorter sums, in which nodes may be left that nobody needs, and its weights.
    """
    uses = Counter(i for node in graph.nodes for i in node.inputs)
    constants: dict[int, Array] = {}
    zeros: set[int] = set()
    nodes = list(graph.nodes)
    shifted = dict(weights)
    for at, node in enumerate(nodes):
        given = [constants.get(i) for i in node.inputs]
        if node.kind == "zero" or (given and all(value is not None for value in given)):
            value = _constant(node, [v for v in given if v is not None], weight)
            if value is not None:
                constants[at] = value
            if node.kind == "zero" or (node.kind in _KEEP_ZERO and zeros.issuperset(node.inputs)):
                zeros.add(at)
        elif node.kind == "add" and any(value is not None for value in given):
            taker = _taker(nodes, [i for i in node.inputs if i not in constants], uses)
            if taker is not None:
                more = np.sum([value for value in given if value is not None], axis=0)
                shifted[f"{taker.name}.bias"] = weight(taker, "bias") + more
            gone = zeros if taker is None else constants.keys()
            nodes[at] = replace(node, inputs=tuple(i for i in node.inputs if i not in gone))
    shorter = Graph(graph.input_shape)
    shorter.nodes[:] = nodes
    return shorter, shifted


def _taker(nodes: list[Node], terms: list[int], uses: Counter[int]) -> Node | None:
    """The batch-norm, among terms of a sum, that takes its constants in."""
    for i in terms:
        if nodes[i].kind == "batch_norm" and nodes[i].affine and uses[i] == 1:
            return nodes[i]
    return None


def _constant(node: Node, inputs: list[Array], weight: Weight) -> Array | None:
    """What a node makes of constants, (channels,); None if that differs from pixel to pixel."""
    if node.kind == "zero":
        return np.zeros(node.shape[0], np.float32)
    if node.kind == "add":
        total: Array = np.sum(inputs, axis=0)
        return total
    (x, *others) = inputs
    if others:
        return None
    if node.kind == "relu":
        return np.maximum(x, 0)
    if node.kind == "batch_norm":
        scale, shift = scale_and_shift(node, weight)
        return x * scale + shift
    if node.kind in ("avg_pool", "max_pool"):  # neither counts its padding
        return x
    if node.kind == "conv" and not node.bits:
        if not x.any():
            return np.zeros(node.shape[0], np.float32)
        if node.kernel == 1 and node.groups == 1:
            return np.asarray(weight(node, "weight")[:, :, 0, 0] @ x)
    return None
