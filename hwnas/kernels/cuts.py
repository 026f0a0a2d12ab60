"""Long models in shorter ones, since the time of a runtime's optimiser grows with their square.

A model is cut where few values cross, all of known shape, and where no fusion is torn: a layout
change at each end of a part is all that a cut adds.
"""

from collections.abc import Iterator, Mapping, Sequence

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

__all__ = ["LONG", "NoTensorError", "crossings", "parts", "value_info"]

#: Models of more nodes than this are cut, into parts of about so many nodes.
LONG, _PART = 20_000, 1_000
#: Where to cut is looked for in this share of a part.
_SLACK = 0.25
#: What runtimes fuse into the node before them: no cut before these.
_FOLDED = frozenset(
    {
        *("Add", "BatchNormalization", "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish"),
        *("LeakyRelu", "Mul", "Relu", "Sigmoid", "Softmax", "Tanh"),
    }
)


class NoTensorError(Exception):
    """What crosses a cut is no tensor, and cannot be the input of a part."""


def value_info(name: str, sizes: Sequence[int] | None, dtype: str) -> onnx.ValueInfoProto:
    """A tensor as the input of a model; ``dtype`` as ONNX Runtime prints it, such as ``float``."""
    try:
        kind = TensorProto.DataType.Value(dtype.upper())
    except ValueError:
        return onnx.ValueInfoProto(name=name)  # a sequence or a map
    return helper.make_tensor_value_info(name, kind, sizes)


def crossings(nodes: Sequence[NodeProto], read: Sequence[set[str]]) -> list[int]:
    """How many values are made before each node and read by it or later, (n + 1,).

    Args:
        nodes: n, in the order they run.
        read: of each what it reads, see `reads`.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for at, (node, names) in enumerate(zip(nodes, read, strict=True)):
        for name in names:
            if name in first:
                last[name] = at
        for name in node.output:
            first[name] = at
    steps = [0] * (len(nodes) + 2)
    for name, end in last.items():
        steps[first[name] + 1] += 1
        steps[end + 1] -= 1
    found, count = [], 0
    for step in steps[: len(nodes) + 1]:
        count += step
        found.append(count)
    return found


def reads(node: NodeProto) -> set[str]:
    """Names that a node reads, those of its inner graphs among them."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for each in inner.node:
                names |= reads(each)
    return names


def _ends(nodes: Sequence[NodeProto], read: Sequence[set[str]]) -> list[int]:
    """Where parts end: in each stretch the place that the fewest values cross."""
    crossing = crossings(nodes, read)
    ends, start = [], 0
    while len(nodes) - start > _PART * (1 + _SLACK):
        low, high = (start + round(_PART * (1 + sign * _SLACK)) for sign in (-1, 1))
        torn = [(nodes[at].op_type in _FOLDED) for at in range(low, high)]
        start = min(
            range(low, high), key=lambda at: (crossing[at], torn[at - low], abs(at - low - _PART))
        )
        ends.append(start)
    return [*ends, len(nodes)]


def parts(model: ModelProto, values: Mapping[str, onnx.ValueInfoProto]) -> Iterator[ModelProto]:
    """The nodes of a model in order, as models that read what the parts before them made.

    Args:
        model: without functions, its nodes in the order they run.
        values: name -> type and shape, of whatever a part that comes later may read; may be filled
            in between, from a part that was handed out.

    Raises:
        NoTensorError: a part would read what is no tensor.
    """
    graph: GraphProto = model.graph
    nodes = list(graph.node)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    sparse = {tensor.values.name: tensor for tensor in graph.sparse_initializer}
    read = [reads(node) for node in nodes]
    wanted = {value.name for value in graph.output}
    last: dict[str, int] = {}
    for at, names in enumerate(read):
        last |= dict.fromkeys(names, at)
    start = 0
    for end in _ends(nodes, read):
        part = nodes[start:end]
        inside = {name for node in part for name in node.output if name}
        used = dict.fromkeys(name for names in read[start:end] for name in sorted(names))
        outside = [name for name in used if name not in inside]
        model_inputs = [values[name] for name in outside if name in values]
        if not all(value.type.WhichOneof("value") for value in model_inputs):
            raise NoTensorError
        kept = [name for name in inside if name in wanted or last.get(name, -1) >= end]
        yield helper.make_model(
            helper.make_graph(
                part,
                "part",
                [value for value in model_inputs if value.name not in weights],
                [onnx.ValueInfoProto(name=name) for name in sorted(kept)],
                [weights[name] for name in outside if name in weights],
                sparse_initializer=[sparse[name] for name in outside if name in sparse],
            ),
            opset_imports=model.opset_import,
            ir_version=model.ir_version,
        )
        start = end
