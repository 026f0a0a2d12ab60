"""What commands make of their words: a space, and a person's own one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hwnas import spaces
from hwnas.errors import HwnasError, OptionError, UnknownNameError
from hwnas.latency_tables import Finding, LatencyTable, check_table
from hwnas.spaces import SearchSpace

__all__ = ["asking_for_space", "findings_in", "know_space", "make_space"]


def make_space(text: str, **said: Any) -> SearchSpace:
    """The space of the flags; those that were not given are left to the space.

    Raises:
        UnknownNameError: there is no such space.
        OptionError: ``FILE.py:NAME`` holds none, or the space takes other arguments.
    """
    entry = spaces.resolve(text)
    return spaces.space(entry.name, **entry.arguments_of(said))


def know_space(text: str | None, wanted: str | None = None) -> None:
    """Make a person's own space known by its name, so that a run of it can be read.

    Args:
        text: ``FILE.py:NAME`` or ``module:NAME``; None where nothing was typed.
        wanted: the name of the space of the run, where there is one.

    Raises:
        OptionError: it cannot be imported, or is no space, or another one.
    """
    if text is not None and (name := spaces.resolve(text).name) != (wanted or name):
        raise OptionError(f"--space {text} is {name}, and the run searched {wanted}")


@contextmanager
def asking_for_space() -> Iterator[None]:
    """Say what to do where a file names a space that is not known here.

    Raises:
        OptionError: it does.
    """
    try:
        yield
    except UnknownNameError as error:
        if error.what != "space":
            raise
        raise OptionError(
            f"{error}; one of your own is given again: --space FILE.py:NAME"
        ) from None


def findings_in(table: LatencyTable) -> list[Finding]:
    """What is suspicious in a table; operators of its own space are known, if that space is."""
    try:
        families = spaces.remake(table.space.name, table.space.arguments).families
    except HwnasError:
        families = {}
    return check_table(table, families)
