"""The folder of a run belongs to one process at a time."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from hwnas.errors import OptionError
from hwnas.files import locked

__all__ = ["Held", "held", "held_if_there"]

#: A process that was told to stop has ended by then.
_PATIENCE_SECONDS = 3.0


class Held:
    """Keeps other processes from a folder as long as this object, or the process, lives.

    What this process forks, such as readers of images, is another process: it does not hold the
    folder, nor keep it held where this process is killed. Where the folder's system knows no locks,
    nobody is kept out.

    Raises:
        OptionError: another process holds it.
    """

    def __init__(self, folder: Path):
        self._handle: int | None = None
        try:
            self._handle = os.open(folder, os.O_RDONLY)
        except PermissionError:  # where folders cannot be opened
            return
        until = time.monotonic() + _PATIENCE_SECONDS
        while not locked(self._handle):
            if time.monotonic() > until:
                raise OptionError(
                    f"another process works in {folder}: wait for it, or give another --out"
                )
            time.sleep(0.1)

    def let_go(self) -> None:
        """Keep nobody out any more; a lock that a fork shares ends with its last handle."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.let_go()


_HELD: WeakValueDictionary[Path, Held] = WeakValueDictionary()


def held(folder: Path) -> Held:
    """What keeps other processes from a folder; the same for all who ask in this process."""
    key = folder.resolve()
    found = _HELD.get(key)
    if found is None:
        found = _HELD[key] = Held(folder)
    return found


@contextmanager
def held_if_there(folder: Path) -> Iterator[None]:
    """Keep other processes from a folder that exists, before what leads to a run takes its time.

    Raises:
        OptionError: another process holds it.
    """
    own = held(folder) if folder.is_dir() else None
    try:
        yield
    finally:
        del own


def _hold_nothing() -> None:
    """Forget what the process held that this one was forked from."""
    for each in list(_HELD.values()):
        each.let_go()
    _HELD.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_hold_nothing)
