"""Checks of the arguments that spaces are made with."""

from collections.abc import Mapping
from typing import Any

from hwnas.errors import OptionError

__all__ = ["check_sizes", "check_width_mult"]


#: Sizes, and factors of sizes, that no network of this world reaches.
_MOST, _MOST_WIDTH = 10_000_000, 10_000


def check_sizes(space: str, sizes: Mapping[str, Any]) -> None:
    """Check arguments that are whole numbers of at least 1, or lists of them.

    Raises:
        OptionError: one is not.
    """
    for name, value in sizes.items():
        values = value if isinstance(value, list) else [value]
        if not values or any(type(v) is not int or v < 1 for v in values):
            raise OptionError(f"{name} of {space} takes whole numbers of at least 1, got {value!r}")
        if max(values) > _MOST:
            raise OptionError(f"{name} of {space} is at most {_MOST}, got {value!r}")


def check_width_mult(space: str, width_mult: Any) -> None:
    """Check a factor of all widths.

    Raises:
        OptionError: it is not a number above 0, or absurd.
    """
    if not (isinstance(width_mult, int | float) and 0 < width_mult <= _MOST_WIDTH):
        raise OptionError(
            f"width_mult of {space} is a number above 0 up to {_MOST_WIDTH:g}, got {width_mult!r}"
        )
