"""Convolutions as the measured ones were: square maps, kernels and strides, regular or depthwise.

What was not measured is replaced by the square convolution of as many multiply-accumulates and
bytes: sides are geometric means of rows and columns, and g groups are one regular convolution of
g times as many images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.arrays import BoolArray, FloatArray
from hwnas.kernels.fused import ConvolutionShape

__all__ = ["SquareConvolutions", "squares_of"]

#: Pixels below which a 1x1 convolution's images are laid side by side: none smaller was measured.
_LEAST_PIXELS = 16


@dataclass(frozen=True, eq=False)
class SquareConvolutions:
    """Convolutions as columns of numbers, each (n,); whole where nothing had to be replaced.

    Attributes:
        images: how many are computed at once.
        in_channels, out_channels: channels.
        side, out_side: pixels of a row of what is read and written.
        kernel, stride: of rows and columns.
        depthwise: whether every channel is read by itself.
        fused_add: whether a residual is added.
    """

    images: FloatArray
    in_channels: FloatArray
    out_channels: FloatArray
    side: FloatArray
    out_side: FloatArray
    kernel: FloatArray
    stride: FloatArray
    depthwise: BoolArray
    fused_add: BoolArray

    def __len__(self) -> int:
        return len(self.images)


def squares_of(shapes: Sequence[ConvolutionShape], batch: npt.ArrayLike) -> SquareConvolutions:
    """The square convolutions that stand for n shapes, at a batch or at one each, (n,)."""
    rows = np.array(
        [
            (
                *(s.in_channels, s.out_channels, s.height * s.width, s.out_height * s.out_width),
                *(s.kernel[0] * s.kernel[1], s.stride[0] * s.stride[1], s.groups, s.fused_add),
            )
            for s in shapes
        ],
        np.float64,
    ).reshape(-1, 8)
    in_channels, out_channels, pixels, out_pixels, window, step, groups, fused_add = rows.T
    depthwise = (groups > 1) & (groups == in_channels)
    grouped = np.where(depthwise, 1.0, groups)
    images = np.asarray(batch, np.float64) * grouped
    pointwise = (window == 1) & (step == 1) & ~depthwise & (pixels < _LEAST_PIXELS)
    # a 1x1 convolution sees pixels, whatever image they are of
    beside = np.where(pointwise, images, 1.0)
    return SquareConvolutions(
        images=images / beside,
        in_channels=np.where(depthwise, out_channels, in_channels / grouped),
        out_channels=out_channels / grouped,
        side=np.sqrt(pixels * beside),
        out_side=np.sqrt(out_pixels * beside),
        kernel=np.sqrt(window),
        stride=np.sqrt(step),
        depthwise=depthwise,
        fused_add=fused_add > 0,
    )
