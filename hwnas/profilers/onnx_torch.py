"""ONNX models as torch functions, for devices that torch drives.

What `hwnas.onnx_graph` writes in fp32 and fp16 is read, and what others export of floats, as far as
a table of operators goes.
"""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import NodeProto, helper, numpy_helper
from torch import Tensor

from hwnas.errors import ModelRejectedError
from hwnas.profilers.onnxruntime_sessions import BELOW, made_up
from hwnas.profilers.torch_operators import DESCRIBED, OPERATORS
from hwnas.profilers.torch_windows import Run

__all__ = ["OnnxFunction", "as_module"]

_DOMAINS = ("", "ai.onnx")


class OnnxFunction:
    """An ONNX model, callable on torch tensors.

    Args:
        model: of floats, its input sizes fixed.
        device: where the weights go.
        channels_last: keep images and weights in memory with the channels innermost.

    Raises:
        ModelRejectedError: it has an operator that is not in the tables, such as those of int8, or
            one that is described by what is not constant.
    """

    def __init__(self, model: bytes, device: str, *, channels_last: bool = False):
        proto = onnx.load_from_string(model)
        graph = proto.graph
        known = OPERATORS.keys() | DESCRIBED.keys() | {"Constant", "ConstantOfShape"}
        unknown = {n.op_type for n in graph.node if n.op_type not in known}
        unknown |= {f"{n.domain}.{n.op_type}" for n in graph.node if n.domain not in _DOMAINS}
        if unknown:
            raise ModelRejectedError(
                f"the torch runtimes have no operator {', '.join(sorted(unknown))}; they run "
                "models of floats: use another runtime, on a GPU tensorrt, for int8"
            )
        self._device = device
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._said = {p.key: p.value for p in proto.metadata_props}
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self._inputs = [value for value in graph.input if value.name not in self._constants]
        self._outputs = [value.name for value in graph.output]
        self._steps: list[tuple[Run, list[str], list[str]]] = []
        for node in graph.node:
            self._read(node)
        read = {name for _, inputs, _ in self._steps for name in inputs} | set(self._outputs)
        self._values = {
            name: self._placed(torch.from_numpy(np.array(value)))
            for name, value in self._constants.items()
            if name in read
        }
        self._done = self._last_uses()

    def __call__(self, *given: Tensor) -> Any:
        """Run it on the inputs in their order; intermediate results go after their last use."""
        names = (value.name for value in self._inputs)
        values: dict[str, Any] = {**self._values, **dict(zip(names, given, strict=True))}
        for (run, inputs, outputs), done in zip(self._steps, self._done, strict=True):
            result = run(*(values[name] if name else None for name in inputs))
            if len(outputs) == 1:
                values[outputs[0]] = result
            else:
                values.update({name: result[at] for at, name in enumerate(outputs)})
            for name in done:
                del values[name]
        results = tuple(values[name] for name in self._outputs)
        return results[0] if len(results) == 1 else results

    def examples(self) -> tuple[Tensor, ...]:
        """Fixed random inputs."""
        rng, found = np.random.default_rng(0), []
        for value in self._inputs:
            place = value.type.tensor_type
            sizes = [dim.dim_value for dim in place.shape.dim]
            kind = helper.tensor_dtype_to_np_dtype(place.elem_type)
            array = made_up(sizes, kind, self._said.get(BELOW + value.name), rng)
            found.append(self._placed(torch.from_numpy(array)))
        return tuple(found)

    def _read(self, node: NodeProto) -> None:
        """Take in a node: a constant, or a step."""
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            self._constants[node.output[0]] = _constant(node, attributes)
        elif node.op_type == "ConstantOfShape":
            (shape,) = self._described(node, 0)
            value = (
                numpy_helper.to_array(attributes["value"])
                if attributes
                else np.zeros(1, np.float32)
            )
            self._constants[node.output[0]] = np.full(shape.tolist(), value.item(), value.dtype)
        elif node.op_type in DESCRIBED:
            attributes["outputs"] = len(node.output)
            run = DESCRIBED[node.op_type](attributes, *self._described(node, 1))
            self._steps.append((run, [node.input[0]], list(node.output)))
        else:
            run = OPERATORS[node.op_type](attributes)
            self._steps.append((run, list(node.input), list(node.output)))

    def _described(self, node: NodeProto, first: int) -> list[Any]:
        """The constants that a node is described by: its inputs from ``first`` on."""
        names = node.input[first:]
        if open_ones := [name for name in names if name and name not in self._constants]:
            raise ModelRejectedError(
                f"the torch runtimes need the sizes of a {node.op_type} before a run, and "
                f"{open_ones[0]} is computed by it: measure it with onnxruntime"
            )
        return [self._constants[name] if name else None for name in names]

    def _last_uses(self) -> list[list[str]]:
        """After each step, the names that nothing reads any more."""
        last_use: dict[str, int] = {}
        for at, (_, inputs, outputs) in enumerate(self._steps):
            last_use |= dict.fromkeys([*outputs, *inputs], at)
        kept = {*self._values, *self._outputs, ""}
        done: list[list[str]] = [[] for _ in self._steps]
        for name, at in last_use.items():
            if name not in kept:
                done[at].append(name)
        return done

    def _placed(self, value: Tensor) -> Tensor:
        value = value.to(self._device)
        return value.contiguous(memory_format=self._layout) if value.ndim == 4 else value


def as_module(function: OnnxFunction) -> Any:
    """The same, written out as a module that takes a tuple of the inputs and holds the weights.

    A compiler keeps what it made by a function's code, and here each model has code of its own.
    """
    count = len(function.examples())

    def called(inputs: Any) -> Any:
        return function(*(inputs[at] for at in range(count)))

    return torch.fx.symbolic_trace(called).eval()


def _constant(node: NodeProto, attributes: dict[str, Any]) -> Any:
    """What a Constant holds."""
    if "value" in attributes:
        return numpy_helper.to_array(attributes["value"])
    ((name, value),) = attributes.items()
    if name.startswith("sparse"):
        raise ModelRejectedError("the torch runtimes read no sparse constants")
    return np.asarray(value, np.float32 if "float" in name else np.int64)
