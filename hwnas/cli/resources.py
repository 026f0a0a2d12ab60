"""What commands make of their words: a space, a person's own one, the path of a table."""

from typing import Any

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.latency_tables import all_tables
from hwnas.registry import is_typed_object, typed_object
from hwnas.spaces import CHANNEL_SCALES, SearchSpace

__all__ = ["make_space", "own_space", "resolved"]


def make_space(name: str, *, channels: bool = False, **arguments: Any) -> SearchSpace:
    """The space of the flags; those that were not given are left to the space."""
    if channels:
        arguments["scales"] = CHANNEL_SCALES
    return spaces.space(name, **{k: v for k, v in arguments.items() if v is not None})


def own_space(text: str | None, **arguments: Any) -> SearchSpace | None:
    """A person's own space of ``FILE.py:NAME`` or ``module:NAME``; None where nothing was typed.

    Args:
        text: names a space, or a callable that makes one.
        **arguments: what the callable is given.

    Raises:
        OptionError: it is not of this form, cannot be imported, or is no space.
    """
    if text is None:
        return None
    if not is_typed_object(text):
        raise OptionError(f"an own space is written FILE.py:NAME or module:NAME, got {text!r}")
    found = typed_object(text)
    if callable(found) and not isinstance(found, SearchSpace):
        try:
            found = found(**arguments)
        except Exception as error:  # whatever a person's own file raises
            raise OptionError(f"{text} makes no space: {type(error).__name__}: {error}") from error
    if not isinstance(found, SearchSpace):
        raise OptionError(
            f"{text} must be a SearchSpace or a callable that returns one, got {found!r}"
        )
    return found


def resolved(name: str) -> str:
    """A name from ``hwnas tables list`` as a path; anything else as it is."""
    return next((str(path) for known, path, _ in all_tables() if known == name), name)
