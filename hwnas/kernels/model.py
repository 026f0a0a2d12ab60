"""Reading an ONNX model of a stranger: what it may name, and what it may not.

A model can name files that its reader then opens, operators of plugins, and computations that run
when it is loaded. Weights may lie in its own folder and below; nothing else outside the model is
ever read.
"""

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from math import prod
from pathlib import Path

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from hwnas.errors import ModelFormatError
from hwnas.kernels.unreadable import what_it_is
from hwnas.reading import MIB, open_regular, read_bytes

__all__ = ["computes_when_loaded", "nodes_and_tensors", "read_model"]

#: Of a model, and of its weights in other files: VGG-16 takes 528.
_MOST_BYTES = 640 * MIB
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
#: Numbers of weights that optimising may copy or convert before that is done in bounds.
_MOST_CONSTANTS = 2**27
#: Nodes that a function may stand for.
_MOST_NODES = 1_000_000
#: Operators whose result is as large as their first input.
_CONVERSIONS = ("DequantizeLinear", "Identity", "QuantizeLinear")
#: Types of which several numbers share a byte, and the bits of one.
_PACKED_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
#: What an entry of external data says beside the file; both may be missing.
_PLACE = ("offset", "length")


def read_model(model: bytes | str | Path) -> ModelProto:
    """An ONNX model that names no file outside its folder, and no operators of plugins.

    Args:
        model: its bytes, which may name no other file at all, or its path.

    Returns:
        The model with all its weights in it.

    Raises:
        ModelFormatError: it cannot be read, or names what it may not.
    """
    source = "the model" if isinstance(model, bytes) else str(model)
    proto = _parsed(model, source)
    _check_functions(proto, source)
    parts = list(nodes_and_tensors(proto))
    outside = [t for t in parts if isinstance(t, TensorProto) and _is_external(t)]
    _take_in(outside, None if isinstance(model, bytes) else Path(model).parent, source)
    own = {function.domain for function in proto.functions}
    foreign = {
        f"{node.domain}.{node.op_type}"
        for node in parts
        if isinstance(node, NodeProto) and node.domain not in _DOMAINS and node.domain not in own
    }
    if foreign:
        raise ModelFormatError(
            f"{source} uses operators of its own ({', '.join(sorted(foreign))}); operators of ONNX "
            "and ONNX Runtime can be predicted: export it without custom operators"
        )
    return proto


def _parsed(model: bytes | str | Path, source: str) -> ModelProto:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        data = model if isinstance(model, bytes) else read_bytes(model, _MOST_BYTES)
    except OSError as error:
        raise ModelFormatError(
            f"no ONNX model at {source!r} ({error.strerror}): give the path of one"
        ) from None
    proto = ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        proto = ModelProto()
    if not proto.graph.node:
        raise ModelFormatError(f"{source} {what_it_is(data)}")
    return proto


def nodes_and_tensors(proto: ModelProto) -> Iterator[NodeProto | TensorProto]:
    """All of them, also those in branches, loops, functions and trainings, however deep."""
    trainings = chain.from_iterable((t.initialization, t.algorithm) for t in proto.training_info)
    return _parts(proto.graph, *proto.functions, *trainings)


def _parts(*roots: GraphProto | FunctionProto) -> Iterator[NodeProto | TensorProto]:
    waiting = list(roots)
    while waiting:
        part = waiting.pop()
        attributes = []
        if isinstance(part, GraphProto):
            yield from part.initializer
            for sparse in part.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        else:
            attributes.extend(part.attribute_proto)
        for node in part.node:
            yield node
            attributes.extend(node.attribute)
        for attribute in attributes:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                waiting.append(attribute.g)
            waiting += attribute.graphs
            if attribute.HasField("sparse_tensor"):
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
            for sparse in attribute.sparse_tensors:
                yield from (sparse.values, sparse.indices)


def _check_functions(proto: ModelProto, source: str) -> None:
    """Refuse functions that call each other without end, or nearly so.

    Raises:
        ModelFormatError: they do.
    """
    known = {(f.domain, f.name): f for f in proto.functions}
    calls = {
        key: Counter(
            (node.domain, node.op_type) for node in _parts(function) if isinstance(node, NodeProto)
        )
        for key, function in known.items()
    }
    within = {key: [name for name in called if name in known] for key, called in calls.items()}
    sizes: dict[tuple[str, str], int] = {}
    try:
        for key in TopologicalSorter(within).static_order():
            sizes[key] = sum(count * sizes.get(name, 1) for name, count in calls[key].items())
            if sizes[key] > _MOST_NODES:
                raise CycleError
    except CycleError:
        raise ModelFormatError(
            f"{source} has functions that call each other without end, or more than "
            f"{_MOST_NODES:,} times: export it without functions"
        ) from None


