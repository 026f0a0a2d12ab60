"""The folder of a run belongs to one process at a time."""

import os
import time
from pathlib import Path
from weakref import WeakValueDictionary

from hwnas.errors import OptionError
from hwnas.files import locked

__all__ = ["Held", "held"]

#: What a killed process leaves running has seen by then that it is alone.
_PATIENCE_SECONDS = 3.0


class Held:
    """Keeps other processes from a folder as long as this object, or the process, lives.

    Where the folder's system knows no locks, nobody is kept out.

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

    def __del__(self) -> None:
        if self._handle is not None:
            os.close(self._handle)


_HELD: WeakValueDictionary[Path, Held] = WeakValueDictionary()


def held(folder: Path) -> Held:
    """What keeps other processes from a folder; the same for all who ask in this process."""
    key = folder.resolve()
    found = _HELD.get(key)
    if found is None:
        found = _HELD[key] = Held(folder)
    return found
