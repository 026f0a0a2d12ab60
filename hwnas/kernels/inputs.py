"""Sizes of a model's inputs: those it states, those that are given, and which to ask for."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from onnx import ModelProto, ValueInfoProto

from hwnas.errors import ModelFormatError, OptionError
from hwnas.kernels.input_notes import ALIKE, BELOW

__all__ = ["ALIKE", "BELOW", "fix_shapes", "model_inputs", "one_image"]

#: What is suggested for a size, by words in the name that the model gives it.
_BY_NAME = (
    (("seq", "len", "token", "time"), 128),
    (("batch",), 1),
    (("height", "width"), 224),
    (("channel",), 3),
)
#: And by its place, for each number of dimensions.
_BY_PLACE = {
    1: (1,),
    2: (1, 128),
    3: (1, 128, 64),
    4: (1, 3, 224, 224),
    5: (1, 3, 16, 112, 112),
}
#: An image whose last size is one of these keeps its channels there.
_CHANNELS, _CHANNELS_LAST = (1, 3, 4), (1, 224, 224, 3)


def model_inputs(proto: ModelProto) -> dict[str, ValueInfoProto]:
    """Name -> what is said of it, of the inputs that no initializer gives."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    return {value.name: value for value in proto.graph.input if value.name not in constants}


def one_image(proto: ModelProto, given: Mapping[str, Sequence[int]]) -> Mapping[str, Sequence[int]]:
    """The given sizes, and 1 for a first size of several that is not said."""
    found: dict[str, Sequence[int]] = dict(given)
    inputs = model_inputs(proto)
    for name, value in inputs.items():
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        named = name in given or ("" in given and len(inputs) == 1)
        if len(dims) > 1 and dims[0] < 1 <= min(dims[1:]) and not named:
            found[name] = (1, *dims[1:])
    return found


def fix_shapes(proto: ModelProto, given: Mapping[str, Sequence[int]], source: str) -> None:
    """Write sizes into a model's inputs, in place.

    A size that has a name is the same wherever the model uses the name, so that it is asked for
    once. Scalars have no sizes. Weights that are listed as inputs too need none.

    Args:
        proto: the model.
        given: input name -> its sizes; an empty name is the model's only input.
        source: names the model in errors.

    Raises:
        ModelFormatError: sizes are open; all inputs that have such are named at once.
        OptionError: an input is not there, or its stated sizes contradict the given ones.
    """
    shapes = dict(given)
    inputs = model_inputs(proto)
    if "" in shapes and len(inputs) == 1:
        shapes[next(iter(inputs))] = shapes.pop("")
    if unknown := sorted(shapes.keys() - inputs.keys()):
        raise OptionError(
            f"{source} has no input {unknown[0]!r}: its inputs are {', '.join(inputs)}; "
            "give shapes by these names"
        )
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        sizes |= _named(inputs[name], list(shape))
    for value in inputs.values():
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
    if still := [value for value in inputs.values() if _is_open(value)]:
        asked = dict(_suggested(still))
        flags = [
            f"--shape {shlex.quote(name + '=' + 'x'.join(map(str, shape)))}"
            for name, shape in asked.items()
        ]
        stated = ", ".join(f"{value.name!r} is {_printed(_sizes(value))}" for value in still)
        raise ModelFormatError(
            f"{source} has dynamic shapes: input {stated}, and latency needs all sizes; "
            f"give them, such as {' '.join(flags)}, or predict_onnx(..., shapes={asked})"
        )


def _named(value: ValueInfoProto, wanted: list[int]) -> dict[str, int]:
    """Write sizes into one input, and return those that have names."""
    stated = _sizes(value)
    if stated is None:
        if min(wanted, default=1) > 0:
            value.type.tensor_type.shape.Clear()
            for size in wanted:
                value.type.tensor_type.shape.dim.add(dim_value=size)
        return {}
    clash = len(wanted) != len(stated) or any(
        size not in (0, new) for size, new in zip(stated, wanted, strict=True)
    )
    if clash:
        raise OptionError(f"input {value.name!r} is {_printed(stated)}, which {wanted} contradicts")
    found: dict[str, int] = {}
    for dim, size in zip(value.type.tensor_type.shape.dim, wanted, strict=True):
        if size > 0:
            if dim.dim_param:
                found[dim.dim_param] = size
            dim.dim_value = size
    return found


def _is_open(value: ValueInfoProto) -> bool:
    """Whether sizes are missing.

    Raises:
        ModelFormatError: it is a sequence or a map, which have none.
    """
    if value.type.WhichOneof("value") not in ("tensor_type", None):
        raise ModelFormatError(
            f"input {value.name!r} is no tensor but a {value.type.WhichOneof('value')}: export "
            "the model with tensors as inputs"
        )
    sizes = _sizes(value)
    return sizes is None or 0 in sizes


def _sizes(value: ValueInfoProto) -> list[int] | None:
    """What an input states, 0 where a size is open; None where it does not say how many."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [max(dim.dim_value, 0) for dim in tensor.shape.dim]


def _printed(sizes: Sequence[int] | None) -> str:
    if sizes is None:
        return "of unknown rank"
    return "x".join(str(size or "?") for size in sizes) or "a scalar"


def _suggested(values: Sequence[ValueInfoProto]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Sizes that such inputs often have; those that are stated stay."""
    for value in values:
        stated = _sizes(value)
        usual: Sequence[int] = _BY_PLACE[4]
        if stated is not None:
            usual = _BY_PLACE.get(len(stated), [1] * len(stated))
            if len(stated) == 4 and stated[3] in _CHANNELS and stated[1] not in _CHANNELS:
                usual = _CHANNELS_LAST
        dims = value.type.tensor_type.shape.dim
        names = [dim.dim_param.lower() for dim in dims] or [""] * len(usual)
        sizes = stated or [0] * len(usual)
        yield (
            value.name,
            tuple(
                size or _by_name(name, place)
                for size, name, place in zip(sizes, names, usual, strict=True)
            ),
        )


def _by_name(name: str, otherwise: int) -> int:
    return next((size for words, size in _BY_NAME if any(w in name for w in words)), otherwise)
