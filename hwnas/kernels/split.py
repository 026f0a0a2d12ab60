"""Any ONNX model as the kernels that ONNX Runtime makes of it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from hwnas.kernels.cuts import value_info
from hwnas.kernels.inputs import ALIKE, BELOW, fix_shapes, one_image
from hwnas.kernels.kernel import Kernel, Operand
from hwnas.kernels.model import read_model
from hwnas.kernels.optimise import FOLDED, WHOLE, Values, optimise
from hwnas.progress import Progress, silent

__all__ = ["Piece", "count_model_macs", "exported_kernels", "split"]

#: Attributes that decide how long a kernel takes; shapes tell the others.
_TELLING = {
    *("activation", "auto_pad", "axes", "axis", "channels_last", "dilations", "direction"),
    "equation",
    *("group", "is_test", "keepdims", "kernel_shape", "mode", "num_heads", "perm", "strides"),
    *("transA", "transB", "transBatchA", "transBatchB"),
}
_MICROSOFT, _NCHWC = "com.microsoft", "com.microsoft.nchwc"
#: Constants of more numbers than this are weights.
_SMALL = 1024
#: Numbers of one sign in a row, where a kernel branches at signs. It takes ten times as long where
#: each sign is random as where all are alike, and about the mean of both, in logarithms, so.
_ALIKE = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One node of an optimised graph: a kernel that can be run alone.

    ``constants`` are whole where they are small (axes, limits); large weights are only a name and a
    shape, and zero when the kernel runs alone. Latency does not depend on them, and hundreds of
    pieces would fill the memory.
    """

    kernel: Kernel
    node: NodeProto
    constants: tuple[TensorProto, ...]
    opsets: tuple[onnx.OperatorSetIdProto, ...]

    def to_onnx(self) -> bytes:
        """A model of this node alone; its inputs and outputs are those that are not constant.

        Its metadata say what an input of positions lies below, see `BELOW`, and where signs decide
        how long it takes, how they are strewn, see `ALIKE`.
        """
        known = {tensor.name for tensor in self.constants}
        inputs = [name for name in self.node.input if name]
        values = dict(zip(inputs, self.kernel.inputs, strict=True))
        values |= dict(zip(filter(None, self.node.output), self.kernel.outputs, strict=True))

        def info(name: str) -> onnx.ValueInfoProto:
            return value_info(name, values[name].shape, values[name].dtype)

        graph = helper.make_graph(
            [self.node],
            "kernel",
            [info(name) for name in dict.fromkeys(inputs) if name not in known],
            [info(name) for name in self.node.output if name],
            [_filled(tensor) for tensor in self.constants],
        )
        model = helper.make_model(graph, opset_imports=self.opsets, ir_version=8)
        for at, below in self.kernel.positions.items():
            if inputs[at] not in known:
                model.metadata_props.add(key=BELOW + inputs[at], value=str(below))
        if self.kernel.branches and inputs[0] not in known:
            model.metadata_props.add(key=ALIKE + inputs[0], value=str(_ALIKE))
        data: bytes = model.SerializeToString()
        return data


def split(
    model: bytes | str | Path,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Progress = silent,
) -> list[Piece]:
    """The kernels that ONNX Runtime runs for a model on this machine, in their order.

    ONNX Runtime optimises the model for its CPU provider and saves the graph it would run, fused
    and laid out for this processor. The model is not run; what is constant in it is computed, in
    a process of its own with limits where that may take long.

    Args:
        model: an ONNX model, or the path of one.
        shapes: input name -> its sizes, for inputs whose shapes are dynamic; an empty name is the
            model's only input.
        progress: told after each part of a model of very many nodes.

    Raises:
        ModelFormatError: the model cannot be read, keeps weights outside its own folder, uses
            operators of its own, has inputs of unknown shape, or takes too long to optimise.
        OptionError: ``shapes`` names an input that is not there, or contradicts its fixed sizes.
    """
    return list(_pieces(*_read(model, shapes), WHOLE, progress))


