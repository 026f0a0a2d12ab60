"""Memory of any ONNX model: its weights, and the most that lives beside them while it runs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from onnx import ModelProto, helper

from hwnas.costs import Step, peak_live
from hwnas.errors import ModelFormatError
from hwnas.kernels.model import read_model
from hwnas.kernels.optimise import Values, optimise
from hwnas.kernels.runnable import runnable

__all__ = ["model_memory"]

#: Operators that write over their first input where nobody reads it later, or hand it on as it is.
_IN_PLACE = {
    *("Add", "Clip", "Elu", "Erf", "Flatten", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu"),
    *("Mul", "QuickGelu", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Sub", "Tanh"),
    "Unsqueeze",
}


def model_memory(
    model: bytes | str | Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> tuple[int, int]:
    """Bytes of a model's weights, and of what lives at most beside them while it runs.

    By the graph that ONNX Runtime makes of it on this machine. What kernels need for themselves
    while they run is not in it.

    Args:
        model: an ONNX model, or the path of one.
        shapes: input name -> its sizes, for inputs whose sizes are open.

    Raises:
        ModelFormatError: it cannot be read, or sizes are not known before it runs.
        OptionError: ``shapes`` contradict it.
    """
    source = "the model" if isinstance(model, bytes) else str(model)
    proto = read_model(runnable(model, shapes).data)
    weights = live = 0
    for graph, values in optimise(proto, source):
        held, peak = _memory(graph, values, source)
        weights, live = weights + held, max(live, peak)
    return weights, live


def _memory(model: ModelProto, values: Values, source: str) -> tuple[int, int]:
    graph = model.graph
    weights = sum(
        math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        for tensor in graph.initializer
    )
    constant = {tensor.name for tensor in graph.initializer}
    sizes = {name: _bytes_of(shape, dtype) for name, shape, dtype in values}
    known: dict[str, int] = {}  # value -> the step that makes it
    steps: list[Step] = []

    def add(name: str, inputs: tuple[int, ...] = (), in_place: bool = False) -> None:
        size = sizes.get(name)
        if size is None:
            raise ModelFormatError(
                f"{source}: the size of {name!r} is not known before a run, and so its memory is "
                "not known"
            )
        known[name] = len(steps)
        steps.append(Step(size, inputs, in_place))

    for value in graph.input:
        if value.name not in constant:
            add(value.name)
    held = range(len(steps))
    for node in graph.node:
        read = tuple(known[name] for name in node.input if name in known)
        for at, name in enumerate(filter(None, node.output)):
            add(name, read, at == 0 and node.op_type in _IN_PLACE)
    return weights, peak_live(steps, held)


def _bytes_of(shape: list[int] | None, dtype: str) -> int | None:
    if shape is None:
        return None
    kinds = {"float": 4, "double": 8, "float16": 2, "bfloat16": 2, "bool": 1}
    digits = "".join(c for c in dtype if c.isdigit())
    return math.prod(shape) * kinds.get(dtype, int(digits) // 8 if digits else 4)
