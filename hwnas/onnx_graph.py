"""ONNX models written directly from graphs, without torch: opset 17, IR 8, batch-norm folded.

fp16 models are fp16 throughout, input and output included: newer TensorRT versions take the
precision from the graph alone. int8 models carry QuantizeLinear / DequantizeLinear pairs around
every tensor between kernels, the form that ONNX Runtime and TensorRT turn into integer kernels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwnas.constants import fold_constants, scale_and_shift
from hwnas.errors import OptionError
from hwnas.given import check_seed, check_whole
from hwnas.ops import Graph, Node
from hwnas.ops.graph import LEAST_ALPHA, padding
from hwnas.ops.weights import Array, Weights, random_weights, weight_of

__all__ = ["IR_VERSION", "OPSET", "PRECISIONS", "Precision", "Weights", "random_weights", "to_onnx"]

OPSET = 17
IR_VERSION = 8
PRECISIONS = ("fp32", "fp16", "int8")
#: Kinds whose values are not negative.
#: Of a batch, as on the command line.
_MOST_IMAGES = 65_536
_RECTIFIERS = ("relu", "relu6", "pact")

Precision = Literal["fp32", "fp16", "int8"]


def to_onnx(
    graph: Graph,
    weights: Weights | None = None,
    *,
    batch: int = 1,
    precision: Precision = "fp32",
    symmetric: bool = False,
    ranges: Mapping[str, float] | None = None,
    metadata: Mapping[str, str] | None = None,
    seed: int = 0,
) -> bytes:
    """Serialise a graph as an ONNX model with one input ``input`` and one output ``output``.

    Args:
        graph: nodes that do not reach the output are left out.
        weights: arrays by torch state-dict name; None draws them from ``seed``.
        batch: the fixed batch size.
        precision: ``fp16`` makes every tensor fp16; ``int8`` inserts Q/DQ pairs, weights per
            channel and symmetric.
        symmetric: for int8, the form that TensorRT reads: activations are signed with a zero of 0,
            and weights stay floats in front of a pair; otherwise activations are unsigned, which
            most CPUs multiply faster.
        ranges: for int8, largest magnitude of each tensor by the name of the node that makes it
            (``input`` for the input); 6 where it is not given, enough to measure latency.
        metadata: key-value pairs stored with the model.
        seed: of the weights that are drawn.

    Raises:
        OptionError: unknown precision, a batch or seed that is none, or weights that lack a name or
            have another shape.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    batch = check_whole("a batch", batch, 1, _MOST_IMAGES)
    given = random_weights(graph, check_seed(seed)) if weights is None else weights
    if precision != "int8":  # there the ranges are those of the tensors as they were
        graph, given = fold_constants(graph, given, partial(weight_of, graph, given))
    writer = _Writer(graph.pruned(), given, batch, ranges or {}, precision, symmetric)
    data: bytes = writer.model(metadata or {}).SerializeToString()
    return data


def _tensor(at: int, readers: Mapping[int, list[int]]) -> str:
    """The name of the tensor that node ``at`` makes; nobody reads the last one."""
    return f"t{at}" if readers[at] else "output"


