"""How long work tells where it stands; only the command line draws it."""

from collections.abc import Callable

__all__ = ["Progress", "silent"]

#: Called while something lasts: what it is, the share that is done (0 to 1), and a short remark.
Progress = Callable[[str, float, str], None]


def silent(task: str, share: float, remark: str) -> None:
    """Tell nobody."""
