"""The project's own ONNX models as torch functions, for devices that torch drives.

Only what `hwnas.onnx_graph` writes in fp32 and fp16 is read: a small table of operators.
"""

from collections.abc import Callable, Mapping
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional as F

from hwnas.errors import ModelRejectedError

__all__ = ["OnnxFunction"]

_Attributes = Mapping[str, Any]
_Run = Callable[..., Tensor]


def _conv(a: _Attributes) -> _Run:
    stride, pad, groups = a["strides"], a["pads"][:2], a["group"]
    dilation = a.get("dilations", 1)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, weight, bias, stride, pad, dilation, groups)

    return run


def _gemm(a: _Attributes) -> _Run:
    assert a["transB"] == 1, "the writer transposes the weight of every linear layer"
    return F.linear


def _average_pool(a: _Attributes) -> _Run:
    size, stride, pad = a["kernel_shape"], a["strides"], a["pads"][:2]
    return lambda x: F.avg_pool2d(x, size, stride, pad, count_include_pad=False)


def _max_pool(a: _Attributes) -> _Run:
    size, stride, pad = a["kernel_shape"], a["strides"], a["pads"][:2]
    return lambda x: F.max_pool2d(x, size, stride, pad)


def _concat(a: _Attributes) -> _Run:
    return lambda *parts: torch.cat(parts, a["axis"])


def _slice(starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> _Run:
    bounds = zip(starts, ends, steps, strict=True)
    taken = dict(zip(axes, (slice(*bound) for bound in bounds), strict=True))
    index = tuple(taken.get(axis, slice(None)) for axis in range(max(axes) + 1))
    return lambda x: x[index]


def _zeros(a: _Attributes) -> _Run:
    value = numpy_helper.to_array(a["value"]).item()
    kind = torch.float16 if a["value"].data_type == onnx.TensorProto.FLOAT16 else torch.float32
    # sizes are known when the graph is made; a GPU must not be asked for them in each run
    return lambda shape: torch.full(shape, value, dtype=kind)


#: ONNX operator -> from its attributes, the torch function of its inputs.
_OPERATORS: dict[str, Callable[[_Attributes], _Run]] = {
    "Add": lambda a: torch.add,
    "AveragePool": _average_pool,
    "Clip": lambda a: torch.clamp,
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": lambda a: lambda x: x.flatten(a["axis"]),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda a: lambda x: x.mean((2, 3), keepdim=True),
    "Identity": lambda a: lambda x: x,
    "MaxPool": _max_pool,
    "Mul": lambda a: torch.mul,
    "Relu": lambda a: F.relu,
}
#: Operators that constants describe, which are read when the function is made.
_BY_CONSTANTS = {"ConstantOfShape", "Slice"}


class OnnxFunction:
    """An ONNX model of this project, callable on a torch tensor.

    Attributes:
        input_shape: (batch, channels, height, width).
        dtype: of the input, float32 or float16.

    Args:
        model: what `hwnas.onnx_graph.to_onnx` wrote, in fp32 or fp16.
        device: where the weights go.
        channels_last: keep images and weights in memory with the channels innermost.

    Raises:
        ModelRejectedError: it has an operator that is not in the table, such as those of int8.
    """

    def __init__(self, model: bytes, device: str, *, channels_last: bool = False):
        graph = onnx.load_from_string(model).graph
        unknown = {n.op_type for n in graph.node} - _OPERATORS.keys() - _BY_CONSTANTS
        if unknown:
            raise ModelRejectedError(
                f"the torch runtime has no operator {', '.join(sorted(unknown))}; it runs the fp32 "
                "and fp16 models that hwnas writes: use --runtime tensorrt for int8"
            )
        source = graph.input[0].type.tensor_type
        self.input_shape = tuple(d.dim_value for d in source.shape.dim)
        half = source.elem_type == onnx.TensorProto.FLOAT16
        self.dtype = torch.float16 if half else torch.float32
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._values: dict[str, Any] = {}
        for tensor in graph.initializer:
            array = numpy_helper.to_array(tensor)
            self._values[tensor.name] = self._placed(torch.from_numpy(array.copy()), device)
        self._steps: list[tuple[_Run, list[str], str]] = []
        last_use: dict[str, int] = {}
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "ConstantOfShape":
                shape = self._values[node.input[0]].tolist()
                self._values[node.output[0]] = self._placed(_zeros(attributes)(shape), device)
                continue
            inputs = list(node.input)
            if node.op_type == "Slice":
                run = _slice(*(self._values[name].tolist() for name in inputs[1:]))
                inputs = inputs[:1]
            else:
                run = _OPERATORS[node.op_type](attributes)
            last_use |= dict.fromkeys(inputs, len(self._steps))
            self._steps.append((run, inputs, node.output[0]))
        kept = {*self._values, self._output}
        self._done: list[list[str]] = [[] for _ in self._steps]
        for name, at in last_use.items():
            if name not in kept:
                self._done[at].append(name)

    def __call__(self, x: Tensor) -> Tensor:
        """Run it; intermediate results are let go after their last use."""
        values = {**self._values, self._input: x}
        for (run, inputs, output), done in zip(self._steps, self._done, strict=True):
            values[output] = run(*(values[name] for name in inputs))
            for name in done:
                del values[name]
        result: Tensor = values[self._output]
        return result

    def example(self, device: str) -> Tensor:
        """Fixed random input."""
        generator = torch.Generator().manual_seed(0)
        value = torch.randn(self.input_shape, generator=generator).to(self.dtype)
        return self._placed(value, device)

    def _placed(self, value: Tensor, device: str) -> Tensor:
        value = value.to(device)
        return value.contiguous(memory_format=self._layout) if value.ndim == 4 else value