@dataclass
class _Writer:
    graph: Graph
    weights: Weights
    batch: int
    ranges: Mapping[str, float]
    precision: Precision
    symmetric: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    @property
    def quantised(self) -> bool:
        return self.precision == "int8"

    @property
    def float_type(self) -> type[np.floating[Any]]:
        return np.float16 if self.precision == "fp16" else np.float32

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        nodes = self.graph.nodes
        readers: dict[int, list[int]] = {i: [] for i in range(len(nodes))}
        for at, node in enumerate(nodes):
            for i in () if node.kind == "zero" else node.inputs:
                readers[i].append(at)
        names: dict[int, str] = {}  # node index -> tensor that holds its value
        for at in range(len(nodes)):
            if at not in names:
                self._write(at, readers, names)
        first, last = nodes[0], nodes[-1]
        if first is last:
            self._add("Identity", ["input"], "output")
        flat = last.kind in ("linear", "global_avg_pool")
        shape = last.shape[:1] if flat else last.shape
        kind = TensorProto.FLOAT16 if self.precision == "fp16" else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "hwnas",
            [helper.make_tensor_value_info("input", kind, [self.batch, *first.shape])],
            [helper.make_tensor_value_info("output", kind, [self.batch, *shape])],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="hwnas",
        )
        helper.set_model_props(model, dict(metadata))
        return model

    def _write(self, at: int, readers: dict[int, list[int]], names: dict[int, str]) -> None:
        """Write node ``at`` and what folds into it; record the tensor of each in ``names``."""
        node = self.graph.nodes[at]
        if node.kind == "input":
            names[at] = self._requantised("input", node) if readers[at] else "input"
            return
        inputs = [] if node.kind == "zero" else [names[i] for i in node.inputs]
        end = at
        scale = shift = None
        if node.kind == "conv" and self._only_reader(end, readers) == "batch_norm":
            end = readers[end][0]
            names[end] = ""  # written with its convolution
            scale, shift = scale_and_shift(self.graph.nodes[end], self._weight)
        tensor = _tensor(end, readers)
        self._kernel(node, inputs, tensor, scale, shift)
        if self.quantised and self._only_reader(end, readers) in _RECTIFIERS:
            end = readers[end][0]  # the activation must stand before the Q of its kernel
            self._kernel(self.graph.nodes[end], [tensor], _tensor(end, readers))
            tensor = _tensor(end, readers)
        names[end] = (
            tensor if not readers[end] else self._requantised(tensor, self.graph.nodes[end])
        )

    def _only_reader(self, at: int, readers: dict[int, list[int]]) -> str:
        return self.graph.nodes[readers[at][0]].kind if len(readers[at]) == 1 else ""

    def _kernel(
        self,
        node: Node,
        inputs: list[str],
        output: str,
        scale: Array | None = None,
        shift: Array | None = None,
    ) -> None:
        if node.kind == "conv":
            kernel = _low_bit(self._weight(node, "weight"), node.bits)
            if scale is not None:
                kernel = kernel * scale[:, None, None, None]
            names = [inputs[0], self._parameter(f"{output}.w", kernel)]
            if shift is not None:
                names.append(self._constant(f"{output}.b", shift))
            self._add(
                "Conv",
                names,
                output,
                kernel_shape=[node.kernel] * 2,
                strides=[node.stride] * 2,
                pads=[padding(node.kernel, node.dilation)] * 4,
                group=node.groups,
                **({"dilations": [node.dilation] * 2} if node.dilation > 1 else {}),
            )
        elif node.kind == "linear":
            weight = self._parameter(f"{output}.w", self._weight(node, "weight"))
            if not node.bias:
                self._add("Gemm", [inputs[0], weight], output, transB=1)
                return
            bias = self._constant(f"{output}.b", self._weight(node, "bias"))
            if self.quantised:  # a float bias inside would keep ONNX Runtime from integers
                self._add("Gemm", [inputs[0], weight], f"{output}.product", transB=1)
                self._add("Add", [f"{output}.product", bias], output)
            else:
                self._add("Gemm", [inputs[0], weight, bias], output, transB=1)
        elif node.kind == "batch_norm":
            factor, offset = scale_and_shift(node, self._weight)
            column = (1, -1, 1, 1)
            mul = self._constant(f"{output}.s", factor.reshape(column))
            add = self._constant(f"{output}.o", offset.reshape(column))
            self._add("Mul", [inputs[0], mul], f"{output}.scaled")
            self._add("Add", [f"{output}.scaled", add], output)
        elif node.kind == "relu" or (node.kind == "pact" and self.quantised):
            self._add("Relu", inputs, output)  # the Q behind a pact ends at its alpha
        elif node.kind == "pact":
            alpha = self._alpha(node)
            levels = np.float32(2**node.bits - 1)
            zero = self._constant(f"{output}.low", np.float32(0))
            self._add(
                "Clip",
                [inputs[0], zero, self._constant(f"{output}.high", alpha)],
                f"{output}.clipped",
            )
            self._add(
                "Mul",
                [f"{output}.clipped", self._constant(f"{output}.up", levels / alpha)],
                f"{output}.scaled",
            )
            self._add("Round", [f"{output}.scaled"], f"{output}.rounded")
            self._add(
                "Mul",
                [f"{output}.rounded", self._constant(f"{output}.down", alpha / levels)],
                output,
            )
        elif node.kind == "relu6":
            low = self._constant(f"{output}.low", np.float32(0))
            high = self._constant(f"{output}.high", np.float32(6))
            self._add("Clip", [inputs[0], low, high], output)
        elif node.kind == "hard_swish":
            self._add("HardSwish", inputs, output)
        elif node.kind == "hard_sigmoid":
            self._add("HardSigmoid", inputs, output, alpha=1 / 6, beta=0.5)
        elif node.kind == "mul":
            gate = self._reshaped(inputs[1], f"{output}.gate", [self.batch, node.shape[0], 1, 1])
            self._add("Mul", [inputs[0], gate], output)
        elif node.kind == "channel_shuffle":
            channels, height, width = node.shape
            apart = [self.batch, node.groups, channels // node.groups, height, width]
            split = self._reshaped(inputs[0], f"{output}.split", apart)
            self._add("Transpose", [split], f"{output}.swapped", perm=[0, 2, 1, 3, 4])
            self._reshaped(f"{output}.swapped", output, [self.batch, *node.shape])
        elif node.kind == "add":
            for k, term in enumerate(inputs[1:], start=1):
                left = inputs[0] if k == 1 else f"{output}.{k - 1}"
                self._add("Add", [left, term], output if k == len(inputs) - 1 else f"{output}.{k}")
        elif node.kind == "zero":
            shape = self._integers(f"{output}.shape", [self.batch, *node.shape])
            zero = numpy_helper.from_array(np.zeros(1, self.float_type))
            self._add("ConstantOfShape", [shape], output, value=zero)
        elif node.kind == "take":
            self._slice(inputs[0], output, [node.start], [1], [node.stride])
        elif node.kind == "crop":
            self._slice(inputs[0], output, [node.start] * 2, [2, 3], [1, 1])
        elif node.kind == "concat":
            self._add("Concat", inputs, output, axis=1)
        elif node.kind in ("avg_pool", "max_pool"):
            self._add(
                "AveragePool" if node.kind == "avg_pool" else "MaxPool",
                inputs,
                output,
                kernel_shape=[node.kernel] * 2,
                strides=[node.stride] * 2,
                pads=[padding(node.kernel)] * 4,
            )
        else:
            assert node.kind == "global_avg_pool", node.kind
            self._add("GlobalAveragePool", inputs, f"{output}.map")
            pooled = self._requantised(f"{output}.map", node)
            self._add("Flatten", [pooled], output, axis=1)

    def _add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))

    def _slice(
        self, tensor: str, output: str, starts: list[int], axes: list[int], steps: list[int]
    ) -> None:
        bounds = (
            ("starts", starts),
            ("ends", [2**31 - 1] * len(axes)),
            ("axes", axes),
            ("steps", steps),
        )
        names = [self._integers(f"{output}.{name}", values) for name, values in bounds]
        self._add("Slice", [tensor, *names], output)

    def _reshaped(self, tensor: str, output: str, shape: list[int]) -> str:
        self._add("Reshape", [tensor, self._integers(f"{output}.shape", shape)], output)
        return output

    def _initializer(self, name: str, value: Any) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _constant(self, name: str, value: Any) -> str:
        """An initializer of the model's floating type."""
        return self._initializer(name, np.asarray(value, self.float_type))

    def _integers(self, name: str, values: list[int]) -> str:
        return self._initializer(name, np.array(values, np.int64))

    def _weight(self, node: Node, leaf: str) -> Array:
        return weight_of(self.graph, self.weights, node, leaf)

    def _alpha(self, node: Node) -> Any:
        """Where a quantised activation ends."""
        return np.maximum(self._weight(node, "alpha")[0], np.float32(LEAST_ALPHA))

    def _parameter(self, name: str, value: Array) -> str:
        """A weight, int8 per output channel behind a DequantizeLinear where quantised."""
        if not self.quantised:
            return self._constant(name, value)
        flat = np.abs(value).reshape(len(value), -1).max(1)
        scale = np.maximum(flat, 1e-8).astype(np.float32) / 127
        shaped = scale.reshape(-1, *[1] * (value.ndim - 1))
        self._constant(f"{name}.scale", scale)
        self._initializer(f"{name}.zero", np.zeros(len(value), np.int8))
        pair = [f"{name}.scale", f"{name}.zero"]
        if self.symmetric:  # TensorRT 8 wants the weights as floats and quantises them itself
            self._constant(f"{name}.float", value)
            self._add("QuantizeLinear", [f"{name}.float", *pair], f"{name}.q", axis=0)
        else:
            integers = np.clip(np.rint(value / shaped), -127, 127).astype(np.int8)
            self._initializer(f"{name}.q", integers)
        self._add("DequantizeLinear", [f"{name}.q", *pair], name, axis=0)
        return name

    def _requantised(self, tensor: str, node: Node) -> str:
        """The tensor of a node behind a Q/DQ pair where quantised, else itself."""
        if not self.quantised:
            return tensor
        non_negative = node.kind in _RECTIFIERS
        limit = 6.0 if node.kind == "relu6" else self.ranges.get(node.name, 6.0)
        if node.kind == "pact":
            limit = float(self._alpha(node))
        unsigned = non_negative and not self.symmetric
        zero = np.int8(0) if self.symmetric else np.uint8(0 if non_negative else 128)
        self._constant(f"{tensor}.scale", limit / (255 if unsigned else 127))
        self._initializer(f"{tensor}.zero", zero)
        pair = [f"{tensor}.scale", f"{tensor}.zero"]
        self._add("QuantizeLinear", [tensor, *pair], f"{tensor}.q")
        self._add("DequantizeLinear", [f"{tensor}.q", *pair], f"{tensor}.dq")
        return f"{tensor}.dq"


def _low_bit(weight: Array, bits: int) -> Array:
    """Weights as `hwnas.ops.quantize.dorefa` rounds them; unchanged for 0 bits."""
    if not bits:
        return weight
    squashed = np.tanh(weight)
    levels = np.float32(2**bits - 1)
    largest = np.abs(squashed).max()
    if largest <= levels / np.finfo(np.float32).max:  # all weights are zero
        largest = np.float32(1)
    rounded = np.rint(squashed * (levels / (2 * largest)) + levels / 2)
    low: Array = rounded * (2 / levels) - 1
    return low
