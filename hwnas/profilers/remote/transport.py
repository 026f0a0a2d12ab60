"""The way to another machine: one process there, fed by stdin, heard on stdout.

A transport is a command of this machine (``ssh ...``, ``adb shell ...``) that runs `REMOTE_COMMAND`
over there. No shell sees anything but that string; what is to be measured goes through stdin, and
what comes back is read as numbers.
"""

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from hwnas.profilers.remote.answers import clean
from hwnas.profilers.remote.bundle import agent_source

__all__ = [
    "REMOTE_COMMAND",
    "REMOTE_SCRIPT",
    "BrokenTransportError",
    "RefusedError",
    "Transport",
    "session",
]

#: Makes a folder for all that is written, runs in it the Python whose path is the first line of
#: stdin, and removes the folder. That Python reads its program from the next lines. The same string
#: for every device.
REMOTE_SCRIPT = (
    'd=$(mktemp -d) || exit 73; trap "cd /; rm -rf \\"$d\\"" EXIT; trap "exit 129" HUP INT TERM; '
    'export TMPDIR="$d" XDG_CACHE_HOME="$d" ORT_DISABLE_TELEMETRY=1; '
    'cd "$d" && IFS= read -r python && "$python" -u -c '
    '"import sys; i = sys.stdin.buffer; exec(i.read(int(i.readline())))"'
)
REMOTE_COMMAND = f"exec sh -c '{REMOTE_SCRIPT}'"

#: One line of an answer; a longer one is no agent's.
_LONGEST_LINE = 2**22
_SIGN_SECONDS = 5.0
_SILENT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Transport:
    """A way to another machine.

    Attributes:
        name: what ``--device`` calls it.
        command: program and arguments, without a shell.
        hint: what to look at where it does not come up.
    """

    name: str
    command: tuple[str, ...]
    hint: str


class BrokenTransportError(Exception):
    """The other machine fell silent before it was done."""


class RefusedError(Exception):
    """The other machine said that it cannot do what it was asked."""


def session(
    transport: Transport, python: str, upload: bytes
) -> Generator[tuple[str, Any], None, None]:
    """Start the agent over there, feed it, and yield what it says: pairs of kind and value.

    Args:
        transport: the way there.
        python: the interpreter there.
        upload: what the agent reads after itself.

    Raises:
        BrokenTransportError: it fell silent before it was done.
        RefusedError: it said that it cannot do what it was asked.
    """
    agent = agent_source().encode()
    first = b"%s\n%d\n%s" % (python.encode(), len(agent), agent)
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                transport.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            )
        except OSError as error:
            raise BrokenTransportError(f"{transport.command[0]}: {error.strerror}") from None
        assert process.stdin is not None
        assert process.stdout is not None
        heard_on = process.stdout
        feeder = _Feeder(process, process.stdin, first + upload)
        feeder.start()
        try:
            while line := heard_on.readline(_LONGEST_LINE):
                feeder.heard = time.monotonic()
                event = _event(line)
                if event is None:
                    continue  # a greeting of the shell there
                if event[0] == "error":
                    raise RefusedError(clean(event[1]))
                yield event
            status = process.wait()
            raise BrokenTransportError(_reason(status, said, python))
        finally:
            feeder.over.set()
            feeder.join(2.0)  # closes stdin, and so ends the agent
            if feeder.is_alive():
                process.kill()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            heard_on.close()


class _Feeder(threading.Thread):
    """Writes to the other machine: what it needs, then a sign of life every few seconds."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: IO[bytes], content: bytes):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.heard = time.monotonic()
        self._process, self._pipe, self._content = process, pipe, content

    def run(self) -> None:
        with suppress(OSError, ValueError):
            self._pipe.write(self._content)
            self._pipe.flush()
            while not self.over.wait(_SIGN_SECONDS):
                self._pipe.write(b"\n")
                self._pipe.flush()
                if time.monotonic() - self.heard > _SILENT_SECONDS:
                    self._process.kill()
        with suppress(OSError, ValueError):
            self._pipe.close()


def _event(line: bytes) -> tuple[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or len(record) != 1:
        return None
    ((kind, value),) = record.items()
    return kind, value


def _reason(status: int, said: IO[bytes], python: str) -> str:
    """Why a session ended, from its exit status and its last words."""
    said.seek(0)
    words = [clean(line.decode(errors="replace")) for line in said.read()[-4000:].splitlines()]
    last = " / ".join([line for line in words if line][-3:])
    if status == 127:
        return f"there is no {python!r} there, or no such command here ({last})"
    if status == 73:
        return f"no folder can be made there ({last})"
    return last or f"it ended with status {status}"
