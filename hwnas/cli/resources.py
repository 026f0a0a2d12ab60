"""What commands make of their words: a space, and a person's own one."""

from typing import Any

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.spaces import SearchSpace

__all__ = ["know_space", "make_space"]


def make_space(text: str, *, channels: bool = False, **arguments: Any) -> SearchSpace:
    """The space of the flags; those that were not given are left to the space.

    Raises:
        UnknownNameError: there is no such space.
        OptionError: ``FILE.py:NAME`` holds none, or the space takes other arguments.
    """
    entry = spaces.resolve(text)
    if channels:
        arguments["scales"] = entry.channel_scales
    return spaces.space(entry.name, **{k: v for k, v in arguments.items() if v is not None})


def know_space(text: str | None, wanted: str) -> None:
    """Make a person's own space known by its name, so that a run of it can be read.

    Args:
        text: ``FILE.py:NAME`` or ``module:NAME``; None where nothing was typed.
        wanted: the name of the space of the run.

    Raises:
        OptionError: it cannot be imported, or is no space, or another one.
    """
    if text is not None and (name := spaces.resolve(text).name) != wanted:
        raise OptionError(f"--space {text} is {name}, and the run searched {wanted}")
