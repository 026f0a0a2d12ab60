"""Grey levels of images: how they are spread, and how they become what networks read."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray

__all__ = ["level_counts", "mean_and_std", "normalised"]

_CHUNK_PIXELS = 2**18  # counted at a time


def level_counts(images: npt.NDArray[Any]) -> IntArray:
    """How often each level stands in each channel, int64 (channels, 256).

    Levels are counted, some images at a time, since numpy's spread of all pixels holds eight bytes
    for each of them.

    Args:
        images: uint8 (n, channels, height, width).
    """
    counts = np.zeros((images.shape[1], 256), np.int64)
    most = max(1, _CHUNK_PIXELS // math.prod(images.shape[2:]))
    for start in range(0, len(images), most):
        for channel, count in enumerate(counts):
            count += np.bincount(images[start : start + most, channel].ravel(), minlength=256)
    return counts


def mean_and_std(counts: IntArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each channel, in grey levels; a spread is at least 1.

    Args:
        counts: see `level_counts`.
    """
    levels: FloatArray = np.arange(256.0)
    shares = counts / counts.sum(1, keepdims=True)
    mean = (counts @ np.arange(256)) / counts.sum(1)
    variance = (shares * (levels - mean[:, None]) ** 2).sum(1)
    std = np.maximum(np.sqrt(variance), 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())


def normalised(
    images: npt.NDArray[np.uint8] | npt.NDArray[np.float32],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> npt.NDArray[np.float32]:
    """(value - mean) / std of each channel of images (n, channels, height, width)."""
    column = (1, -1, 1, 1)
    floats = images.astype(np.float32)
    floats -= np.array(mean, np.float32).reshape(column)
    floats /= np.array(std, np.float32).reshape(column)
    return floats
