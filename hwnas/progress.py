"""How long work tells where it stands, and what it has to say; only the command line prints."""

import logging
from collections.abc import Callable

__all__ = ["LOG", "Progress", "say", "silent"]

#: Called while something lasts: what it is, the share that is done (0 to 1), and a short remark.
Progress = Callable[[str, float, str], None]

#: What `say` says; the command line prints it, a program may listen to it.
LOG = logging.getLogger("hwnas")


def silent(task: str, share: float, remark: str) -> None:
    """Tell nobody."""


def say(text: str, *, warning: str = "") -> None:
    """One line of words for a person, a warning first."""
    level = logging.WARNING if warning else logging.INFO
    LOG.log(level, " ".join(filter(None, (warning, text))), extra={"line": (warning, text)})
