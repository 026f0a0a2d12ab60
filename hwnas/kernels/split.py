"""Any ONNX model as the kernels that ONNX Runtime makes of it."""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels.cuts import LONG, parts
from hwnas.kernels.kernel import Kernel, Operand
from hwnas.progress import Progress, silent

__all__ = ["Piece", "split"]

#: Attributes that decide how long a kernel takes; shapes tell the others.
_TELLING = {
    *("activation", "auto_pad", "axis", "channels_last", "dilations", "group", "is_test"),
    *("keepdims", "kernel_shape", "mode", "perm", "strides"),
    *("transA", "transB", "transBatchA", "transBatchB"),
}
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
_NCHWC = "com.microsoft.nchwc"
#: Constants of more numbers than this are weights.
_SMALL = 1024
_READING = "reading the model"


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
        """A model of this node alone; its inputs and outputs are those that are not constant."""
        known = {tensor.name for tensor in self.constants}
        inputs = [name for name in self.node.input if name]
        values = dict(zip(inputs, self.kernel.inputs, strict=True))
        values |= dict(zip(filter(None, self.node.output), self.kernel.outputs, strict=True))

        def info(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, values[name].shape)

        graph = helper.make_graph(
            [self.node],
            "kernel",
            [info(name) for name in dict.fromkeys(inputs) if name not in known],
            [info(name) for name in self.node.output if name],
            [_filled(tensor) for tensor in self.constants],
        )
        model = helper.make_model(graph, opset_imports=self.opsets, ir_version=8)
        data: bytes = model.SerializeToString()
        return data


def split(
    model: bytes | str | Path,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Progress = silent,
) -> list[Piece]:
    """The kernels that ONNX Runtime runs for a model on this machine, in their order.

    ONNX Runtime optimises the model for its CPU provider and saves the graph it would run, fused
    and laid out for this processor. Nothing else reads or runs the model, and it is not run.

    Args:
        model: an ONNX model, or the path of one.
        shapes: input name -> its sizes, for inputs whose shapes are dynamic; an empty name is the
            model's only input.
        progress: told after each part of a model of very many nodes.

    Raises:
        ModelFormatError: the model cannot be read, keeps weights in other files, uses operators of
            its own, or has inputs of unknown shape.
        OptionError: ``shapes`` names an input that is not there, or contradicts its fixed sizes.
    """
    source = "the model" if isinstance(model, bytes) else str(model)
    proto = _parsed(model, source)
    _refuse(proto, source)
    _fix_shapes(proto, shapes or {}, source)
    pieces = []
    for optimised in _optimised(proto, source, progress):
        values = _values(optimised, source)
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
            pieces.append(Piece(kernel, alone, held, opsets))
    return pieces


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
        filled.raw_data = bytes(4 * math.prod(bare.dims))
    return filled


def _is_large(tensor: TensorProto) -> bool:
    return tensor.data_type == TensorProto.FLOAT and math.prod(tensor.dims) > _SMALL


def _parsed(model: bytes | str | Path, source: str) -> ModelProto:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        data = model if isinstance(model, bytes) else Path(model).read_bytes()
    except OSError as error:
        raise ModelFormatError(
            f"no ONNX model at {source!r} ({error.strerror}): give the path of one"
        ) from None
    try:
        proto = onnx.load_from_string(data)
    except DecodeError:
        proto = ModelProto()
    if not proto.graph.node:
        raise ModelFormatError(
            f"{source} is not an ONNX model with at least one node: export the network to ONNX"
        )
    return proto


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its control flow."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _refuse(proto: ModelProto, source: str) -> None:
    """Complain about what would make ONNX Runtime read other files or code."""
    graphs = list(_graphs(proto.graph))
    held = [tensor for graph in graphs for tensor in graph.initializer]
    for graph in graphs:
        for node in graph.node:
            for attribute in node.attribute:
                held += [attribute.t, *attribute.tensors]
    for function in proto.functions:
        for node in function.node:
            held += [attribute.t for attribute in node.attribute]
    if any(t.data_location == TensorProto.EXTERNAL or t.external_data for t in held):
        raise ModelFormatError(
            f"{source} keeps weights in other files, and one whole file is needed: save it with "
            "onnx.save(onnx.load(PATH), PATH, save_as_external_data=False)"
        )
    own = {function.domain for function in proto.functions}
    foreign = sorted(
        {
            f"{node.domain}.{node.op_type}"
            for graph in graphs
            for node in graph.node
            if node.domain not in (*_DOMAINS, *own)
        }
    )
    if foreign:
        raise ModelFormatError(
            f"{source} uses operators of its own ({', '.join(foreign)}); operators of ONNX and "
            "ONNX Runtime can be predicted: export it without custom operators"
        )


