"""Things by name: those that ship, those of installed packages, those that a program registered.

A name is looked up in a literal table, then among the entry points of installed packages, then
among what `Registry.register` was given. On the command line a person may also type
``FILE.py:NAME`` or ``module:NAME``. Nothing that stands in a file is ever looked up so: a module
that a table, a run or a checkpoint names is not imported.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from hwnas.errors import OptionError, UnknownNameError

__all__ = ["Registry", "is_typed_object", "typed_modules", "typed_object"]

T = TypeVar("T")

#: Modules of files that a person typed, by path.
_FILES: dict[Path, ModuleType] = {}
#: Modules that lie beside such files, and that these imported.
_NEIGHBOURS: list[ModuleType] = []


class Registry(Generic[T]):
    """The things of one kind.

    Args:
        kind: what they are, for messages: ``space``.
        group: of entry points, such as ``hwnas.spaces``.
        shipped: name -> thing, or ``module:NAME`` that is imported when it is asked for.
        accept: turns what was registered, or found by an entry point, into a thing, given its
            name; raises `OptionError` if it is none.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        shipped: Mapping[str, T | str],
        accept: Callable[[str, Any], T],
    ):
        self.kind = kind
        self._group = group
        self._shipped = shipped
        self._accept = accept
        self._registered: dict[str, T] = {}

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self._shipped, *self._registered, *self._installed()})

    def __contains__(self, name: object) -> bool:
        return name in self._shipped or name in self._registered or name in self._installed()

    def get(self, name: str) -> T:
        """The thing of a name.

        Raises:
            UnknownNameError: there is none.
            OptionError: an installed package names something that is no such thing, or a name that
                ships or that another package uses.
        """
        if name in self._registered:
            return self._registered[name]
        installed = self._installed().get(name, [])
        if len(installed) + (name in self._shipped) > 1:
            raise OptionError(
                f"an installed package names its {self.kind} {name!r} ({installed[-1]}), which is "
                "taken: uninstall one of the two"
            )
        if name in self._shipped:
            thing = self._shipped[name]
            return self._accept(name, _imported(thing)) if isinstance(thing, str) else thing
        if not installed:
            raise UnknownNameError(self.kind, name, self.names())
        where = f"entry point {installed[0]} of an installed package"
        self._registered[name] = self._accept(name, _loaded(installed[0], where))
        return self._registered[name]

    def register(self, name: str, thing: Any) -> None:
        """Add a thing for this process; child processes of a search get what they need of it.

        Raises:
            OptionError: the name is taken, or is none, or the thing is not of this kind.
        """
        if not isinstance(name, str) or not name or any(mark in name for mark in ":/\\ ,"):
            raise OptionError(
                f"a {self.kind} is registered by a name without ':', '/', ',' or spaces, got "
                f"{name!r}"
            )
        accepted = self._accept(name, thing)
        if name in self and not (name in self._registered and self._registered[name] is accepted):
            raise OptionError(f"there is a {self.kind} {name!r} already: register another name")
        self._registered[name] = accepted

    def known_elsewhere(self, text: str) -> bool:
        """Whether another process finds a thing by this text: it was not registered in this one."""
        return text in self._shipped or text in self._installed() or is_typed_object(text)

    def typed(self, text: str) -> T:
        """What a person typed: a name, ``FILE.py:NAME`` or ``module:NAME``.

        Raises:
            UnknownNameError: it is no name of the registry.
            OptionError: the file or module cannot be imported, or has no such thing.
        """
        if text in self or not is_typed_object(text):
            return self.get(text)
        return self._accept(self.name_of(text), typed_object(text))

    def name_of(self, text: str) -> str:
        """What to call the thing that a person typed: its name, or that of the object or file."""
        if text in self or not is_typed_object(text):
            return text
        return Path(text).stem if text.endswith(".py") else text.rpartition(":")[2]

    def _installed(self) -> dict[str, list[str]]:
        """Name -> ``module:NAME`` of the entry points of installed packages, each once.

        Names that clash are left to `get`, so that other names stay usable.
        """
        found: dict[str, list[str]] = {}
        for point in _entry_points(self._group, tuple(sys.path)):
            named = found.setdefault(point.name, [])
            if point.value not in named:
                named.append(point.value)
        return found


@cache
def _entry_points(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Those of the packages on a path, looked up once: it takes 15 ms, and a command asks often."""
    return tuple(entry_points(group=group))


def is_typed_object(text: str) -> bool:
    """Whether a text has the form ``FILE.py:NAME``, ``module:NAME``, or ``FILE.py``."""
    if not isinstance(text, str):  # whatever a program gives where a name belongs
        return False
    if text.endswith(".py"):
        return True
    module, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        return False
    return module.endswith(".py") or all(part.isidentifier() for part in module.split("."))


def typed_object(text: str) -> Any:
    """The object of ``FILE.py:NAME`` or ``module:NAME``, which a person typed; of ``FILE.py`` all.

    Raises:
        OptionError: there is no such file, module or name, or importing it fails.
    """
    if not is_typed_object(text):
        raise OptionError(f"an own object is written FILE.py:NAME or module:NAME, got {text!r}")
    return _loaded(text, text, _of_module)


def typed_modules() -> list[ModuleType]:
    """The modules that no other process can import: of files typed so far, and beside them."""
    return [*_FILES.values(), *_NEIGHBOURS]


def _loaded(
    text: str, where: str, load: Callable[[str], ModuleType] = importlib.import_module
) -> Any:
    """The object of ``module:NAME``, or a whole module or ``FILE.py``.

    Args:
        text: without a colon, or with ``:NAME`` behind.
        where: names it in messages.
        load: imports a module that is no file.
    """
    module, colon, name = text.rpartition(":")
    if not colon:
        module, name = text, ""
    try:
        found = _of_file(Path(module)) if module.endswith(".py") else load(module)
    except OptionError:
        raise
    except Exception as error:  # whatever a person's own file raises
        raise OptionError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    for part in name.split(".") if name else ():
        if not hasattr(found, part):
            raise OptionError(f"{where}: {module} has no {part!r}")
        found = getattr(found, part)
    return found


def _imported(text: str) -> Any:
    """What ships; an error in it is no error of the person."""
    module, _, name = text.partition(":")
    found: Any = importlib.import_module(module)
    return getattr(found, name) if name else found


def _of_module(name: str) -> ModuleType:
    """A module that is installed, or lies where the person is."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    return importlib.import_module(name)


def _of_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if path in _FILES:
        return _FILES[path]
    if not path.is_file():
        raise OptionError(f"there is no file {path}")
    name = f"hwnas_file_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    folder, known = str(path.parent), set(sys.modules)
    sys.path.insert(0, folder)  # the file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
    if folder not in sys.path:
        sys.path.append(folder)  # and may do so later, behind all that is installed
    _FILES[path] = module
    _NEIGHBOURS.extend(
        found
        for found in [sys.modules[other] for other in sys.modules.keys() - known - {name}]
        if Path(getattr(found, "__file__", None) or "/").parent == path.parent
    )
    return module
