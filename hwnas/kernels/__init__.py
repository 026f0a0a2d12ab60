"""Kernels: the nodes that a runtime really runs for an ONNX model."""

from hwnas.kernels.canonical import canonical, content
from hwnas.kernels.exported import check_exported
from hwnas.kernels.features import NAMES, features, work
from hwnas.kernels.fused import ConvolutionShape, FusedKernel
from hwnas.kernels.fusions import FusedModel, fuse, fused_graph
from hwnas.kernels.kernel import Kernel, Operand, parse_kernel
from hwnas.kernels.split import Piece, count_model_macs, split

__all__ = [
    "NAMES",
    "ConvolutionShape",
    "FusedKernel",
    "FusedModel",
    "Kernel",
    "Operand",
    "Piece",
    "canonical",
    "check_exported",
    "content",
    "count_model_macs",
    "features",
    "fuse",
    "fused_graph",
    "parse_kernel",
    "split",
    "work",
]
