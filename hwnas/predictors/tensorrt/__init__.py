"""Engines of TensorRT on cards that are not here, from what others measured on them."""

from hwnas.predictors.tensorrt.convolutions import ConvolutionTimes, shipped_convolutions

__all__ = ["ConvolutionTimes", "shipped_convolutions"]
