"""What commands make of their words: a space, and a person's own one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hwnas import spaces
from hwnas.errors import HwnasError, OptionError, UnknownNameError
from hwnas.latency_tables import Finding, LatencyTable, check_table, table_path
from hwnas.registry import is_typed_object
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.predictors import LatencyPredictor

__all__ = [
    "asking_for_space",
    "findings_in",
    "know_space",
    "make_predictor",
    "make_space",
    "named_source",
]


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


def named_source(table: str, batch: int | None) -> str:
    """What a typed table or predictor is called, an engine with its batch.

    Raises:
        click.UsageError: a batch of what is no engine.
    """
    from hwnas.predictors import is_engine, parse_engine

    source = str(table_path(table))
    if is_engine(source):
        return parse_engine(source, batch).name
    if batch is not None:
        raise click.UsageError("--batch is of engines such as v100-tensorrt-fp16")
    return source


def make_predictor(
    table: str, space: str | None, batch: int | None, **said: Any
) -> "LatencyPredictor":
    """What predicts where a table was measured: its own space, or the one that is typed.

    Args:
        table: name or path of a table or predictor, or an engine.
        space: as typed; None for the table's own.
        batch: as typed, of an engine.
        said: what flags say of the space; see `make_space`.

    Raises:
        click.UsageError: a batch of what is no engine.
        OptionError: it does not say its space, or knows nothing of the one that is typed.
    """
    from hwnas.predictors import is_csv, is_engine, load_predictor

    source = named_source(table, batch)
    if is_engine(source):
        return load_predictor(source, None if space is None else make_space(space, **said))
    know_space(space)
    sized = any(value not in (None, False) for value in said.values())
    knows_none = is_csv(source) or is_typed_object(source)
    with asking_for_space():
        if space is not None and (sized or knows_none):
            return load_predictor(source, make_space(space, **said))
        own = load_predictor(source)
    if space is None or own.space.name == spaces.resolve(space).name:
        return own
    return load_predictor(source, make_space(space))


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
