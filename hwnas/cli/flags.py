"""Flags made from settings: a field of a dataclass says type, bounds and help of its flag."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import click
from annotated_types import Ge, Gt, Le, Lt
from click.core import ParameterSource

from hwnas.cli.numbers import Number, Whole
from hwnas.search.settings import Field, fields_of

__all__ = ["Flag", "RecordedCommand", "flags_of", "settings_options", "typed_options"]

_ARGS = "hwnas.args"


class Flag(click.Option):
    """An option whose help shows its first name only; others are those of earlier versions."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Without the names of earlier versions."""
        names = self.opts
        self.opts = names[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = names


class RecordedCommand(click.Command):
    """Remembers what was typed, so that messages name flags as they were written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with a copy of the words."""
        ctx.meta[_ARGS] = list(args)
        return super().parse_args(ctx, args)


def typed_options() -> dict[str, str]:
    """The options of the current command that were typed, in order: argument -> flag."""
    context = click.get_current_context()
    words = [word.partition("=")[0] for word in context.meta.get(_ARGS, ())]
    typed: dict[str, str] = {}
    for option in context.command.get_params(context):
        source = context.get_parameter_source(option.name) if option.name else None
        if option.name and source is ParameterSource.COMMANDLINE:
            flag = next((word for word in words if word in option.opts), option.opts[0])
            typed[option.name] = flag
    return dict(sorted(typed.items(), key=lambda item: _position(words, item[1])))


def _position(words: Sequence[str], flag: str) -> int:
    return words.index(flag) if flag in words else len(words)


def flags_of(settings: type, *, hidden: bool = False) -> list[click.Option]:
    """One option for each field of a settings dataclass."""
    return [_flag(field, hidden) for field in fields_of(settings)]


def settings_options(settings: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The same as a decorator of a command's function."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        known: list[click.Parameter] = getattr(function, "__click_params__", [])
        known += reversed(flags_of(settings))
        function.__click_params__ = known  # type: ignore[attr-defined]
        return function

    return decorate


def _flag(field: Field, hidden: bool) -> click.Option:
    names = [field.flag, *([field.old_flag] if field.old_flag else []), field.name]
    told = "[default:" in field.help or field.default is None or field.kind in (bool, list)
    return Flag(
        names,
        type=_type(field),
        is_flag=field.kind is bool,
        multiple=field.kind is list,
        default=field.default,
        show_default=not told,
        metavar=field.metavar,
        help=field.help,
        hidden=hidden,
    )


def _type(field: Field) -> Any:
    if field.choices:
        return click.Choice(field.choices)
    if field.kind is bool:
        return None
    if field.kind is list:
        return str
    if field.kind not in (int, float):
        return field.kind
    low, low_open = _bound(field.bounds, Ge, Gt)
    high, high_open = _bound(field.bounds, Le, Lt)
    known = {"min": low, "max": high, "min_open": low_open, "max_open": high_open}
    if field.kind is int:
        return Whole(most=field.most, **known)
    return Number(most=field.most, infinite=math.isinf(field.most), **known)


def _bound(bounds: Sequence[Any], closed: type, opened: type) -> tuple[Any, bool]:
    for bound in bounds:
        if isinstance(bound, closed | opened):
            return getattr(bound, type(bound).__name__.lower()), isinstance(bound, opened)
    return None, False
