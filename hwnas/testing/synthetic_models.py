"""What the synthetic TensorRT sees in an ONNX model."""

import math

import onnx

__all__ = ["convolution_of", "is_half", "layers_of", "refusal", "scratch_bytes", "shape_of"]

_BATCH_THAT_FITS = 64
_LAYERS = ("Conv", "Gemm")


def shape_of(value: onnx.ValueInfoProto) -> list[int]:
    """The sizes of a tensor."""
    return [d.dim_value for d in value.type.tensor_type.shape.dim]


def is_half(value: onnx.ValueInfoProto) -> bool:
    """Whether a tensor is fp16."""
    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16)


def layers_of(graph: onnx.GraphProto) -> list[str]:
    """The names of the layers of its engine."""
    return [node.name for node in graph.node if node.op_type in _LAYERS] or ["all"]


def scratch_bytes(model: bytes) -> int:
    """What activations need at once: the most that a node within reads and writes."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    ends = {value.name for value in (*graph.input, *graph.output)}
    size = {v.name: 4 * math.prod(shape_of(v)) for v in graph.value_info if v.name not in ends}
    return max(sum(size.get(n, 0) for n in (*node.input, *node.output)) for node in graph.node)


def convolution_of(graph: onnx.GraphProto, kernel: str | None) -> str | None:
    """The name of the first convolution of a kernel size, or None."""
    for node in graph.node:
        if node.op_type == "Conv" and kernel is not None:
            sizes = next(a.ints for a in node.attribute if a.name == "kernel_shape")
            if math.prod(sizes) == int(kernel) ** 2:
                return str(node.name)
    return None


def refusal(graph: onnx.GraphProto, rejected_kernel: str | None) -> str | None:
    """Why no version builds an engine, or None."""
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.UINT8:
            return "only signed int8 with a zero point of 0 is supported"
    batch = shape_of(graph.input[0])[0]
    if batch > _BATCH_THAT_FITS:
        return f"[defaultAllocator.cpp::allocate] Error Code 1: OutOfMemory ({batch} images)"
    node = convolution_of(graph, rejected_kernel)
    if node is not None:
        return f"Error Code 10: could not find any implementation for node {node}"
    return None
