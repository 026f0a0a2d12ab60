"""Which space a search deploys: the one that was asked for, else the one of the table."""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from hwnas import spaces
from hwnas.errors import HwnasError, OptionError
from hwnas.latency_tables import LatencyTable
from hwnas.predictors import load_predictor
from hwnas.search.options import SearchOptions, SpaceOptions
from hwnas.spaces import SearchSpace

__all__ = ["Origin", "deployed_space", "has_proxy", "origin_of", "proxy_width"]

_DEFAULT_SPACE = "proxyless"
#: Name and arguments of the space that latencies were measured on.
Origin = tuple[str, Mapping[str, Any]]


def origin_of(source: Any, wanted: SearchSpace | str | None) -> Origin | None:
    """Name and arguments of the space that latencies were measured on, if that can be told."""
    if isinstance(source, LatencyTable):
        return source.space.name, source.space.arguments
    if source is None or isinstance(wanted, SearchSpace):
        return None
    try:
        space = load_predictor(source).space
    except HwnasError:  # it does not say; where it must, loading it for a space says what is wrong
        return None
    return space.name, space.arguments


def deployed_space(
    space: SearchSpace | str | None,
    options: SpaceOptions,
    known: Origin | None,
    classes: int | None,
) -> SearchSpace:
    """The deployed space: arguments that were asked for, else the table's, else its defaults.

    Raises:
        OptionError: sizes are given beside a space that is an object and has its own.
    """
    said = {field.name: getattr(options, field.name) for field in fields(SpaceOptions)}
    if isinstance(space, SearchSpace):
        if asked := [name for name, value in said.items() if value not in (None, False)]:
            raise OptionError(
                f"{', '.join(asked)} is said of a space that is given as an object: make the "
                "object with it"
            )
        return space
    entry = _entry(space, known)
    arguments: dict[str, Any] = {}
    if classes is not None and "classes" in inspect.signature(entry.make).parameters:
        arguments["classes"] = classes
    if known and known[0] == entry.name:
        sizes = ("input_size", "width_mult", "classes", "channels", "cells", "repeats")
        arguments |= {key: known[1][key] for key in sizes if key in known[1]}
        if classes is not None and arguments.get("classes", classes) < classes:
            arguments["classes"] = classes
    return spaces.space(entry.name, **{**arguments, **entry.arguments_of(said)})


def has_proxy(space: SearchSpace | str | None, known: Origin | None) -> bool:
    """Whether a smaller space with the same decisions can be trained in its place."""
    if isinstance(space, SearchSpace):
        return space.name in spaces.SPACES and spaces.entry(space.name).proxy is not None
    return _entry(space, known).proxy is not None


def _entry(typed: str | None, known: Origin | None) -> spaces.SpaceEntry:
    """The space that a person typed, else the table's, which is looked up and never imported.

    Raises:
        UnknownNameError: a space of this name does not exist.
        OptionError: there is none where the person typed it, or the table's is not known.
    """
    if typed is not None:
        return spaces.resolve(typed)
    name = known[0] if known else _DEFAULT_SPACE
    if name not in spaces.SPACES:
        raise OptionError(
            f"the table is of a space {name!r} that is not known here: if it is your own, give it "
            "again, --space FILE.py:NAME, or take another with --space NAME"
        )
    return spaces.entry(name)


def proxy_width(options: SearchOptions, space: SearchSpace) -> float:
    """1 where there is no proxy that could be narrower."""
    return options.proxy_width if has_proxy(space, None) else 1.0
