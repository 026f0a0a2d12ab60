"""Cutout and drop path, drawn by seed: of DARTS' retraining, and of Amended-DARTS' search."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hwnas.arrays import IntArray
from hwnas.errors import OptionError
from hwnas.spaces import SearchSpace

__all__ = ["cutout", "drop_path", "edge_ends"]

#: Keep draws of one seed apart.
_CUTOUT, _DROP = 0xC07, 0xD50


def cutout(images: Tensor, length: int, *, seed: int, step: int) -> Tensor:
    """Images (n, channels, height, width) with one square of zeros each (DeVries and Taylor, 2017).

    Args:
        images: normalised, so that zero is the mean.
        length: of the square's side, pixels; its centre may lie anywhere. 0 for none.
        seed, step: of the draw.
    """
    if not length:
        return images
    n, _, height, width = images.shape
    rng = np.random.default_rng([seed, _CUTOUT, step])

    def covered(size: int) -> Tensor:
        start = torch.from_numpy(rng.integers(0, size, n)) - length // 2
        at = torch.arange(size)
        return (at >= start[:, None]) & (at < start[:, None] + length)

    hidden = covered(height)[:, None, :, None] & covered(width)[:, None, None, :]
    return images.masked_fill(hidden, 0.0)


def drop_path(rate: float, *, seed: int, step: int) -> Callable[[Tensor], Tensor] | None:
    """What drops an edge's value for some of the images, and scales up the others; None at 0.

    One function serves one forward pass: called again for the same seed and step, it drops alike.

    Args:
        rate: share of the images that an edge is dropped for, below 1.
        seed, step: of the draws.
    """
    if not rate:
        return None
    rng = np.random.default_rng([seed, _DROP, step])

    def drop(x: Tensor) -> Tensor:
        kept = torch.from_numpy(rng.random(len(x)) >= rate).to(x.dtype) / (1 - rate)
        return x * kept.reshape(-1, 1, 1, 1)

    return drop


def edge_ends(space: SearchSpace, arch: IntArray) -> list[int]:
    """The nodes of a network whose values are what an operator of a cell gives; skips have none.

    Raises:
        OptionError: the network has no cells; in a chain a dropped operator leaves nothing.
    """
    if space.layout.sequential or space.modules is not None:
        raise OptionError(
            f"drop path drops one of several operators that are added up, {space.name} has no "
            "cells: train with path_drop 0"
        )
    names = [node.name for node in space.graph(arch).nodes]
    slots = [f"{slot.name}." for slot in space.layout.slots if slot.decision is not None]
    ends = [[at for at, name in enumerate(names) if name.startswith(slot)] for slot in slots]
    return [nodes[-1] for nodes in ends if nodes]
