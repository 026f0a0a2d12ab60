"""A model as the steps that compute something: views, constants and shape arithmetic left out.

Two readings of one thing: an ONNX model, and a `Graph` of hwnas without its weights. Both give the
steps that `hwnas.kernels.fusions` fuses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, helper

from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels.inputs import fix_shapes, one_image
from hwnas.kernels.model import read_model
from hwnas.kernels.shape_arithmetic import SMALL, Sizes, settled
from hwnas.ops import Graph, Node
from hwnas.ops.graph import padding

__all__ = ["Sizes", "Step", "Steps", "steps_of_graph", "steps_of_model", "sum_steps"]

#: The same numbers under another name: no kernel runs, or the one in front writes them so.
_VIEWS = frozenset(
    {
        *("Cast", "DequantizeLinear", "Dropout", "Flatten", "Identity", "QuantizeLinear"),
        *("Reshape", "Squeeze", "Unsqueeze"),
    }
)
#: The same where nothing is left out, added or moved.
_VIEWS_IF_EQUAL = frozenset({"Expand", "Pad", "Resize", "Slice", "Tile", "Upsample"})
#: What gives the same for every image.
_KNOWN_BEFORE = frozenset({"Constant", "ConstantOfShape", "Range", "Shape", "Size"})


@dataclass(frozen=True, slots=True)
class Step:
    """One operator that computes something.

    Attributes:
        op, name: of the node.
        inputs: tensors that differ from image to image, each once.
        outputs: tensors that somebody reads, or might.
        read: sizes of each of ``inputs``, as the node reads it.
        written: sizes of each of ``outputs``.
        constants: sizes of constant inputs, in order.
        attributes: as ONNX has them.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    read: tuple[Sizes, ...]
    written: tuple[Sizes, ...]
    constants: tuple[Sizes, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def ints(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers; the default where it is none."""
        value = self.attributes.get(name)
        return tuple(value) if isinstance(value, list | tuple) else tuple(default)

    def number(self, name: str, default: int) -> int:
        """An attribute that is a whole number; the default where it is none."""
        value = self.attributes.get(name)
        return value if isinstance(value, int) else default


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps of a model in the order of its nodes.

    Attributes:
        steps: of the model.
        results: tensors that the model gives.
        batch: images that its sizes are of.
        elements_in, elements_out: numbers that the model reads and gives, of all images.
    """

    steps: tuple[Step, ...]
    results: frozenset[str]
    batch: int
    elements_in: int
    elements_out: int


def steps_of_model(
    model: bytes | str | Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> Steps:
    """The steps of any ONNX model; it is neither run nor optimised.

    Args:
        model: its bytes or its path.
        shapes: input name -> its sizes, where they are dynamic; an empty name is the only input. A
            first size that is not said is one image.

    Raises:
        ModelFormatError: the model cannot be read, or has inputs of unknown size.
        OptionError: ``shapes`` names an input that is not there, or contradicts its sizes.
    """
    source = "the model" if isinstance(model, bytes) else str(model)
    proto = read_model(model)
    fix_shapes(proto, one_image(proto, shapes or {}), source)
    lean = _without_weights(proto)
    if lean.functions:
        lean = _without_functions(lean, source)
    lean, sizes = settled(lean, source)
    weights = [tensor.name for tensor in proto.graph.initializer]
    weights += [tensor.values.name for tensor in proto.graph.sparse_initializer]
    return _Reader(lean, dict(sizes), weights).read()


def _without_weights(proto: ModelProto) -> ModelProto:
    """The model with large constants as inputs: megabytes of weights say nothing about shapes."""
    lean = ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    lean.functions.extend(proto.functions)
    lean.graph.name = "shapes"
    for part in ("node", "input", "output", "value_info"):
        getattr(lean.graph, part).extend(getattr(proto.graph, part))
    stated = {value.name for value in proto.graph.input}
    for sparse in proto.graph.sparse_initializer:
        lean.graph.input.append(
            helper.make_tensor_value_info(sparse.values.name, sparse.values.data_type, sparse.dims)
        )
    for tensor in proto.graph.initializer:
        if prod(tensor.dims) <= SMALL:
            lean.graph.initializer.append(tensor)
        elif tensor.name not in stated:
            lean.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return lean


def _without_functions(model: ModelProto, source: str) -> ModelProto:
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # its errors share no class but this one
        reason = " ".join(str(error).split())[:200]
        raise ModelFormatError(f"functions of {source} cannot be read: {reason}") from None


class _Reader:
    """Walks the nodes of a model whose sizes are known."""

    def __init__(self, model: ModelProto, sizes: dict[str, Sizes], weights: Sequence[str]):
        self.graph = model.graph
        self.sizes = sizes
        self.constant = {*weights, *(t.name for t in model.graph.initializer)}
        self.same: dict[str, str] = {}  # a view -> the tensor that it shows

    def read(self) -> Steps:
        steps = [step for node in self.graph.node if (step := self._step(node)) is not None]
        inputs = [v for v in self.graph.input if v.name not in self.constant]
        first = self.sizes.get(inputs[0].name) if inputs else None
        results = frozenset(self._shown(value.name) for value in self.graph.output)
        batch = first[0] if first else 1
        ends = ([v.name for v in inputs], [v.name for v in self.graph.output])
        read, given = (sum(prod(self.sizes.get(n) or (0,)) for n in names) for names in ends)
        return Steps(tuple(steps), results, batch, read, given)

    def _step(self, node: NodeProto) -> Step | None:
        """The step of a node; None where nothing runs."""
        given = [name for name in node.input if name]
        varying = [name for name in given if name not in self.constant]
        made = [name for name in node.output if name]
        inside = any(a.HasField("g") or a.graphs for a in node.attribute)
        if not made:
            return None
        if node.op_type in _KNOWN_BEFORE or (given and not varying and not inside):
            self.constant.update(made)
            for tensor, name in zip(_tensors(node), made, strict=False):
                self.sizes[name] = tuple(tensor.dims)
            return None
        if varying and self._is_view(node, varying[0], made[0]):
            self.same[made[0]] = self._shown(varying[0])
            return None
        inputs = tuple(dict.fromkeys(map(self._shown, varying)))
        read = {self._shown(name): self.sizes.get(name) for name in varying}
        return Step(
            node.op_type,
            node.name or made[0],
            inputs,
            tuple(made),
            tuple(read[name] for name in inputs),
            tuple(self.sizes.get(name) for name in made),
            tuple(self.sizes.get(name) for name in given if name in self.constant),
            {
                a.name: helper.get_attribute_value(a)
                for a in node.attribute
                if a.type in (a.INT, a.INTS, a.STRING) and not a.ref_attr_name
            },
        )

    def _is_view(self, node: NodeProto, source: str, result: str) -> bool:
        if node.op_type in _VIEWS:
            return True
        before, after = self.sizes.get(source), self.sizes.get(result)
        if node.op_type == "Transpose" and before is not None:
            order = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), ())
            order = order or tuple(reversed(range(len(before))))
            if sorted(order) != list(range(len(before))):
                return False
            moved = [at for at in order if before[at] > 1]
            return moved == sorted(moved)
        return node.op_type in _VIEWS_IF_EQUAL and before is not None and before == after

    def _shown(self, name: str) -> str:
        return self.same.get(name, name)


def _tensors(node: NodeProto) -> list[TensorProto]:
    return [attribute.t for attribute in node.attribute if attribute.HasField("t")]


#: Kinds of a `Graph` that read maps and give maps, and the operators that do.
_OPERATORS = {
    "conv": "Conv",
    "linear": "Gemm",
    "batch_norm": "BatchNormalization",
    "relu": "Relu",
    "relu6": "Clip",
    "pact": "Relu",  # as int8, which few bits run as
    "hard_swish": "HardSwish",
    "hard_sigmoid": "HardSigmoid",
    "mul": "Mul",
    "channel_shuffle": "Transpose",
    "take": "Slice",
    "crop": "Slice",
    "concat": "Concat",
    "max_pool": "MaxPool",
    "avg_pool": "AveragePool",
    "global_avg_pool": "GlobalAveragePool",
}


def steps_of_graph(graph: Graph) -> Steps:
    """The steps of a network or workload of hwnas, of one image; no weights are made.

    The same as of the ONNX model of the graph, but that zeros which stand in sums are left out and
    that what is constant behind them is not.

    Raises:
        OptionError: a node of a kind that is not known.
    """
    nodes = graph.pruned().nodes
    steps: list[Step] = []
    zeros: set[int] = set()  # and what follows from nothing else
    for at, node in enumerate(nodes):
        inputs = [i for i in node.inputs if i not in zeros]
        if node.kind == "zero" or (node.inputs and not inputs):
            zeros.add(at)
        elif node.kind == "add":
            steps += sum_steps(f"t{at}", [f"t{i}" for i in inputs], (1, *node.shape))
        elif node.kind != "input":
            steps.append(_step_of(nodes, at, tuple(dict.fromkeys(inputs))))
    last = frozenset({f"t{len(nodes) - 1}"})
    return Steps(tuple(steps), last, 1, prod(nodes[0].shape), prod(nodes[-1].shape))


def sum_steps(result: str, terms: Sequence[str], sizes: tuple[int, ...]) -> Iterator[Step]:
    """A sum of several terms, two at a time; of one, as zeros leave it, a copy."""
    left = terms[0]
    for k, term in enumerate(terms[1:] or [left], start=1):
        name = result if k >= len(terms) - 1 else f"{result}.{k}"
        inputs = tuple(dict.fromkeys((left, term)))
        yield Step("Add", name, inputs, (name,), (sizes,) * len(inputs), (sizes,))
        left = name


def _step_of(nodes: Sequence[Node], at: int, inputs: tuple[int, ...]) -> Step:
    """The step of a node that is no sum."""
    node = nodes[at]
    op = _OPERATORS.get(node.kind, "")
    if not op:
        raise OptionError(f"how a {node.kind!r} runs on a GPU is not known ({node.name})")
    channels = nodes[node.inputs[0]].shape[0]
    written: tuple[int, ...] = (1, *node.shape)
    constants: tuple[Sizes, ...] = ()
    attributes: dict[str, Any] = {}
    if node.kind == "conv":
        constants = ((node.shape[0], channels // node.groups, node.kernel, node.kernel),)
        attributes = {
            "group": node.groups,
            "strides": (node.stride,) * 2,
            "dilations": (node.dilation,) * 2,
            "pads": (padding(node.kernel, node.dilation),) * 4,
        }
    elif node.kind == "linear":
        written, constants = written[:2], ((node.shape[0], channels),)
    elif node.kind == "batch_norm":
        constants = ((node.shape[0],),) * 4
    read = tuple((1, *nodes[i].shape) for i in inputs)
    names = tuple(f"t{i}" for i in inputs)
    return Step(op, node.name, names, (f"t{at}",), read, (written,), constants, attributes)
