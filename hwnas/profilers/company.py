"""Whether somebody else's hwnas measures the same device at the same time; both are told.

Two that measure at once take each other's time: latencies come out too long, and nothing in them
shows it. The first one holds a lock on a small file of the device. Those that come later notice the
lock and sign the file; the first one reads the signatures when it is done.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hwnas.latency_tables import Target
from hwnas.progress import say

__all__ = ["noticed_company"]

_ADVICE = "what takes the other's time is in both measurements: measure again, one after the other"


@contextmanager
def noticed_company(target: Target) -> Iterator[None]:
    """Say whether another process measures the same device while the block lasts.

    Measuring goes on all the same. Where files cannot be locked, nobody is noticed.
    """
    try:
        import fcntl

        descriptor = os.open(_place(target), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except (ImportError, OSError):
        yield
        return
    own = f"{os.getpid()}\n".encode()
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            others = _signed(descriptor)
            say(
                f"(process {others[0] if others else 'unknown'}): {_ADVICE}",
                warning="another hwnas is measuring this device now",
            )
            with suppress(OSError):
                os.lseek(descriptor, 0, os.SEEK_END)
                os.write(descriptor, own)
            yield
            return
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, own)
        yield
        others = _signed(descriptor)[1:]
        if others:
            say(
                f"(process {', '.join(dict.fromkeys(others))}): {_ADVICE}",
                warning="another hwnas measured this device meanwhile",
            )
    finally:
        os.close(descriptor)  # and with it the lock


def _place(target: Target) -> Path:
    """The file of a device: the same for every process of this user on this machine."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    device = f"{target.kind} {target.device} {target.device_id}"
    digest = hashlib.sha256(device.encode()).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(folder) / f"hwnas-{user}-{digest}.measuring"


def _signed(descriptor: int) -> list[str]:
    """The processes that signed, the one that holds the lock first."""
    with suppress(OSError):
        content = os.pread(descriptor, 4096, 0).decode(errors="replace")
        return [line for line in content.split() if line.isdigit()]
    return []