def count_model_macs(
    model: bytes | str | Path,
    shapes: Mapping[str, Sequence[int]] | None = None,
    *,
    of_one_image: bool = False,
) -> int:
    """Multiply-accumulates of a model as it was exported: at a run's batch size, branches apart.

    Only constants are folded before. What a layout adds for this processor, such as channels that
    fill a vector, is not in it, so that it is one number on all machines.

    Args:
        model, shapes: as `split`; raises as it does.
        of_one_image: where an input leaves nothing but its first size open.
    """
    return sum(kernel.macs for kernel in _exported(*_read(model, shapes, of_one_image)))


def exported_kernels(
    model: bytes | str | Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> list[Kernel]:
    """The nodes of a model as it was exported, of which `count_model_macs` is the sum.

    Args:
        model, shapes: as `split`; raises as it does.
    """
    return _exported(*_read(model, shapes))


def _exported(proto: ModelProto, source: str) -> list[Kernel]:
    return [piece.kernel for piece in _pieces(proto, source, FOLDED, silent)]


def _read(
    model: bytes | str | Path,
    shapes: Mapping[str, Sequence[int]] | None,
    of_one_image: bool = False,
) -> tuple[ModelProto, str]:
    source = "the model" if isinstance(model, bytes) else str(model)
    proto = read_model(model)
    given = shapes or {}
    fix_shapes(proto, one_image(proto, given) if of_one_image else given, source)
    return proto, source


def _pieces(proto: ModelProto, source: str, level: str, progress: Progress) -> Iterator[Piece]:
    for optimised, inferred in optimise(proto, source, progress, level):
        values = _values(optimised, inferred)
        constants = {tensor.name: _bare(tensor) for tensor in optimised.graph.initializer}
        opsets = tuple(helper.make_opsetid(o.domain, o.version) for o in optimised.opset_import)
        for node in optimised.graph.node:
            kernel = Kernel(
                _name(node),
                _attributes(node),
                tuple(values[name] for name in node.input if name),
                tuple(values[name] for name in node.output if name),
            )
            held = tuple(constants[name] for name in dict.fromkeys(node.input) if name in constants)
            alone = NodeProto()
            alone.CopyFrom(node)
            yield Piece(kernel, alone, held, opsets)


def _bare(tensor: TensorProto) -> TensorProto:
    """A copy that holds no large weights, nor keeps the model in memory."""
    bare = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    if not _is_large(tensor):
        bare.CopyFrom(tensor)
    return bare


def _filled(bare: TensorProto) -> TensorProto:
    """A constant that can be run: large weights are zeros."""
    filled = TensorProto()
    filled.CopyFrom(bare)
    if _is_large(bare):
        size = helper.tensor_dtype_to_np_dtype(bare.data_type).itemsize
        filled.raw_data = bytes(size * math.prod(bare.dims))
    return filled


def _is_large(tensor: TensorProto) -> bool:
    return tensor.data_type != TensorProto.STRING and math.prod(tensor.dims) > _SMALL


def _values(optimised: ModelProto, inferred: Values) -> dict[str, Operand]:
    """Shape and type of every tensor, as ONNX Runtime infers them for its own operators."""
    values = {
        tensor.name: Operand(tuple(tensor.dims), _dtype(tensor.data_type), constant=True)
        for tensor in optimised.graph.initializer
    }
    for name, shape, dtype in inferred:
        values.setdefault(name, Operand(None if shape is None else tuple(shape), dtype))
    return values


def _dtype(number: int) -> str:
    name: str = TensorProto.DataType.Name(number).lower()
    return name


def _name(node: NodeProto) -> str:
    if node.domain == _NCHWC:
        return f"nchwc.{node.op_type}"
    both = node.domain == _MICROSOFT and node.op_type == "Attention"  # ONNX's is another operator
    return f"{_MICROSOFT}.{node.op_type}" if both else node.op_type


def _attributes(node: NodeProto) -> tuple[tuple[str, str], ...]:
    found = []
    for attribute in node.attribute:
        if attribute.name not in _TELLING or attribute.ref_attr_name:
            continue
        value = helper.get_attribute_value(attribute)
        if value in (b"NOTSET", b""):
            continue
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        text = "x".join(map(str, value)) if isinstance(value, list) else str(value)
        text = text.replace(",", "_")  # of an equation: bij,bjk->bik
        found.append((attribute.name, "".join(c for c in text if c.isalnum() or c in "._-")))
    return tuple(sorted(found))
