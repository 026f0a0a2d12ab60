"""Files: strangers' are read within bounds, and a reader never finds half of one of ours.

Whatever a person did not write themselves (a table, a run, a model, images) is read through
`read_bytes`: regular files only, none larger than it may be, and nothing that blocks.
"""

import json
import os
import re
import stat
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFBIG, EINVAL
from pathlib import Path
from typing import IO, Any, BinaryIO

__all__ = [
    "MIB",
    "Appender",
    "append_line",
    "check_json_size",
    "naming",
    "open_regular",
    "parse_json",
    "read_bytes",
    "unpacked_bytes",
    "write_atomically",
]

MIB = 2**20
_SYNC_SECONDS = 1.0
#: What one JSON document may hold; every value is an object of Python, of about 100 bytes.
_MOST_VALUES = 2_000_000
_MOST_DEPTH = 64
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises:
        OSError: it is not there, or no regular file (its ``strerror`` says what it is instead); a
            FIFO that nobody writes to does not block.
    """
    try:
        _refuse_irregular(Path(path).stat(), path)
    except ValueError as error:  # a NUL in its name
        raise OSError(EINVAL, str(error), repr(str(path))) from None
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        _refuse_irregular(os.fstat(handle), path)
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _refuse_irregular(status: os.stat_result, path: str | Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(EINVAL, f"it is {kind}, and a regular file is needed", str(path))


def read_bytes(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file, at most ``most``.

    Raises:
        OSError: as `open_regular`, or the file is larger, which is noticed before it is read.
    """
    with open_regular(path) as file:
        content = b"" if os.fstat(file.fileno()).st_size > most else file.read(most + 1)
        if os.fstat(file.fileno()).st_size > most or len(content) > most:
            raise OSError(EFBIG, f"it is larger than {most / MIB:g} MiB", str(path))
    return content


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text of UTF-8, of bounded size and depth.

    Raises:
        ValueError: it is no JSON, or holds more values or deeper ones than any file of ours.
    """
    words = text if isinstance(text, str) else text.decode()
    check_json_size(words)
    if words.count("[") + words.count("{") > _MOST_DEPTH and _too_deep(words):
        raise ValueError(f"it is nested deeper than {_MOST_DEPTH} levels")
    try:
        return json.loads(words)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def check_json_size(text: str | bytes) -> None:
    """Refuse a JSON text whose values would fill the memory, before it is parsed.

    Raises:
        ValueError: it holds more values than any file of ours.
    """
    if isinstance(text, str):
        count = sum(text.count(mark) for mark in ",[{")
    else:
        count = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    if count > _MOST_VALUES:
        raise ValueError(f"it holds more than {_MOST_VALUES:,} values")


def _too_deep(text: str) -> bool:
    """Whether brackets are nested deeper than they may be; each round takes a level away."""
    brackets = _NO_BRACKET.sub("", _TEXT.sub("", text))
    for _ in range(_MOST_DEPTH):
        brackets = brackets.replace("[]", "").replace("{}", "")
    return bool(brackets)


def unpacked_bytes(archive: BinaryIO) -> int:
    """What the members of a zip or npz archive hold when unpacked, as its directory says.

    Reading a member ends there, whatever its data say.

    Raises:
        zipfile.BadZipFile: it is no archive.
    """
    with zipfile.ZipFile(archive) as opened:
        return sum(member.file_size for member in opened.infolist())


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
        self.alone = _locked(self._file)
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


def _locked(file: IO[bytes]) -> bool:
    """Whether this process has a file to itself, as far as its system can tell."""
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
