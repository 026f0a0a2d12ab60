"""Settings of a search: frozen dataclasses whose fields say type, bounds, and one line of help.

A field is ``name: Annotated[int, Ge(1)] = setting(600, "Training steps of the supernet.")``. The
command line makes its flags from the fields, and `make` turns what a person gave into settings, or
says what is wrong with it.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from hwnas.errors import OptionError
from hwnas.given import MOST_SEED

__all__ = [
    "Field",
    "check_fields",
    "fields_of",
    "make",
    "restored",
    "setting",
    "stored",
]

S = TypeVar("S")
_KEY = "hwnas"

#: Of numbers whose field names no other limit.
_MOST = {int: float(MOST_SEED), float: 1e30}


def setting(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    old_flag: str | None = None,
    metavar: str | None = None,
    key: str | None = None,
    most: float | None = None,
    later: bool = False,
) -> Any:
    """A field of a settings dataclass.

    Args:
        default: where nothing is given.
        help: one line.
        flag: on the command line; by default the field's name with hyphens.
        old_flag: a flag of an earlier version that still works.
        metavar: what the flag takes, for its help.
        key: its name in ``config.json``, where earlier versions wrote another than the field's.
        most: a size, either way from 0, that nobody needs exceeded: a slip of the finger would run
            for years, or fill the memory. It is said where it is exceeded, and not in the help.
            Where it is infinite, so may the number be.
        later: whether earlier versions did not have it. ``config.json`` then holds it only where it
            is not the default, so that their runs go on.
    """
    about: dict[str, Any] = {"help": help, "flag": flag, "old_flag": old_flag, "metavar": metavar}
    about |= {"key": key, "most": most, "later": later}
    return field(default=default, metadata={_KEY: about})


@dataclass(frozen=True)
class Field:
    """One setting, as its dataclass describes it.

    Attributes:
        name: of the field.
        kind: ``int``, ``float``, ``bool`` or ``str``; ``list`` for several texts.
        choices: the texts that are allowed; empty for any.
        bounds: of numbers.
        optional: whether None is allowed.
        numbers: whether a sequence of numbers is allowed in place of a text.
        default, help, flag, old_flag, metavar, key, most, later: see `setting`.
    """

    name: str
    kind: type
    choices: tuple[str, ...]
    bounds: tuple[Ge | Gt | Le | Lt, ...]
    optional: bool
    numbers: bool
    default: Any
    help: str
    flag: str
    old_flag: str | None
    metavar: str | None
    key: str
    most: float
    later: bool

    def check(self, value: Any) -> Any:
        """The value; a number, numpy's among them, as Python's int or float.

        Raises:
            OptionError: it is of another type, or out of bounds; the message says what is allowed.
        """
        if value is None and self.optional:
            return None
        if self.numbers and _is_numbers(value):
            return tuple(float(v) for v in value)
        given, value = value, _number(value, self.kind)
        good = _is_texts(value) if self.kind is list else type(value) is self.kind
        if self.kind is str:
            good = isinstance(value, str)
        if good and self.choices:
            good = value in self.choices
        if good and self.kind in (int, float):
            good = self._finite(value) and all(_holds(bound, value) for bound in self.bounds)
        if not good:
            raise OptionError(f"{self.name} is {self.allowed}, got {given!r}")
        if self.kind in (int, float) and abs(value) > self.most:
            raise OptionError(
                f"{self.name} is at most {self.most:g}, since nobody needs more, got {given!r}"
            )
        return value

    def _finite(self, value: float) -> bool:
        if self.kind is int or math.isfinite(value):
            return True
        return math.isinf(value) and math.isinf(self.most)

    @property
    def allowed(self) -> str:
        """What values are allowed, in words."""
        if self.choices:
            words = f"one of {', '.join(self.choices)}"
        else:
            words = {int: "a whole number", float: "a number", bool: "True or False"}.get(
                self.kind, "a list of texts" if self.kind is list else "a text"
            )
            words += " or a list of numbers" if self.numbers else ""
            words += "".join(f" {_WORDS[type(b)]} {_limit(b):g}" for b in self.bounds)
        return f"{words}, or None" if self.optional else words


_WORDS = {Ge: "of at least", Gt: "above", Le: "up to", Lt: "below"}


def fields_of(settings: type) -> list[Field]:
    """The fields of a settings dataclass that `setting` made, in order.

    Raises:
        OptionError: it is no dataclass.
    """
    if not dataclasses.is_dataclass(settings):
        raise OptionError(f"settings are a frozen dataclass, got {settings!r}")
    hints = get_type_hints(settings, include_extras=True)
    return [
        _field(f.name, hints[f.name], f.default, f.metadata[_KEY])
        for f in dataclasses.fields(settings)
        if _KEY in f.metadata
    ]


def _field(name: str, hint: Any, default: Any, about: Mapping[str, Any]) -> Field:
    optional = numbers = False
    if get_origin(hint) in (Union, UnionType):
        parts = get_args(hint)
        optional = NoneType in parts
        hint, *others = (part for part in parts if part is not NoneType)
        numbers = bool(others)
    bounds: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)[0], get_args(hint)[1:]
    choices: tuple[str, ...] = ()
    if get_origin(hint) is Literal:
        choices, hint = get_args(hint), str
    elif get_origin(hint) is not None:
        hint = list  # a sequence of texts
    given = dict(about)
    given["flag"] = given["flag"] or f"--{name.replace('_', '-')}"
    given["key"] = given["key"] or name
    given["most"] = _MOST.get(hint, math.inf) if given["most"] is None else given["most"]
    return Field(name, hint, choices, bounds, optional, numbers, default, **given)


def check_fields(settings: Any) -> None:
    """Check every field of settings, however they were made: a ``__post_init__`` calls this.

    Numbers of numpy become Python's.

    Raises:
        OptionError: a value that is not allowed.
    """
    for f in fields_of(type(settings)):
        object.__setattr__(settings, f.name, f.check(getattr(settings, f.name)))


def make(settings: type[S], given: Mapping[str, Any], owner: str) -> S:
    """Settings from what a person gave; what was not given keeps its default.

    Args:
        settings: the dataclass.
        given: by field name.
        owner: the name of what takes them, for messages: ``spos``.

    Raises:
        OptionError: a name that is no field, or a value that is not allowed.
    """
    known = {f.name: f for f in fields_of(settings)}
    for name in given:
        if name not in known:
            raise OptionError(f"{owner} takes {', '.join(known)}; got {name!r}")
    return settings(**{name: known[name].check(value) for name, value in given.items()})


def stored(settings: Any) -> dict[str, Any]:
    """Settings as ``config.json`` holds them: by `Field.key`."""
    values = [(f, getattr(settings, f.name)) for f in fields_of(type(settings))]
    return {f.key: value for f, value in values if not f.later or value != f.default}


def restored(settings: type[S], config: Mapping[str, Any]) -> S:
    """Settings of what a ``config.json`` holds; what it does not say has its default.

    Raises:
        OptionError: a value that is not allowed.
    """
    known = fields_of(settings)
    return settings(**{f.name: f.check(config[f.key]) for f in known if f.key in config})


def _holds(bound: Ge | Gt | Le | Lt, value: float) -> bool:
    limit = _limit(bound)
    if isinstance(bound, Ge | Gt):
        return value >= limit if isinstance(bound, Ge) else value > limit
    return value <= limit if isinstance(bound, Le) else value < limit


def _limit(bound: Ge | Gt | Le | Lt) -> float:
    return float(getattr(bound, type(bound).__name__.lower()))


def _number(value: Any, kind: type) -> Any:
    """A number as Python's own int or float, where one is wanted; else the value itself."""
    if isinstance(value, bool):
        return value
    if kind is int and isinstance(value, Integral):
        return int(value)
    try:
        return float(value) if kind is float and isinstance(value, Real) else value
    except OverflowError:  # a whole number beyond all floats
        return math.inf


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(part, str) for part in value)


def _is_numbers(value: Any) -> bool:
    """Whether it is a list of finite numbers, numpy's among them."""
    return isinstance(value, list | tuple) and all(
        isinstance(part, Real) and not isinstance(part, bool) and math.isfinite(part)
        for part in value
    )
