"""The methods, by name: a module each, with `Settings`, `check` and `search`.

A method is one file here and one line in ``METHODS``; from outside, an entry point of the group
``hwnas.methods``, `register_method`, or ``FILE.py:NAME`` typed on the command line, where NAME is
any object with the three. ``Settings`` is a frozen dataclass of `hwnas.search.settings.setting`
fields; ``check(problem, settings)`` refuses what does not fit and returns the settings to use;
``search(context, settings)`` returns the content of ``result.json``. A method that can do without
training, by ``context.looked_up()``, says so with ``LOOKS_UP = True``; one that takes some spaces
alone may have ``suits(space)``, which raises for the others before latencies are measured.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from hwnas.errors import OptionError
from hwnas.registry import Registry

__all__ = ["METHODS", "Method", "accept", "register_method"]


class Method(Protocol):
    """What a method's module has."""

    @property
    def Settings(self) -> type:  # noqa: N802 - a class
        """A frozen dataclass; see `hwnas.search.settings`."""
        ...

    @property
    def check(self) -> Callable[[Any, Any], Any]:
        """``check(problem, settings) -> settings``, before anything trains."""
        ...

    @property
    def search(self) -> Callable[[Any, Any], dict[str, Any]]:
        """``search(context, settings)``; returns the content of ``result.json``."""
        ...


def accept(name: str, thing: Any) -> Method:
    """A thing as a method; raises `OptionError` if it is none."""
    lacking = [part for part in ("Settings", "check", "search") if not hasattr(thing, part)]
    if lacking:
        raise OptionError(
            f"a method has Settings, check and search; {name} lacks {', '.join(lacking)}"
        )
    if not dataclasses.is_dataclass(thing.Settings):
        raise OptionError(f"Settings of the method {name} are a frozen dataclass")
    method: Method = thing
    return method


METHODS: Registry[Method] = Registry(
    "method",
    "hwnas.methods",
    {
        "spos": "hwnas.search.methods.spos",
        "betanas": "hwnas.search.methods.betanas",
        "amended-darts": "hwnas.search.methods.amended_darts",
        "nao": "hwnas.search.methods.nao",
        "tnas-os": "hwnas.search.methods.tnas_os",
        "tnas-g": "hwnas.search.methods.tnas_g",
    },
    accept,
)


def register_method(name: str, method: Any) -> None:
    """Add a method for this process.

    Args:
        name: on the command line, and ``method=`` in Python.
        method: has ``Settings``, ``check`` and ``search``; a module does.

    Raises:
        OptionError: the name is taken, or it is no method.
    """
    METHODS.register(name, method)
