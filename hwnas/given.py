"""Numbers that a person's program gives: as Python's own, or refused in one sentence."""

from numbers import Integral, Real
from typing import Any

from hwnas.errors import OptionError

__all__ = ["MOST_SECONDS", "MOST_SEED", "check_seconds", "check_seed", "check_whole"]

#: The largest seed: what torch and a file of an archive hold.
MOST_SEED = 2**63 - 1
#: The longest that anything is measured on request: a day.
MOST_SECONDS = 86_400.0


def check_whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number within bounds as Python's int; numpy's are such, truths are none.

    Raises:
        OptionError: it is none.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not least <= int(value) <= most:
        raise OptionError(f"{name} is a whole number from {least} to {most}, got {value!r}")
    return int(value)


def check_seed(seed: Any) -> int:
    """A seed as Python's int.

    Raises:
        OptionError: it is none.
    """
    return check_whole("a seed", seed, 0, MOST_SEED)


def check_seconds(seconds: Any) -> float:
    """How long something is measured at least, s.

    Raises:
        OptionError: it is no such number.
    """
    is_number = isinstance(seconds, Real) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= MOST_SECONDS:
        raise OptionError(f"seconds are a number from 0 to {MOST_SECONDS:g}, got {seconds!r}")
    return float(seconds)
