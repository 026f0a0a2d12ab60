"""Pipes of a process that may say too much, nothing, or never take what it is given.

Each has a thread of its own, so that a caller waits for none of them longer than it wants.
"""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

__all__ = ["Drain", "Feeder", "Listener", "kill"]

_CHUNK = 2**16


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process that was started in a session of its own, and its children."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


class Listener(threading.Thread):
    """Hears lines; a few wait until they are taken, the rest waits in the pipe.

    Args:
        pipe: what to read.
        longest: bytes of a line; a longer one comes in pieces.
    """

    def __init__(self, pipe: IO[bytes], longest: int):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self._pipe, self._longest = pipe, longest
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=8)

    def run(self) -> None:
        """Until the pipe ends; an empty line of no bytes is its end."""
        line = b"x"
        while line:
            line = b""
            with suppress(OSError, ValueError):
                line = self._pipe.readline(self._longest)
            while not self.over.is_set():
                with suppress(queue.Full):
                    self._lines.put(line, timeout=0.2)
                    break

    def take(self, seconds: float) -> bytes | None:
        """The next line; no bytes at the end; None if nothing came within so many seconds."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return None


class Drain(threading.Thread):
    """Reads a pipe to its end, and keeps the last of it.

    Args:
        pipe: what to read.
        keep: bytes that are kept.
        most: bytes that are read; after more of them ``flooded`` is called, and nothing is read.
        flooded: ends what writes.
    """

    def __init__(self, pipe: IO[bytes], keep: int, most: int, flooded: Callable[[], None]):
        super().__init__(daemon=True)
        self.kept = b""
        self.too_much = False
        self._pipe, self._keep, self._most, self._flooded = pipe, keep, most, flooded

    def run(self) -> None:
        """Until the pipe ends, or too much came."""
        count = 0
        with suppress(OSError, ValueError):
            while data := os.read(self._pipe.fileno(), _CHUNK):
                self.kept = (self.kept + data)[-self._keep :]
                count += len(data)
                if count > self._most:
                    self.too_much = True
                    self._flooded()
                    return


class Feeder(threading.Thread):
    """Writes: what is needed, then a sign of life every few seconds.

    Attributes:
        over: set to end it; it closes the pipe then.
        moved: when the other end last took something of what is needed, on the monotonic clock.
    """

    def __init__(self, pipe: IO[bytes], content: bytes, sign_seconds: float):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.moved = time.monotonic()
        self._pipe, self._content, self._sign_seconds = pipe, content, sign_seconds

    def run(self) -> None:
        """Until it is over, or nobody reads."""
        with suppress(OSError, ValueError):
            for at in range(0, len(self._content), _CHUNK):
                self._pipe.write(self._content[at : at + _CHUNK])
                self._pipe.flush()
                self.moved = time.monotonic()
            while not self.over.wait(self._sign_seconds):
                self._pipe.write(b"\n")
                self._pipe.flush()
        with suppress(OSError, ValueError):
            self._pipe.close()