def _fix_shapes(proto: ModelProto, given: Mapping[str, Sequence[int]], source: str) -> None:
    """Write the given sizes into the model's inputs; complain about those still unknown."""
    shapes = dict(given)
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = {value.name: value for value in proto.graph.input if value.name not in constants}
    if "" in shapes and len(inputs) == 1:
        shapes[next(iter(inputs))] = shapes.pop("")
    if unknown := sorted(shapes.keys() - inputs.keys()):
        raise OptionError(
            f"{source} has no input {unknown[0]!r}: its inputs are {', '.join(inputs)}; "
            "give shapes by these names"
        )
    for name, value in inputs.items():
        dims = value.type.tensor_type.shape.dim
        stated = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims]
        wanted = list(shapes.get(name, stated))
        clash = len(wanted) != len(stated) or any(
            size not in (0, new) for size, new in zip(stated, wanted, strict=True)
        )
        printed = "x".join(str(size or "?") for size in stated) or "?"
        if stated and clash:
            raise OptionError(f"input {name!r} is {printed}, which {wanted} contradicts")
        if not stated or min(wanted) < 1:
            raise ModelFormatError(
                f"{source} has a dynamic shape: input {name!r} is {printed}, and latency needs all "
                f"sizes; give them: --shape {name}=1x3x224x224, or "
                f"predict_onnx(..., shapes={{{name!r}: (1, 3, 224, 224)}})"
            )
        for dim, size in zip(dims, wanted, strict=True):
            dim.dim_value = size


def _session(model: bytes, source: str, level: str, save: Path | None = None) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_prepacking", "1")  # it is never run
    if save is not None:
        options.optimized_model_filepath = str(save)
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class but this one
        reason = " ".join(str(error).split())[:300]
        raise ModelFormatError(
            f"ONNX Runtime {ort.__version__} cannot load {source}: {reason}; "
            "check it with onnx.checker.check_model"
        ) from None


def _optimised(proto: ModelProto, source: str, progress: Progress) -> Iterator[ModelProto]:
    """The graph that ONNX Runtime would run; a long one in parts, one after the other."""
    if len(proto.graph.node) <= LONG:
        yield _loaded(proto.SerializeToString(), source, "ORT_ENABLE_ALL")[0]
        return
    # what is constant is folded first, in one piece: shapes may be computed across any cut
    progress(_READING, 0.0, "")
    folded, session = _loaded(proto.SerializeToString(), source, "ORT_ENABLE_BASIC")
    values = {value.name: value for value in folded.graph.input}
    done, count = 0, len(folded.graph.node)
    for part in parts(folded, values):
        done += len(part.graph.node)
        optimised, session = _loaded(part.SerializeToString(), source, "ORT_ENABLE_ALL")
        values |= {value.name: _info(value) for value in session.get_outputs()}
        yield optimised
        progress(_READING, done / count, "")


def _loaded(model: bytes, source: str, level: str) -> tuple[ModelProto, Any]:
    """A model as ONNX Runtime optimises it, and the session of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        session = _session(model, source, level, path)
        return onnx.load(path), session


def _info(value: Any) -> onnx.ValueInfoProto:
    """A session's output as a model's input; sizes that are not known stay so."""
    sizes = [size if isinstance(size, int) and size > 0 else None for size in value.shape or ()]
    dtype = TensorProto.DataType.Value(_onnx_dtype(value.type))
    return helper.make_tensor_value_info(value.name, dtype, sizes if value.shape else None)


def _onnx_dtype(text: str) -> str:
    """``tensor(float)`` -> ``FLOAT``."""
    return text.removeprefix("tensor(").removesuffix(")").upper()


def _values(optimised: ModelProto, source: str) -> dict[str, Operand]:
    """Shape and type of every tensor, as ONNX Runtime infers them for its own operators."""
    values = {
        tensor.name: Operand(tuple(tensor.dims) or (1,), _dtype(tensor.data_type), constant=True)
        for tensor in optimised.graph.initializer
    }
    every = ModelProto(ir_version=optimised.ir_version, opset_import=optimised.opset_import)
    for part in ("node", "input", "output"):
        getattr(every.graph, part).extend(getattr(optimised.graph, part))
    every.graph.name = "shapes"
    for tensor in optimised.graph.initializer:  # megabytes of weights say nothing about shapes
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            info = helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims)
            every.graph.input.append(info)
        else:
            every.graph.initializer.append(tensor)
    seen = {value.name for value in every.graph.output}
    for node in every.graph.node:
        for name in node.output:
            if name and name not in seen:
                every.graph.output.append(onnx.ValueInfoProto(name=name))
                seen.add(name)
    session = _session(every.SerializeToString(), source, "ORT_DISABLE_ALL")
    for value in (*session.get_inputs(), *session.get_outputs()):
        sizes = value.shape
        fixed = sizes is not None and all(isinstance(size, int) and size > 0 for size in sizes)
        dtype = value.type.removeprefix("tensor(").removesuffix(")")
        values.setdefault(value.name, Operand(tuple(sizes) or (1,) if fixed else None, dtype))
    return values


def _dtype(number: int) -> str:
    name: str = TensorProto.DataType.Name(number).lower()
    return name


def _name(node: NodeProto) -> str:
    return f"nchwc.{node.op_type}" if node.domain == _NCHWC else node.op_type


def _attributes(node: NodeProto) -> tuple[tuple[str, str], ...]:
    found = []
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name not in _TELLING or value in (b"NOTSET", b""):
            continue
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        text = "x".join(map(str, value)) if isinstance(value, list) else str(value)
        found.append((attribute.name, "".join(c for c in text if c.isalnum() or c in "._-")))
    return tuple(sorted(found))
