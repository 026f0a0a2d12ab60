"""How a space is made narrower and shallower in strides: what its proxy shares with it."""

import math
from collections.abc import Sequence

from hwnas.errors import OptionError

__all__ = ["check_width_mult", "divisible", "kept_strides"]


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of ``by`` that is not more than 10 % too small (MobileNetV2)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def check_width_mult(space: str, width_mult: float) -> None:
    """Raise `OptionError` if a width multiplier is not a number above 0."""
    if not (isinstance(width_mult, int | float) and 0 < width_mult < math.inf):
        raise OptionError(f"width_mult of {space} is a number above 0, got {width_mult!r}")


def kept_strides(strides: Sequence[int], input_size: int, order: Sequence[int]) -> list[int]:
    """Strides of which only as many stay as bring ``input_size`` down to about 4 pixels.

    Args:
        strides: of the full network.
        input_size: pixels.
        order: positions in ``strides``, the one to be kept first at the front.

    Returns:
        As many strides, those that are not kept being 1.
    """
    halvings = max(0, round(math.log2(max(input_size, 1) / 4)))
    kept = set(order[:halvings])
    return [stride if at in kept else 1 for at, stride in enumerate(strides)]
