"""ONNX models written directly from graphs, without torch: opset 17, IR 8, batch-norm folded.

fp16 models are fp16 throughout, input and output included: newer TensorRT versions take the
precision from the graph alone. int8 models carry QuantizeLinear / DequantizeLinear pairs around
every tensor between kernels, the form that ONNX Runtime and TensorRT turn into integer kernels.
"""

from hwnas.onnx_graph.model import to_onnx
from hwnas.onnx_graph.writer import IR_VERSION, OPSET, PRECISIONS, Precision
from hwnas.ops.weights import Weights, random_weights

__all__ = ["IR_VERSION", "OPSET", "PRECISIONS", "Precision", "Weights", "random_weights", "to_onnx"]
