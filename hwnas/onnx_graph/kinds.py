"""The ONNX nodes of each kind of graph node: one literal table, one function a kind."""

from collections.abc import Callable

import numpy as np
from onnx import numpy_helper

from hwnas.onnx_graph.constants import scale_and_shift
from hwnas.onnx_graph.writer import Writer
from hwnas.ops import Node
from hwnas.ops.graph import padding
from hwnas.ops.weights import Array

__all__ = ["KINDS", "Write", "low_bit", "write_conv"]

#: Writes the nodes of one graph node, from the names of its inputs to that of its output.
Write = Callable[[Writer, Node, list[str], str], None]


def write_conv(
    to: Writer,
    node: Node,
    inputs: list[str],
    output: str,
    scale: Array | None = None,
    shift: Array | None = None,
) -> None:
    """Write a convolution, with the scale and shift of each channel folded into its weights."""
    kernel = low_bit(to.weight(node, "weight"), node.bits)
    if scale is not None:
        kernel = kernel * scale[:, None, None, None]
    names = [inputs[0], to.parameter(f"{output}.w", kernel)]
    if shift is not None:
        names.append(to.constant(f"{output}.b", shift))
    to.add(
        "Conv",
        names,
        output,
        kernel_shape=[node.kernel] * 2,
        strides=[node.stride] * 2,
        pads=[padding(node.kernel, node.dilation)] * 4,
        group=node.groups,
        **({"dilations": [node.dilation] * 2} if node.dilation > 1 else {}),
    )


def low_bit(weight: Array, bits: int) -> Array:
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


def _linear(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    weight = to.parameter(f"{output}.w", to.weight(node, "weight"))
    if not node.bias:
        to.add("Gemm", [inputs[0], weight], output, transB=1)
        return
    bias = to.constant(f"{output}.b", to.weight(node, "bias"))
    if to.quantised:  # a float bias inside would keep ONNX Runtime from integers
        to.add("Gemm", [inputs[0], weight], f"{output}.product", transB=1)
        to.add("Add", [f"{output}.product", bias], output)
    else:
        to.add("Gemm", [inputs[0], weight, bias], output, transB=1)


def _batch_norm(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    factor, offset = scale_and_shift(node, to.weight)
    column = (1, -1, 1, 1)
    mul = to.constant(f"{output}.s", factor.reshape(column))
    add = to.constant(f"{output}.o", offset.reshape(column))
    to.add("Mul", [inputs[0], mul], f"{output}.scaled")
    to.add("Add", [f"{output}.scaled", add], output)


def _relu(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    to.add("Relu", inputs, output)


def _relu6(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    low = to.constant(f"{output}.low", np.float32(0))
    high = to.constant(f"{output}.high", np.float32(6))
    to.add("Clip", [inputs[0], low, high], output)


def _pact(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    if to.quantised:  # the Q behind it ends at its alpha
        _relu(to, node, inputs, output)
        return
    alpha = to.alpha(node)
    levels = np.float32(2**node.bits - 1)
    low = to.constant(f"{output}.low", np.float32(0))
    high = to.constant(f"{output}.high", alpha)
    to.add("Clip", [inputs[0], low, high], f"{output}.clipped")
    up = to.constant(f"{output}.up", levels / alpha)
    to.add("Mul", [f"{output}.clipped", up], f"{output}.scaled")
    to.add("Round", [f"{output}.scaled"], f"{output}.rounded")
    down = to.constant(f"{output}.down", alpha / levels)
    to.add("Mul", [f"{output}.rounded", down], output)


def _hard_swish(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    to.add("HardSwish", inputs, output)


def _hard_sigmoid(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    to.add("HardSigmoid", inputs, output, alpha=1 / 6, beta=0.5)


def _mul(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    gate = to.reshaped(inputs[1], f"{output}.gate", [to.batch, node.shape[0], 1, 1])
    to.add("Mul", [inputs[0], gate], output)


def _channel_shuffle(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    channels, height, width = node.shape
    apart = [to.batch, node.groups, channels // node.groups, height, width]
    split = to.reshaped(inputs[0], f"{output}.split", apart)
    to.add("Transpose", [split], f"{output}.swapped", perm=[0, 2, 1, 3, 4])
    to.reshaped(f"{output}.swapped", output, [to.batch, *node.shape])


def _add(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    for k, term in enumerate(inputs[1:], start=1):
        left = inputs[0] if k == 1 else f"{output}.{k - 1}"
        to.add("Add", [left, term], output if k == len(inputs) - 1 else f"{output}.{k}")


def _zero(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    shape = to.integers(f"{output}.shape", [to.batch, *node.shape])
    zero = numpy_helper.from_array(np.zeros(1, to.float_type))
    to.add("ConstantOfShape", [shape], output, value=zero)


def _take(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    to.slice(inputs[0], output, [node.start], [1], [node.stride])


def _crop(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    to.slice(inputs[0], output, [node.start] * 2, [2, 3], [1, 1])


def _concat(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    to.add("Concat", inputs, output, axis=1)


def _pool(op: str) -> Write:
    def write(to: Writer, node: Node, inputs: list[str], output: str) -> None:
        to.add(
            op,
            inputs,
            output,
            kernel_shape=[node.kernel] * 2,
            strides=[node.stride] * 2,
            pads=[padding(node.kernel)] * 4,
        )

    return write


def _global_avg_pool(to: Writer, node: Node, inputs: list[str], output: str) -> None:
    to.add("GlobalAveragePool", inputs, f"{output}.map")
    pooled = to.requantised(f"{output}.map", node)
    to.add("Flatten", [pooled], output, axis=1)


#: Kind of node -> what writes it.
KINDS: dict[str, Write] = {
    "conv": write_conv,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "relu": _relu,
    "relu6": _relu6,
    "pact": _pact,
    "hard_swish": _hard_swish,
    "hard_sigmoid": _hard_sigmoid,
    "mul": _mul,
    "channel_shuffle": _channel_shuffle,
    "add": _add,
    "zero": _zero,
    "take": _take,
    "crop": _crop,
    "concat": _concat,
    "avg_pool": _pool("AveragePool"),
    "max_pool": _pool("MaxPool"),
    "global_avg_pool": _global_avg_pool,
}
