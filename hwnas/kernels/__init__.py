"""Kernels: the nodes that a runtime really runs for an ONNX model."""

from hwnas.kernels.canonical import canonical, content
from hwnas.kernels.exported import check_exported
from hwnas.kernels.features import NAMES, features, work
from hwnas.kernels.fused import ConvolutionShape, FusedKernel, FusedModel
from hwnas.kernels.fusions import fuse, fuse_steps, fused_graph
from hwnas.kernels.kernel import Kernel, Operand, parse_kernel
from hwnas.kernels.split import Piece, count_model_macs, exported_kernels, split
from hwnas.kernels.steps import Step, Steps, steps_of_graph, sum_steps

__all__ = [
    "NAMES",
    "ConvolutionShape",
    "FusedKernel",
    "FusedModel",
    "Kernel",
    "Operand",
    "Piece",
    "Step",
    "Steps",
    "canonical",
    "check_exported",
    "content",
    "count_model_macs",
    "exported_kernels",
    "features",
    "fuse",
    "fuse_steps",
    "fused_graph",
    "parse_kernel",
    "split",
    "steps_of_graph",
    "sum_steps",
    "work",
]
