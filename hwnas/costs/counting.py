"""Costs of primitive layers: one table a cost, one pure function of shapes a kind.

MACs are multiply-accumulates of convolutions (groups honoured) and linear layers for batch 1,
nothing else; papers print them as FLOPs.
"""

from collections.abc import Callable

from hwnas.ops import Graph, Node, Shape, Workload

__all__ = [
    "COSTS",
    "MACS",
    "PARAMS",
    "graph_bitops",
    "graph_bytes",
    "graph_macs",
    "graph_params",
    "workload_costs",
]

Formula = Callable[[Node, Shape], int]


def _nothing(node: Node, source: Shape) -> int:
    return 0


def _conv_params(node: Node, source: Shape) -> int:
    return node.shape[0] * (source[0] // node.groups) * node.kernel**2


def _conv_macs(node: Node, source: Shape) -> int:
    return _conv_params(node, source) * node.shape[1] * node.shape[2]


#: Kind of node -> MACs, from the node and the shape of its first input.
MACS: dict[str, Formula] = {
    "input": _nothing,
    "conv": _conv_macs,
    "linear": lambda node, source: source[0] * node.shape[0],
    "batch_norm": _nothing,
    "relu": _nothing,
    "relu6": _nothing,
    "hard_swish": _nothing,
    "hard_sigmoid": _nothing,
    "mul": _nothing,
    "channel_shuffle": _nothing,
    "add": _nothing,
    "zero": _nothing,
    "take": _nothing,
    "crop": _nothing,
    "concat": _nothing,
    "pact": _nothing,
    "max_pool": _nothing,
    "avg_pool": _nothing,
    "global_avg_pool": _nothing,
}

#: Kind of node -> trainable parameters.
PARAMS: dict[str, Formula] = {
    "input": _nothing,
    "conv": _conv_params,
    "linear": lambda node, source: (source[0] + node.bias) * node.shape[0],
    "batch_norm": lambda node, source: 2 * node.shape[0] * node.affine,
    "relu": _nothing,
    "relu6": _nothing,
    "hard_swish": _nothing,
    "hard_sigmoid": _nothing,
    "mul": _nothing,
    "channel_shuffle": _nothing,
    "add": _nothing,
    "zero": _nothing,
    "take": _nothing,
    "crop": _nothing,
    "concat": _nothing,
    "pact": lambda node, source: 1,
    "max_pool": _nothing,
    "avg_pool": _nothing,
    "global_avg_pool": _nothing,
}

#: Kinds that runtimes fold into the kernel before them, so that they move no bytes of their own.
_FUSED = {"batch_norm", "relu", "relu6", "hard_swish", "hard_sigmoid", "pact"}


def _total(graph: Graph, table: dict[str, Formula]) -> int:
    nodes = graph.nodes[1:]
    return sum(table[node.kind](node, graph.shape(node.inputs[0])) for node in nodes)


def graph_macs(graph: Graph) -> int:
    """MACs of all nodes of a graph, those that reach no output included."""
    return _total(graph, MACS)


def graph_params(graph: Graph) -> int:
    """Trainable parameters of a graph."""
    return _total(graph, PARAMS)


def graph_bytes(graph: Graph) -> int:
    """Bytes read and written at fp32 and batch 1 if each fused kernel goes through memory once.

    A kernel is a convolution, linear layer, pooling or sum; batch-norm and activation are folded
    into the one before them. It reads its inputs and parameters and writes its output.
    """
    values = 0
    for node in graph.nodes[1:]:
        values += PARAMS[node.kind](node, graph.shape(node.inputs[0]))
        folded = node.kind in _FUSED and graph.nodes[node.inputs[0]].kind != "input"
        if node.kind in ("take", "crop"):  # reads no more than it takes
            values += 2 * _elements(node.shape)
        elif not folded and node.kind != "zero":
            values += sum(_elements(graph.shape(i)) for i in node.inputs) + _elements(node.shape)
    return 4 * values


def graph_bitops(graph: Graph) -> int:
    """MACs times bits of the weights times bits of the inputs, of all quantised convolutions.

    What is not quantised counts nothing, as in papers, which leave the first and last layer out
    (Single Path One-Shot, table 6, printed there divided by 2^30).
    """
    return sum(
        _conv_macs(node, graph.shape(x)) * node.bits * graph.nodes[x].bits
        for node in graph.nodes
        if node.kind == "conv" and node.bits
        for x in node.inputs
    )


def _elements(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


#: The costs that need no device, by the name that budgets use.
COSTS: dict[str, Callable[[Graph], int]] = {
    "macs": graph_macs,
    "params": graph_params,
    "bytes": graph_bytes,
    "bitops": graph_bitops,
}


def workload_costs(workload: Workload) -> dict[str, int]:
    """All analytic costs of a workload, by name."""
    graph = workload.graph()
    return {name: cost(graph) for name, cost in COSTS.items()}
