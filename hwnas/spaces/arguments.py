"""Checks of the arguments that spaces are made with."""

import math
from collections.abc import Mapping
from typing import Any

from hwnas.errors import OptionError

__all__ = ["check_cell_network", "check_sizes", "check_width_mult"]


#: Larger ones belong to no network; what names them is damaged, or wants memory without end.
_MOST, _MOST_STAGES, _MOST_BLOCKS, _MOST_TIMES = 2**16, 64, 256, 100
#: Arguments that say how often something stands in a network.
_REPEATS = ("cells", "repeats", "stage_depths")


def check_sizes(space: str, sizes: Mapping[str, Any]) -> None:
    """Check arguments that are whole numbers of at least 1, or lists of them; none is absurd.

    Raises:
        OptionError: one is not, or is.
    """
    for name, value in sizes.items():
        values = value if isinstance(value, list) else [value]
        if not values or any(type(v) is not int or v < 1 for v in values):
            raise OptionError(f"{name} of {space} takes whole numbers of at least 1, got {value!r}")
        many = name in _REPEATS and sum(values) > _MOST_BLOCKS
        if many or len(values) > _MOST_STAGES or max(values) > _MOST:
            raise OptionError(
                f"{name} of {space} takes at most {_MOST_STAGES} numbers of at most {_MOST}, and "
                f"{_MOST_BLOCKS} blocks in all, got {str(value)[:60]}"
            )


def check_cell_network(space: str, arguments: Mapping[str, Any]) -> None:
    """Check the arguments of a network of cells with two reductions, each in two halves.

    Args:
        space: its name.
        arguments: ``input_size``, ``classes``, ``channels``, ``cells`` or ``repeats``, and perhaps
            the switch ``pool_norm``.

    Raises:
        OptionError: one is no whole number of at least 1, there is no normal cell or an odd number
            of channels, the input cannot be halved twice, or the switch is none.
    """
    sizes = {name: value for name, value in arguments.items() if name != "pool_norm"}
    check_sizes(space, sizes)
    if sizes.get("cells", 3) < 3:
        raise OptionError(
            f"cells of {space} are at least 3, a normal one and two reductions, got "
            f"{sizes['cells']}"
        )
    if sizes["channels"] % 2:
        raise OptionError(
            f"channels of {space} are even, since reductions give them in two halves, got "
            f"{sizes['channels']}"
        )
    if sizes["input_size"] % 4:
        raise OptionError(f"input_size of {space} is a multiple of 4, got {sizes['input_size']}")
    if not isinstance(arguments.get("pool_norm", False), bool):
        raise OptionError(f"pool_norm of {space} is true or false, got {arguments['pool_norm']!r}")


def check_width_mult(space: str, width_mult: Any) -> None:
    """Check a factor of all widths.

    Raises:
        OptionError: it is not a number above 0, or absurd.
    """
    if not (isinstance(width_mult, int | float) and 0 < width_mult < math.inf):
        raise OptionError(f"width_mult of {space} is a number above 0, got {width_mult!r}")
    if width_mult > _MOST_TIMES:
        raise OptionError(f"width_mult of {space} is at most {_MOST_TIMES}, got {width_mult!r}")
