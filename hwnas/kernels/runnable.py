"""Any ONNX model as a runtime can run it: sizes fixed, and inputs that whole numbers fit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels.inputs import ALIKE, BELOW, fix_shapes, model_inputs
from hwnas.kernels.model import nodes_and_tensors, read_model

__all__ = ["BELOW", "RunnableModel", "runnable"]

#: What hands whole numbers on as they are, in another form.
_FORMS = ("Cast", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "MatMulNBits")
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
#: Types of inputs that are given random numbers, or ones.
_NUMBERS = {
    *(*_FLOATS, TensorProto.BOOL),
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
}


@dataclass(frozen=True, slots=True)
class RunnableModel:
    """A model whose inputs are known.

    Attributes:
        data: of the model, with all its weights.
        inputs: name -> sizes.
        floats: names of the inputs that are floats.
        precision: ``fp32``, ``fp16`` or ``int8``: what its graph says of its weights.
    """

    data: bytes
    inputs: Mapping[str, tuple[int, ...]]
    floats: frozenset[str]
    precision: str

    @property
    def batch(self) -> int:
        """The first size of its first input; 1 where that has none."""
        return next((sizes[0] for sizes in self.inputs.values() if sizes), 1)


def runnable(
    model: bytes | str | Path,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
) -> RunnableModel:
    """Read a model through `read_model`, and fix what it leaves open.

    Args:
        model: its bytes, or its path.
        shapes: input name -> its sizes; an empty name is the model's only input.
        batch: the first size of each input that leaves its first size open; 1 if not given, where
            ``shapes`` does not say it.

    Raises:
        ModelFormatError: it cannot be read, leaves other sizes open, or has inputs that are not
            numbers.
        OptionError: ``shapes`` contradict the model, or it fixes another batch.
    """
    source = "the model" if isinstance(model, bytes) else str(model)
    proto = read_model(model)
    inputs = list(model_inputs(proto).values())
    for value in inputs:
        kind = value.type.tensor_type.elem_type
        if value.type.HasField("tensor_type") and kind not in _NUMBERS:
            known = kind in TensorProto.DataType.values()
            name = TensorProto.DataType.Name(kind).lower() if known else f"type {kind}"
            raise ModelFormatError(
                f"{source}: input {value.name!r} takes {name}, and inputs of numbers can be made "
                "up: export the model from behind that input"
            )
    _fix_batch(inputs, shapes or {}, batch, source)
    fix_shapes(proto, shapes or {}, source)
    for at in reversed(range(len(proto.metadata_props))):
        if proto.metadata_props[at].key.startswith((ALIKE, BELOW)):
            del proto.metadata_props[at]
    for name, rows in _rows(proto.graph, [value.name for value in inputs]).items():
        proto.metadata_props.add(key=BELOW + name, value=str(rows))
    sizes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in inputs}
    floats = frozenset(v.name for v in inputs if v.type.tensor_type.elem_type in _FLOATS)
    return RunnableModel(proto.SerializeToString(), sizes, floats, _precision(proto))


def _fix_batch(
    inputs: Sequence[ValueInfoProto],
    shapes: Mapping[str, Sequence[int]],
    batch: int | None,
    source: str,
) -> None:
    """Write the batch where the first size is open, and wherever its name stands."""
    given = {} if batch is not None else dict(shapes)
    if len(inputs) == 1 and "" in given:
        given[inputs[0].name] = given[""]
    named = {
        dim.dim_param
        for value in inputs
        for dim, _ in zip(value.type.tensor_type.shape.dim, given.get(value.name, ()), strict=False)
    } - {""}
    firsts = {v.name: v.type.tensor_type.shape.dim[0] for v in inputs if _has_sizes(v)}
    opened = [
        dim
        for name, dim in firsts.items()
        if name not in given and dim.dim_value < 1 and dim.dim_param not in named
    ]
    if batch is not None and not opened:
        fixed = next((dim.dim_value for dim in firsts.values() if dim.dim_value > 0), None)
        if fixed not in (batch, None):
            raise OptionError(
                f"{source} fixes its batch at {fixed}, got {batch}: export it with a dynamic first "
                "size"
            )
    names = {dim.dim_param for dim in opened} - {""}
    for value in inputs:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_value = batch or 1
    for dim in opened:
        dim.dim_value = batch or 1


def _has_sizes(value: ValueInfoProto) -> bool:
    return len(value.type.tensor_type.shape.dim) > 0


def _rows(graph: GraphProto, inputs: Sequence[str]) -> dict[str, int]:
    """Input -> rows of the smallest table that its numbers pick from."""
    tables = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    behind = {name: name for name in inputs}  # what it was, in another form
    rows: dict[str, int] = {}
    for node in graph.node:
        source, made = next(iter(node.input), ""), node.output[:1]
        if node.op_type == "Constant":
            for attribute in node.attribute:
                tables |= dict.fromkeys(made, tuple(attribute.t.dims))
        elif node.op_type == "DequantizeLinear" and source in tables:
            tables |= dict.fromkeys(made, tables[source])
        elif node.op_type in _FORMS and source in behind:
            behind |= dict.fromkeys(made, behind[source])
        for indices, sizes, axis in _lookups(node.op_type, list(node.input), node, tables):
            if indices in behind and -len(sizes) <= axis < len(sizes):
                name = behind[indices]
                rows[name] = min(rows.get(name, sizes[axis]), sizes[axis])
    return {name: count for name, count in rows.items() if count > 0}


def _lookups(
    op: str, names: list[str], node: object, tables: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Names of indices, sizes of the constant that they pick from, and its axis."""
    if op == "Gather" and len(names) > 1 and names[0] in tables:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)  # type: ignore[attr-defined]
        yield names[1], tables[names[0]], axis
    if op == "EmbedLayerNormalization":  # words, then segments
        for indices, table in ((0, 2), (1, 4)):
            if len(names) > table and names[table] in tables:
                yield names[indices], tables[names[table]], 0


def _precision(proto: ModelProto) -> str:
    """What a graph says: int8 where it quantises, fp16 where its matrices are halves."""
    half = False
    for part in nodes_and_tensors(proto):
        if isinstance(part, TensorProto):
            half |= part.data_type == TensorProto.FLOAT16 and len(part.dims) > 1
        elif part.op_type in _QUANTISED or "Integer" in part.op_type or "QLinear" in part.op_type:
            return "int8"
    return "fp16" if half else "fp32"
