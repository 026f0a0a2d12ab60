"""What the time of a convolution on a card depends on: its roofline, and how it fills the card.

Times are predicted as multiples of a roofline. How far a kernel stays above it depends on the
shape in steps: a card computes tiles of the product of pixels by channels, some at once on each
of its multiprocessors, so a last wave that is hardly filled costs as much as a full one. Kernels
of several tile sizes exist, and which one an engine takes is not known; columns describe them all.
"""

from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.predictors.tensorrt.squares import SquareConvolutions

__all__ = ["RATES", "Rates", "columns_of", "roofline_ms"]

_MULTIPROCESSORS = 80
#: Rows (pixels of all images) and columns (channels) of what one block computes.
_TILES = (*((32, 128), (64, 64), (128, 32), (128, 64), (128, 128), (256, 64), (256, 128)),)
#: Channels are stored and multiplied in packs of these.
_IN_PACKS = (8, 16, 32, 64)
_OUT_PACKS = (32, 64, 128, 256)
#: Sides of what one transformed tile of a Winograd convolution writes.
_WINOGRAD = (2, 4)
_KERNELS = (1, 3, 5, 7)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a V100 does in a precision, by its data sheet.

    Attributes:
        macs_per_ms: multiply-accumulates.
        bytes_per_ms: of its memory.
        element_bytes: of one number.
    """

    macs_per_ms: float
    bytes_per_ms: float
    element_bytes: int


RATES = {
    "fp32": Rates(7.85e9, 9e8, 4),
    "fp16": Rates(62.5e9, 9e8, 2),
    "int8": Rates(31.4e9, 9e8, 1),
}


def _work(c: SquareConvolutions, element_bytes: int) -> tuple[FloatArray, ...]:
    """MACs; bytes that are read, written (and added to), and of weights; each (n,)."""
    depth = np.where(c.depthwise, 1.0, c.in_channels) * c.kernel**2
    pixels = c.images * c.out_side**2
    read = c.images * c.side**2 * c.in_channels
    written = pixels * c.out_channels * (1 + c.fused_add)
    weights = depth * c.out_channels
    macs = pixels * c.out_channels * depth
    return macs, read * element_bytes, written * element_bytes, weights * element_bytes


def roofline_ms(c: SquareConvolutions, rates: Rates, floor_ms: float) -> FloatArray:
    """What a convolution takes at least: a launch, and its arithmetic or its bytes, (n,)."""
    macs, *moved = _work(c, rates.element_bytes)
    return floor_ms + np.maximum(macs / rates.macs_per_ms, sum(moved) / rates.bytes_per_ms)


def columns_of(c: SquareConvolutions, rates: Rates, floor_ms: float) -> FloatArray:
    """Numbers that describe n convolutions, (n, n_columns); sizes as logarithms to base 2.

    Images are counted by their pixels alone: between measured batches that predicts better.
    """
    macs, read, written, weights = _work(c, rates.element_bytes)
    pixels = c.images * c.out_side**2
    depth = macs / (pixels * c.out_channels)
    sizes = (
        *(c.in_channels, c.out_channels, c.side, c.out_side, pixels, depth, macs),
        *(read, written, weights, read + written + weights, c.images * c.side**2),
        *(macs / (read + written + weights), c.in_channels / c.out_channels),
        roofline_ms(c, rates, floor_ms),
    )
    columns = [np.log2(size) for size in sizes]
    columns += [c.side, c.out_side, c.depthwise, c.fused_add, c.stride]
    columns += [np.maximum(0, 1 - np.abs(c.kernel - kernel) / 2) for kernel in _KERNELS]
    columns += [_filled(c.in_channels, pack) for pack in _IN_PACKS]
    columns += [_filled(c.out_channels, pack) for pack in _OUT_PACKS]
    for rows, channels in _TILES:
        tiles = np.ceil(pixels / rows) * np.ceil(c.out_channels / channels)
        waves = np.ceil(tiles / _MULTIPROCESSORS)
        columns += [
            np.log2(tiles),
            tiles / (waves * _MULTIPROCESSORS),
            np.log2(waves * _MULTIPROCESSORS * rows * channels / (pixels * c.out_channels)),
        ]
    for written_side in _WINOGRAD:
        columns += [
            np.log2(c.images * np.ceil(c.out_side / written_side) ** 2),
            _filled(c.out_side, written_side) ** 2,
        ]
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def _filled(count: FloatArray, pack: int) -> FloatArray:
    """The share of packs that is not padding."""
    return np.asarray(count / (np.ceil(count / pack) * pack))
