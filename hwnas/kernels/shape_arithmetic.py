"""Sizes of all tensors of a model, those among them that the model computes from other sizes.

Exporters write sizes as arithmetic (``chunk`` as Shape, Gather, Add, Div, Mul and Slice). ONNX's
own inference follows some of it. What is left is computed here, of small constants alone.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from hwnas.errors import ModelFormatError

__all__ = ["SMALL", "Sizes", "settled"]

#: What a tensor holds, its batch included; None where it is not known before a run.
Sizes = tuple[int, ...] | None

#: Constants of no more numbers are computed with.
SMALL = 1024
#: Numbers of a tensor: more cannot be meant as sizes.
_MOST = 2**48
#: Computed sizes that follow from computed sizes, one after the other.
_ROUNDS = 256
#: Nodes that are computed at most, each in a millisecond.
_MOST_COMPUTED = 10_000
_ARITHMETIC = frozenset(
    {
        *("Abs", "Add", "And", "Cast", "Ceil", "Concat", "Constant", "Div", "Equal", "Floor"),
        *("Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min"),
        *("Mod", "Mul", "Neg", "Not", "Or", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"),
        *("Reshape", "Round", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose"),
        *("Unsqueeze", "Where"),
    }
)


def settled(model: ModelProto, source: str) -> tuple[ModelProto, Mapping[str, Sizes]]:
    """The model with sizes that it computes as constants, and the sizes of its tensors.

    Args:
        model: without functions; large constants may be inputs.
        source: names it in errors.

    Raises:
        ModelFormatError: its sizes contradict each other.
    """
    values = {t.name: _array(t) for t in model.graph.initializer if prod(t.dims) <= SMALL}
    asked = 0
    for _ in range(_ROUNDS):
        sizes, before = _inferred(model, source), len(values)
        made = [name for node in model.graph.node for name in node.output if name]
        if all(sizes.get(name) is not None for name in made):
            break
        for node in model.graph.node:
            if asked < _MOST_COMPUTED and _may_be_computed(node, values):
                values |= _computed(node, sizes, values, model.opset_import)
                asked += 1
        if len(values) == before:
            break
        model = _with_constants(model, values)
    return model, sizes


def _inferred(model: ModelProto, source: str) -> dict[str, Sizes]:
    try:
        graph: GraphProto = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # its errors share no class but this one
        reason = " ".join(str(error).split())[:200]
        raise ModelFormatError(f"shapes of {source} cannot be inferred: {reason}") from None
    sizes: dict[str, Sizes] = {}
    for value in (*graph.output, *graph.value_info, *graph.input):
        kind = value.type.tensor_type
        dims = [dim.dim_value for dim in kind.shape.dim]
        known = kind.HasField("shape") and min(dims, default=1) > 0 and prod(dims) <= _MOST
        sizes[value.name] = tuple(dims) if known else sizes.get(value.name)
    return sizes | {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _may_be_computed(node: NodeProto, values: Mapping[str, Any]) -> bool:
    made = [name for name in node.output if name]
    if not made or made[0] in values or node.domain not in ("", "ai.onnx"):
        return False
    if node.op_type in ("Shape", "Size"):
        return bool(node.input) and not node.attribute  # excerpts are rare
    return node.op_type in _ARITHMETIC and all(name in values for name in node.input if name)


def _computed(
    node: NodeProto,
    sizes: Mapping[str, Sizes],
    values: Mapping[str, Any],
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> dict[str, Any]:
    """What a node gives, where that is small and known; nothing elsewhere."""
    made = [name for name in node.output if name]
    if node.op_type in ("Shape", "Size"):
        known = sizes.get(node.input[0])
        if known is None:
            return {}
        return {made[0]: np.array(known if node.op_type == "Shape" else prod(known), np.int64)}
    try:
        results = _run(node, {name: values[name] for name in node.input if name}, opsets)
    except Exception:  # whatever the evaluator raises of a node that makes no sense
        return {}
    small = {n: v for n, v in zip(made, results, strict=False) if np.size(v) <= SMALL}
    return small if len(small) == len(made) else {}


def _run(
    node: NodeProto, feeds: Mapping[str, Any], opsets: Sequence[onnx.OperatorSetIdProto]
) -> list[Any]:
    from onnx.reference import ReferenceEvaluator

    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for name, v in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], "sizes", inputs, outputs)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return list(ReferenceEvaluator(model).run(None, dict(feeds)))


def _with_constants(model: ModelProto, values: Mapping[str, Any]) -> ModelProto:
    """The model without the nodes that gave these values."""
    settled = ModelProto()
    settled.CopyFrom(model)
    known = {tensor.name for tensor in model.graph.initializer}
    del settled.graph.node[:]
    for node in model.graph.node:
        names = [name for name in node.output if name]
        if not names or not all(name in values for name in names):
            settled.graph.node.append(node)
            continue
        settled.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(values[name]), name)
            for name in names
            if name not in known
        )
    return settled


def _array(tensor: TensorProto) -> Any:
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # of a stranger's tensor that is damaged: it is not computed with
        return np.empty(SMALL + 1)
