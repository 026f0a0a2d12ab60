"""Search spaces by name. A new space is one file that holds its entry, and one line in `SPACES`."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwnas.errors import HwnasError, OptionError
from hwnas.registry import Registry, is_typed_object
from hwnas.spaces.cell import Cell
from hwnas.spaces.layout import Choice, Decision, Layout, Slot
from hwnas.spaces.record import SpaceEntry, accept, comparable
from hwnas.spaces.space import SearchSpace

__all__ = [
    "SPACES",
    "Cell",
    "Choice",
    "Decision",
    "Layout",
    "SearchSpace",
    "Slot",
    "SpaceEntry",
    "entry",
    "names",
    "proxy",
    "register_space",
    "remake",
    "resolve",
    "space",
]

SPACES: Registry[SpaceEntry] = Registry(
    "space",
    "hwnas.spaces",
    {
        "darts": "hwnas.spaces.darts:ENTRY",
        "darts-s1": "hwnas.spaces.darts_fixed:ENTRY_S1",
        "darts-s2": "hwnas.spaces.darts_fixed:ENTRY_S2",
        "fbnet": "hwnas.spaces.fbnet:ENTRY",
        "nao": "hwnas.spaces.nao:ENTRY",
        "nasbench201": "hwnas.spaces.nasbench201:ENTRY",
        "ofa": "hwnas.spaces.ofa:ENTRY",
        "proxyless": "hwnas.spaces.proxyless:ENTRY",
        "resnet18-bits": "hwnas.spaces.resnet:ENTRY_18",
        "resnet34-bits": "hwnas.spaces.resnet:ENTRY_34",
        "shufflenet": "hwnas.spaces.shufflenet:ENTRY",
    },
    accept,
)


def names() -> list[str]:
    """The names that `space` takes."""
    return SPACES.names()


def entry(name: str) -> SpaceEntry:
    """What is known of a space by name: one that ships, is installed, or was registered.

    Raises:
        UnknownNameError: there is no such space.
        OptionError: an installed package names something that is no space of this name.
    """
    found = SPACES.get(name)
    _check_name(name, found.name)
    return found


def register_space(name: str, thing: Any) -> SpaceEntry:
    """Add a space for this process.

    Args:
        name: that of the `SearchSpace` itself, by which tables and runs name it.
        thing: a function that takes keyword arguments and returns a `SearchSpace`, a `SearchSpace`,
            or a `SpaceEntry`.

    Returns:
        The entry; registering the same thing again changes nothing.

    Raises:
        OptionError: the name is taken or another than the space's own, or the thing is no space.
    """
    added = accept(name, thing)
    _check_name(name, added.name)
    if name in SPACES and SPACES.get(name) == added:
        return SPACES.get(name)
    SPACES.register(name, added)
    return added


def resolve(text: str) -> SpaceEntry:
    """The space that a person typed: a name, ``FILE.py:NAME`` or ``module:NAME``.

    One of a file or module is registered under its own name, so that the tables and runs of this
    process find it. A function is called without arguments once, to learn that name. Texts that
    stand in files must not come here, since a module is imported.

    Raises:
        UnknownNameError: there is no such space.
        OptionError: the file or module has no such space, or its name is taken.
    """
    if text in SPACES or not is_typed_object(text):
        return entry(text)
    found = SPACES.typed(text)
    made = _made(found, text, {})
    added = replace(found, name=made.name)
    if made.name in SPACES and SPACES.get(made.name) != added:
        raise OptionError(
            f"the space {text} is called {made.name!r}, as another is: give it a name of its own, "
            f"such as dataclasses.replace(space, name='my-{made.name}')"
        )
    return register_space(made.name, added)


def space(name: str, **arguments: Any) -> SearchSpace:
    """Make a search space.

    Args:
        name: one of `names`.
        **arguments: those of the function of that name, such as ``input_size`` and ``classes``.

    Raises:
        UnknownNameError: there is no such space.
        OptionError: the space has no such argument, or not with this value.
    """
    found = entry(name)
    known = inspect.signature(found.make).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    for argument in arguments:
        if argument not in known and not takes_any:
            raise OptionError(f"space {name} takes {', '.join(known)}, got {argument!r}")
    made = _made(found, name, arguments)
    _check_name(name, made.name)
    return made


def remake(
    name: str, arguments: Mapping[str, Any], given: SearchSpace | None = None
) -> SearchSpace:
    """The space that a table or another file names; the name is looked up, never imported.

    Args:
        name: of the space.
        arguments: what it was made with.
        given: a space that a person brought along; taken where it is the one that is named.

    Raises:
        UnknownNameError: there is no such space, and it was not given.
        OptionError: the space takes other arguments.
    """
    if (
        given is not None
        and given.name == name
        and comparable(given.arguments) == comparable(arguments)
    ):
        return given
    return space(name, **arguments)


def proxy(deployed: SearchSpace, input_size: int, classes: int, width_mult: float) -> SearchSpace:
    """A smaller space with the same decisions, to train a supernet in minutes.

    The result is the deployed space itself if size and width are unchanged, and for a space that
    has no proxy, whatever the width.

    Raises:
        OptionError: the space has no proxy, and another input size or other classes.
    """
    own_size, own_classes = deployed.input_shape[1], deployed.classes
    if (input_size, classes, width_mult) == (own_size, own_classes, 1.0):
        return deployed
    make = SPACES.get(deployed.name).proxy if deployed.name in SPACES else None
    if make is not None:
        return make(deployed, input_size, classes, width_mult)
    if (input_size, classes) == (own_size, own_classes):
        return deployed
    raise OptionError(
        f"{deployed.name} has no proxy, so its supernet is trained as it is deployed, at input "
        f"size {own_size} and with {own_classes} classes, got {input_size} and {classes}: make "
        "the space with these, or register a SpaceEntry with a proxy"
    )


def _made(found: SpaceEntry, label: str, arguments: Mapping[str, Any]) -> SearchSpace:
    """What an entry makes of some arguments."""
    try:
        made = found.make(**arguments)
    except HwnasError:
        raise
    except TypeError as error:
        raise OptionError(f"space {label}: {error}") from None
    except Exception as error:  # whatever a person's own function raises
        raise OptionError(
            f"space {label} cannot be made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, SearchSpace):
        raise OptionError(
            f"space {label} is made by a function that returns a SearchSpace, got a "
            f"{type(made).__name__}"
        )
    return made


def _check_name(name: str, own: str) -> None:
    if own != name:
        raise OptionError(
            f"a space is registered by its own name, by which tables and runs name it: {own!r}, "
            f"got {name!r}"
        )
