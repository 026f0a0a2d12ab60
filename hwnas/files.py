"""Writing files so that a reader, or a killed process, never finds half of one."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["Appender", "append_line", "locked", "naming", "write_atomically"]

_SYNC_SECONDS = 1.0


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, whole or not at all; makes the folder if need be.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a path in errors of the system that name none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def append_line(path: Path, line: str) -> None:
    """Add a line to a file; it is on the disk when this returns. Makes the folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Appender(path) as file:
        file.add(line)


class Appender:
    """Adds lines to a file, of which nothing that stands there is changed.

    A killed process loses no line that was added, a machine that goes down those of a second. A
    last line that was cut short is ended first, and its reader passes over it.

    Attributes:
        alone: whether no other process adds to the file. The system forgets this one when it ends,
            however it ends; where the file's system knows no locks, nobody is kept out.
    """

    def __init__(self, path: Path):
        self._file = path.open("ab+")
        self._synced = time.monotonic()
        self.alone = locked(self._file)
        self._file.seek(max(0, self._file.seek(0, os.SEEK_END) - 1))
        self._cut_short = self._file.read(1) not in (b"", b"\n")

    def __enter__(self) -> "Appender":
        return self

    def __exit__(self, *problem: object) -> None:
        with self._file:
            self._sync()

    def add(self, line: str) -> None:
        """Add a line."""
        self._file.write((b"\n" if self._cut_short else b"") + line.encode() + b"\n")
        self._file.flush()
        self._cut_short = False
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def locked(file: IO[bytes] | int) -> bool:
    """Whether this process has an open file or folder to itself, as far as its system can tell."""
    try:
        import fcntl
    except ImportError:  # not on this platform
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