def _is_external(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL or bool(tensor.external_data)


def _take_in(tensors: list[TensorProto], folder: Path | None, source: str) -> None:
    """Read the values of tensors that lie in other files, where they may lie there.

    Raises:
        ModelFormatError: the files are not in the folder, or do not hold what they should.
    """
    total = 0
    for tensor in tensors:
        said = {entry.key: entry.value for entry in tensor.external_data}
        location = said.get("location", "")
        if folder is None:
            raise ModelFormatError(
                f"{source} keeps weights in other files ({location!r}), and one whole file is "
                "needed: save it with onnx.save(onnx.load(PATH), PATH, save_as_external_data=False)"
            )
        size = _bytes_of(tensor)
        total += size
        try:
            if total > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES / MIB:.0f} MiB")
            offset, length = (int(said.get(key) or size * at) for at, key in enumerate(_PLACE))
            if length != size or offset < 0:
                raise ValueError(f"{length} bytes at {offset}, where {size} are needed")
            with open_regular(_inside(folder, location)) as file:
                file.seek(offset)
                values = file.read(size)
            if len(values) != size:
                raise ValueError(f"{len(values)} bytes, where {size} are needed")
        except (ValueError, OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ModelFormatError(
                f"{source} keeps weights in another file, {location!r}, which cannot be used "
                f"({reason}): they must lie in the model's own folder or below"
            ) from None
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = values


def _inside(folder: Path, location: str) -> Path:
    """The file of a location, links followed; in the folder or below."""
    home = folder.resolve()
    path = (home / location).resolve()
    if not location or not path.is_relative_to(home):
        raise ValueError("it lies outside the model's folder")
    return path


def _bytes_of(tensor: TensorProto) -> int:
    """What the values of a tensor take.

    Raises:
        ModelFormatError: its type or sizes are none.
    """
    try:
        itemsize = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        kind = TensorProto.DataType.Name(tensor.data_type)
    except (KeyError, TypeError, ValueError):
        raise ModelFormatError(f"tensor {tensor.name!r} has no type of ONNX") from None
    if any(size < 0 for size in tensor.dims):
        raise ModelFormatError(f"tensor {tensor.name!r} has sizes below 0")
    bits: int = prod(tensor.dims) * _PACKED_BITS.get(kind, 8 * itemsize)
    return -(-bits // 8)


def computes_when_loaded(proto: ModelProto) -> bool:
    """Whether loading the model may take more than reading it: what is constant is computed then.

    Branches, loops and functions may; so may a node whose inputs are all constant, and weights that
    many nodes share, which are changed for each of them. True where it cannot be told.
    """
    graph = proto.graph
    if proto.functions or proto.training_info or graph.sparse_initializer:
        return True
    sizes = {tensor.name: abs(prod(tensor.dims)) for tensor in graph.initializer}
    seen = {value.name for value in graph.input} | sizes.keys()
    total = 0
    for node in graph.node:
        inputs = [name for name in node.input if name]
        constant = [sizes[name] for name in inputs if name in sizes]
        total += sum(constant)
        if total > _MOST_CONSTANTS or not seen.issuperset(inputs) or _holds_more(node):
            return True
        if node.op_type == "Constant":
            size = sum(abs(prod(attribute.t.dims)) for attribute in node.attribute)
            sizes |= dict.fromkeys(node.output, size)
        elif node.op_type in ("Shape", "Size"):  # known before a run, if those of its input are
            sizes |= dict.fromkeys(node.output, 0)
        elif len(constant) == len(inputs):
            if node.op_type not in _CONVERSIONS or not inputs:
                return True
            sizes |= dict.fromkeys(node.output, constant[0])
        seen.update(node.output)
    return False


def _holds_more(node: NodeProto) -> bool:
    """Whether a node holds graphs, or tensors that are larger than they are written."""
    return any(
        attribute.HasField("g")
        or attribute.graphs
        or attribute.HasField("sparse_tensor")
        or attribute.sparse_tensors
        for attribute in node.attribute
    )
