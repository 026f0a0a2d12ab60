"""Whether a model is what hwnas exports: a model that is run must not run for ever."""

from math import prod

import onnx
from onnx import GraphProto, ModelProto, NodeProto

from hwnas.errors import ModelFormatError
from hwnas.kernels.macs import count_macs
from hwnas.kernels.model import nodes_and_tensors, read_model

__all__ = ["check_exported"]

#: Operators that `hwnas.onnx_graph.to_onnx` writes; what each takes follows from its shapes.
_OPERATORS = frozenset(
    {
        *("Add", "AveragePool", "Cast", "Clip", "Concat", "ConstantOfShape", "Conv"),
        *("DequantizeLinear", "Flatten", "Gemm", "GlobalAveragePool", "HardSigmoid", "HardSwish"),
        *("Identity", "MaxPool", "Mul", "QuantizeLinear", "Relu", "Reshape", "Round", "Slice"),
        "Transpose",
    }
)
#: What torch writes of a person's own modules: arithmetic on tensors of fixed shapes, no control.
_OF_MODULES = frozenset(
    {
        *("Abs", "ArgMax", "BatchNormalization", "Constant", "ConvTranspose", "DepthToSpace"),
        *("Div", "Elu", "Equal", "Erf", "Exp", "Expand", "Gather", "Greater", "LayerNormalization"),
        *("InstanceNormalization", "LeakyRelu", "Less", "Log", "LogSoftmax", "MatMul", "Max"),
        *("Mean", "Min", "Neg", "Not", "PRelu", "Pad", "Pow", "ReduceL2", "ReduceMax"),
        *("ReduceMean", "ReduceSum", "Resize", "Shape", "Sigmoid", "Softmax", "Softplus", "Split"),
        *("Sqrt", "Squeeze", "Sub", "Tanh", "Unsqueeze", "Where"),
    }
)
_ALLOWED = _OPERATORS | _OF_MODULES
#: Numbers in one tensor, and multiply-accumulates of a run: far above what runs in a second.
_MOST_NUMBERS, _MOST_MACS = 2**27, 10**12


def check_exported(model: bytes, source: str) -> None:
    """Refuse a model that no export of hwnas looks like.

    A folder of a run may come from anyone, and its network is run here. Networks of hwnas are plain
    graphs of a few operators with fixed shapes; loops, branches, functions and whatever else could
    run without end, fill the memory or read other files are not in them.

    Args:
        model: an ONNX model.
        source: names it in errors.

    Raises:
        ModelFormatError: it is no model, or no such network.
    """
    try:
        proto = read_model(model)
        _check(proto)
    except ModelFormatError as error:
        raise ModelFormatError(f"{source} is no network that hwnas exported: {error}") from None


def _check(proto: ModelProto) -> None:
    if proto.functions or proto.graph.sparse_initializer:
        raise ModelFormatError("it has functions or sparse weights")
    for part in nodes_and_tensors(proto):
        if isinstance(part, NodeProto) and (part.domain or part.op_type not in _ALLOWED):
            raise ModelFormatError(f"it has an operator {part.op_type!r} of {part.domain!r}")
    shapes = _shapes(proto)
    names = [value.name for value in proto.graph.input]
    names += [name for node in proto.graph.node for name in node.output if name]
    for name in names:
        shape = shapes.get(name)
        if shape is None or min(shape, default=1) < 1:
            raise ModelFormatError(f"the sizes of {name!r} are not known before it runs")
        if prod(shape) > _MOST_NUMBERS:
            raise ModelFormatError(f"{name!r} holds {prod(shape):,} numbers")
    macs = sum(_macs(node, shapes) for node in proto.graph.node)
    if macs > _MOST_MACS:
        raise ModelFormatError(f"a run takes {macs:,} multiply-accumulates")


def _shapes(proto: ModelProto) -> dict[str, tuple[int, ...] | None]:
    """Sizes of all tensors, None where one is not fixed; those the model states do not count."""
    bare = ModelProto()
    bare.CopyFrom(proto)
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        graph: GraphProto = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    except Exception as error:  # its errors share no class but this one
        reason = " ".join(str(error).split())[:200]
        raise ModelFormatError(f"its shapes contradict each other ({reason})") from None
    shapes: dict[str, tuple[int, ...] | None] = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        fixed = value.type.tensor_type.HasField("shape") and all(
            d.HasField("dim_value") for d in dims
        )
        shapes[value.name] = tuple(d.dim_value for d in dims) if fixed else None
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return shapes


def _macs(node: NodeProto, shapes: dict[str, tuple[int, ...] | None]) -> int:
    if len(node.input) < 2:
        return 0
    if node.op_type in ("MatMul", "ConvTranspose"):
        known = [[shapes.get(name) or () for name in names] for names in (node.input, node.output)]
        return count_macs(node.op_type, {}, *known)
    if node.op_type not in ("Conv", "Gemm"):
        return 0
    weights = shapes.get(node.input[1]) or ()
    each = prod(weights[1:]) if node.op_type == "Conv" else max(weights, default=1)
    return prod(shapes.get(node.output[0]) or ()) * each
