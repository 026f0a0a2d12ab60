"""Strangers' files, read within bounds.

Whatever a person did not write themselves (a table, a run, a model, images) is read through
`read_bytes`: regular files only, none larger than it may be, and nothing that blocks.
"""

import json
import os
import re
import stat
from errno import EFBIG, EINVAL
from io import BufferedReader
from pathlib import Path
from typing import Any

__all__ = [
    "MIB",
    "check_json_size",
    "open_regular",
    "parse_json",
    "read_bytes",
]

MIB = 2**20
#: What a file may hold beyond its size.
_AT_ONCE = 16 * MIB
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


def open_regular(path: str | Path) -> BufferedReader:
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
        size = os.fstat(file.fileno()).st_size
        if size <= most:
            content = file.read(size)
            # a file of /proc has no size, and others grow: there may be more
            room = min(most - len(content), _AT_ONCE)
            rest = file.read(room + 1)
            if len(rest) <= room:
                return content + rest if rest else content
    raise OSError(EFBIG, f"it is larger than {most / MIB:g} MiB", str(path))


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
