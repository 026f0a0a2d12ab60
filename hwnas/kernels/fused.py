"""Kernels after a compiler has fused a model: what an engine launches, one after the other."""

import math
from dataclasses import dataclass

__all__ = ["ConvolutionShape", "FusedKernel", "FusedModel"]


@dataclass(frozen=True, slots=True)
class ConvolutionShape:
    """A convolution of one image, whatever is fused into it; a linear layer is one of 1x1 maps.

    Attributes:
        in_channels, out_channels: channels that are read and written.
        height, width: pixels of what is read, without padding.
        out_height, out_width: pixels of what is written.
        kernel, stride: rows and columns.
        groups: 1 is regular; as many as both channels is depthwise.
        fused_add: a residual is added before it is written.
    """

    in_channels: int
    out_channels: int
    height: int
    width: int
    out_height: int
    out_width: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    fused_add: bool = False

    @property
    def depthwise(self) -> bool:
        """Whether every channel is read by itself."""
        return self.groups == self.in_channels == self.out_channels > 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image."""
        window = math.prod(self.kernel) * self.in_channels // self.groups
        return self.out_channels * self.out_height * self.out_width * window


@dataclass(frozen=True, slots=True)
class FusedKernel:
    """One launch.

    Attributes:
        name: of the node that it is named after.
        kind: ``convolution``, ``linear``, ``product``, ``pool``, ``pointwise``, ``reduce``,
            ``softmax``, ``resize``, ``copy``, or the operator's own name where nothing is known.
        ops: operators of all nodes that run in it, in order.
        elements_in, elements_out: numbers read and written an image, without weights.
        elements_constant: weights read, whatever the batch.
        convolution: of convolutions, linear layers and products.
        remark: what is unusual in it, such as a dilated kernel or sizes that are not known; empty
            where nothing is.
    """

    name: str
    kind: str
    ops: tuple[str, ...]
    elements_in: int
    elements_out: int
    elements_constant: int = 0
    convolution: ConvolutionShape | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class FusedModel:
    """The kernels of a model, in the order they run.

    Attributes:
        kernels: with sizes of one image.
        batch: images that the model itself is made for.
        elements_in, elements_out: numbers that the model reads and gives an image.
    """

    kernels: tuple[FusedKernel, ...]
    batch: int
    elements_in: int
    elements_out: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image in the kernels whose sizes are known."""
        return sum(k.convolution.macs for k in self.kernels if k.convolution is not None)
