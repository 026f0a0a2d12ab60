"""Checks of the arguments that spaces are made with."""

import math
from collections.abc import Mapping
from typing import Any

from hwnas.errors import OptionError

__all__ = ["check_sizes", "check_width_mult"]


def check_sizes(space: str, sizes: Mapping[str, Any]) -> None:
    """Check arguments that are whole numbers of at least 1, or lists of them.

    Raises:
        OptionError: one is not.
    """
    for name, value in sizes.items():
        values = value if isinstance(value, list) else [value]
        if not values or any(type(v) is not int or v < 1 for v in values):
            raise OptionError(f"{name} of {space} takes whole numbers of at least 1, got {value!r}")


def check_width_mult(space: str, width_mult: Any) -> None:
    """Check a factor of all widths.

    Raises:
        OptionError: it is not a finite number above 0.
    """
    if not (isinstance(width_mult, int | float) and 0 < width_mult < math.inf):
        raise OptionError(f"width_mult of {space} is a number above 0, got {width_mult!r}")
