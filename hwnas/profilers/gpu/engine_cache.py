"""Compiled engines and timing caches on disk, kept by their content in the user's own folder.

To load an engine is to run code from it. So no engine is ever taken from a path that somebody
names: it is looked up by a digest of what it was made from, in a folder that belongs to this user
and that nobody else may write to, and its bytes must be those that were written. What fails a check
is not loaded but made again.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from hwnas.errors import OptionError
from hwnas.files import write_atomically

__all__ = ["EngineCache", "cache_folder"]

_MAGIC = b"hwnas-engine-1\n"
_DIGEST = 32
#: Engines of whole networks hold their weights; beyond this, those unused for longest are removed.
_MOST_BYTES = 4 * 2**30


def cache_folder(what: str = "engines") -> Path:
    """Where what was compiled is kept: below ``$HWNAS_HOME``, else the platform's cache folder."""
    home = os.environ.get("HWNAS_HOME")
    if home:
        return Path(home) / what
    from platformdirs import user_cache_path

    return user_cache_path("hwnas") / what


class EngineCache:
    """Bytes by what they were made from.

    Args:
        folder: made if need be, readable and writable by this user alone.

    Raises:
        OptionError: the folder belongs to somebody else, or others may write to it.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _mine(folder, stat.S_ISDIR):
            raise OptionError(
                f"{folder} holds compiled engines, which are code, and somebody else may write to "
                "it: make it yours alone (chown, chmod 700), or set HWNAS_HOME to another folder"
            )
        self.folder = folder

    def read(self, kind: str, made_from: Iterable[bytes | str]) -> bytes | None:
        """What was written for these ingredients, or None: it is not there, or not what it was."""
        key = _digest(made_from)
        path = self._path(kind, key)
        try:
            if not _mine(path, stat.S_ISREG):
                return None
            content = path.read_bytes()
            os.utime(path)  # it is in use
        except OSError:
            return None
        head = len(_MAGIC) + _DIGEST
        body = content[head:]
        if content[:head] != _MAGIC + _seal(key, body):
            return None
        return body

    def write(self, kind: str, made_from: Iterable[bytes | str], body: bytes) -> None:
        """Keep bytes; the file is whole or not there. Makes room if there is too much."""
        key = _digest(made_from)
        path = self._path(kind, key)
        write_atomically(path, _MAGIC + _seal(key, body) + body)
        path.chmod(0o600)
        self._make_room()

    def _make_room(self) -> None:
        facts = [(path, path.stat()) for path in self.folder.iterdir() if path.is_file()]
        total = sum(fact.st_size for _, fact in facts)
        for path, fact in sorted(facts, key=lambda pair: pair[1].st_mtime_ns):
            if total <= _MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            total -= fact.st_size

    def _path(self, kind: str, key: bytes) -> Path:
        return self.folder / f"{kind}-{key.hex()[:32]}"


def _digest(parts: Iterable[bytes | str]) -> bytes:
    """A digest in which no two lists of parts are alike."""
    total = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        total.update(f"{len(content)}:".encode())
        total.update(content)
    return total.digest()


def _seal(key: bytes, body: bytes) -> bytes:
    return hashlib.sha256(key + body).digest()


def _mine(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether a path, not a link, is of this kind, this user's, and closed to others' writing."""
    facts = path.lstat()
    if not kind(facts.st_mode):
        return False
    if os.name == "nt":  # the folder lies in the user's profile, which the system protects
        return True
    return facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
