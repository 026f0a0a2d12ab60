"""Counts as people write them."""

import math

__all__ = ["millions"]


def millions(count: float, places: int = 1) -> str:
    """A count that is not negative in millions: ``566.2 M``.

    Args:
        count: in ones.
        places: behind the point; so many more as two digits need where these would show zeros:
            ``0.012 M``.
    """
    if not count:
        return "0"
    value = count / 1e6
    if value < 0.5 * 10**-places:
        places = 1 - math.floor(math.log10(value))
    return f"{value:.{places}f} M"
