"""Sizes of single nodes: every one drawn by itself."""

import numpy as np

from hwnas.profilers.drawn_graph import DrawnGraph

__all__ = ["MOST", "any_image", "any_shape", "half"]

#: Numbers in a tensor.
_LEAST, MOST = 32, 3_000_000


def half(net: DrawnGraph, *shape: int) -> str:
    """A constant of these sizes."""
    return net.const(np.full(shape, 0.5, np.float32))


def any_shape(net: DrawnGraph, most: float = MOST) -> tuple[int, ...]:
    """Rows, tokens, images, signals or windows of attention."""
    total = max(1, net.size(_LEAST, most) // net.batch)
    form = net.pick("rows", "tokens", "image", "image", "signal", "windows")
    if form == "image":
        channels = min(total, net.size(1, 1024))
        side = max(1, round((total / channels) ** 0.5))
        return net.batch, channels, side, side
    if form == "windows":
        side = min(net.size(8, 256), max(1, round(total**0.5)))
        return net.batch, max(1, total // side**2), side, side
    last = min(total, net.size(2, 4096))
    if form == "rows":
        return net.batch * max(1, total // last), last
    if form == "tokens":
        return net.batch, max(1, total // last), last
    channels = min(total, net.size(1, 512))
    return net.batch, channels, max(1, total // channels)


def any_image(net: DrawnGraph, most: float = MOST) -> tuple[int, int, int, int]:
    """Batch, channels, height and width of at most about so many numbers."""
    channels = net.size(1, 512)
    side = max(4, round(net.size(64, most) ** 0.5 / (channels * net.batch) ** 0.5))
    return net.batch, channels, side, max(4, round(side * net.pick(1, 1, 1, 1.8)))
