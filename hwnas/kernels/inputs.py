"""Sizes of a model's inputs: those that it states, and those that a person gives."""

from collections.abc import Mapping, Sequence

from onnx import ModelProto, ValueInfoProto

from hwnas.errors import ModelFormatError, OptionError

__all__ = ["fix_shapes", "model_inputs"]


def model_inputs(proto: ModelProto) -> dict[str, ValueInfoProto]:
    """Name -> what is said of it, of the inputs that no initializer gives."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    return {value.name: value for value in proto.graph.input if value.name not in constants}


def fix_shapes(proto: ModelProto, given: Mapping[str, Sequence[int]], source: str) -> None:
    """Write the given sizes into the model's inputs; complain about those still unknown.

    Args:
        proto: is changed.
        given: input name -> its sizes; an empty name is the model's only input.
        source: names the model in errors.

    Raises:
        ModelFormatError: sizes are not known.
        OptionError: ``given`` names an input that is not there, or contradicts its fixed sizes.
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
