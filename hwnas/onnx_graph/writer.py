"""What an ONNX model is made of: nodes, constants, weights, and pairs that quantise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwnas.ops import Graph, Node
from hwnas.ops.graph import LEAST_ALPHA
from hwnas.ops.weights import Array, Weights, weight_of

__all__ = ["IR_VERSION", "OPSET", "PRECISIONS", "RECTIFIERS", "Precision", "Writer"]

OPSET = 17
IR_VERSION = 8
PRECISIONS = ("fp32", "fp16", "int8")
#: Kinds whose values are not negative.
RECTIFIERS = ("relu", "relu6", "pact")

Precision = Literal["fp32", "fp16", "int8"]


@dataclass
class Writer:
    """Collects the nodes and constants of a model; see `hwnas.onnx_graph.to_onnx` for the fields.

    Every node has one output, and its name.
    """

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
        """Whether tensors between kernels are int8."""
        return self.precision == "int8"

    @property
    def float_type(self) -> type[np.floating[Any]]:
        """The floating type of the model."""
        return np.float16 if self.precision == "fp16" else np.float32

    def model(
        self, in_shape: Sequence[int], out_shape: Sequence[int], metadata: Mapping[str, str]
    ) -> bytes:
        """The serialised model; shapes of its input and output are without the batch."""
        kind = TensorProto.FLOAT16 if self.precision == "fp16" else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "hwnas",
            [helper.make_tensor_value_info("input", kind, [self.batch, *in_shape])],
            [helper.make_tensor_value_info("output", kind, [self.batch, *out_shape])],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="hwnas",
        )
        helper.set_model_props(model, dict(metadata))
        data: bytes = model.SerializeToString()
        return data

    # Nodes

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Add a node."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))

    def slice(
        self, tensor: str, output: str, starts: list[int], axes: list[int], steps: list[int]
    ) -> None:
        """Add a node that takes ``start::step`` of some axes."""
        bounds = (
            ("starts", starts),
            ("ends", [2**31 - 1] * len(axes)),
            ("axes", axes),
            ("steps", steps),
        )
        names = [self.integers(f"{output}.{name}", values) for name, values in bounds]
        self.add("Slice", [tensor, *names], output)

    def reshaped(self, tensor: str, output: str, shape: list[int]) -> str:
        """Add a node that reshapes."""
        self.add("Reshape", [tensor, self.integers(f"{output}.shape", shape)], output)
        return output

    # Constants

    def constant(self, name: str, value: Any) -> str:
        """Add a constant of the model's floating type."""
        return self._initializer(name, np.asarray(value, self.float_type))

    def integers(self, name: str, values: list[int]) -> str:
        """Add a constant of int64."""
        return self._initializer(name, np.array(values, np.int64))

    def _initializer(self, name: str, value: Any) -> str:
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    # Weights and quantised tensors

    def weight(self, node: Node, leaf: str) -> Array:
        """A weight of a node by the last part of its torch name, such as ``bias``."""
        return weight_of(self.graph, self.weights, node, leaf)

    def alpha(self, node: Node) -> Any:
        """Where a quantised activation ends."""
        return np.maximum(self.weight(node, "alpha")[0], np.float32(LEAST_ALPHA))

    def parameter(self, name: str, value: Array) -> str:
        """Add a weight, int8 per output channel behind a DequantizeLinear where quantised."""
        if not self.quantised:
            return self.constant(name, value)
        flat = np.abs(value).reshape(len(value), -1).max(1)
        scale = np.maximum(flat, 1e-8).astype(np.float32) / 127
        shaped = scale.reshape(-1, *[1] * (value.ndim - 1))
        self.constant(f"{name}.scale", scale)
        self._initializer(f"{name}.zero", np.zeros(len(value), np.int8))
        pair = [f"{name}.scale", f"{name}.zero"]
        if self.symmetric:  # TensorRT 8 wants the weights as floats and quantises them itself
            self.constant(f"{name}.float", value)
            self.add("QuantizeLinear", [f"{name}.float", *pair], f"{name}.q", axis=0)
        else:
            integers = np.clip(np.rint(value / shaped), -127, 127).astype(np.int8)
            self._initializer(f"{name}.q", integers)
        self.add("DequantizeLinear", [f"{name}.q", *pair], name, axis=0)
        return name

    def requantised(self, tensor: str, node: Node) -> str:
        """The tensor of a node behind a Q/DQ pair where quantised, else itself."""
        if not self.quantised:
            return tensor
        non_negative = node.kind in RECTIFIERS
        limit = 6.0 if node.kind == "relu6" else self.ranges.get(node.name, 6.0)
        if node.kind == "pact":
            limit = float(self.alpha(node))
        unsigned = non_negative and not self.symmetric
        zero = np.int8(0) if self.symmetric else np.uint8(0 if non_negative else 128)
        self.constant(f"{tensor}.scale", limit / (255 if unsigned else 127))
        self._initializer(f"{tensor}.zero", zero)
        pair = [f"{tensor}.scale", f"{tensor}.zero"]
        self.add("QuantizeLinear", [tensor, *pair], f"{tensor}.q")
        self.add("DequantizeLinear", [f"{tensor}.q", *pair], f"{tensor}.dq")
        return f"{tensor}.dq"
