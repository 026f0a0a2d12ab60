"""The way to another machine: one process there, fed by stdin, heard on stdout.

A transport is a command of this machine (``ssh ...``, ``adb shell ...``) that runs `REMOTE_COMMAND`
over there. No shell sees anything but that string; what is to be measured goes through stdin, and
what comes back is read as numbers.
"""

import json
import subprocess
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from hwnas.profilers.remote.answers import clean
from hwnas.profilers.remote.bundle import agent_source
from hwnas.profilers.remote.pipes import Drain, Feeder, Listener, kill

__all__ = [
    "REMOTE_COMMAND",
    "REMOTE_SCRIPT",
    "BrokenTransportError",
    "EndlessError",
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
#: Lines that are no answer, such as the greeting of a shell there: so many bytes of them, where
#: each line counts as so many more.
_MOST_NOISE = 2**20
_LINE = 100
#: What may come on stderr. Runtimes warn for each model.
_MOST_WORDS = 2**24
#: No answer is nested deeper.
_DEEPEST = 8
_SIGN_SECONDS = 5.0
#: Until the first answer, and between two of them.
_HELLO_SECONDS = 120.0
_SILENT_SECONDS = 600.0
#: The shell there removes its folder.
_FAREWELL_SECONDS = 5.0


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


class EndlessError(RefusedError):
    """The other machine says too much, or nothing, or what no agent says; it is left at once."""


def session(
    transport: Transport, python: str, upload: bytes
) -> Generator[tuple[str, Any], None, None]:
    """Start the agent over there, feed it, and yield what it says: pairs of kind and value.

    Args:
        transport: the way there.
        python: the interpreter there.
        upload: what the agent reads after itself.

    Raises:
        BrokenTransportError: it ended before it was done.
        RefusedError: it said that it cannot do what it was asked.
        EndlessError: it says too much, or nothing for too long, or what no agent says.
    """
    agent = agent_source().encode()
    first = b"%s\n%d\n%s" % (python.encode(), len(agent), agent)
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            transport.command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        raise BrokenTransportError(f"{transport.command[0]}: {error.strerror}") from None
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    feeder = Feeder(process.stdin, first + upload, _SIGN_SECONDS)
    listener = Listener(process.stdout, _LONGEST_LINE)
    words = Drain(process.stderr, 4000, _MOST_WORDS, lambda: kill(process))
    threads = (feeder, listener, words)
    for thread in threads:
        thread.start()
    try:
        yield from _events(feeder, listener)
        status = _ended(process)
        words.join(1.0)
        if words.too_much:
            raise EndlessError("it writes errors without end")
        raise BrokenTransportError(_reason(status, words.kept, python))
    except EndlessError:
        kill(process)
        raise
    finally:
        feeder.over.set()
        feeder.join(2.0)  # closes stdin, and so ends the agent
        if feeder.is_alive():
            kill(process)
        listener.over.set()  # what it still says is passed over
        _ended(process)
        for thread, end in ((listener, process.stdout), (words, process.stderr)):
            thread.join(2.0)
            end.close()


def _events(feeder: Feeder, listener: Listener) -> Iterator[tuple[str, Any]]:
    """What it says, until it says nothing more."""
    heard, patience, noise = time.monotonic(), _HELLO_SECONDS, 0
    while (line := listener.take(0.5)) != b"":
        event = None if line is None else _event(line)
        if event is not None:
            if event[0] == "error":
                raise RefusedError(clean(event[1]))
            patience = _SILENT_SECONDS
            yield event
            heard = time.monotonic()
            continue
        if line is not None:
            noise += len(line) + _LINE  # a greeting of the shell there
        if noise > _MOST_NOISE:
            raise EndlessError("it sends lines without end, and none of them is an agent's")
        if time.monotonic() - max(heard, feeder.moved) > patience:
            raise EndlessError(f"it gave no answer for {patience:g} seconds")


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """The exit status of a process that should end by itself; it is ended if it does not."""
    try:
        return process.wait(_FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        kill(process)
        return process.wait()


def _event(line: bytes) -> tuple[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or len(record) != 1:
        return None
    ((kind, value),) = record.items()
    if not _is_shallow(value, _DEEPEST):
        raise EndlessError(f"it sent an answer that is none ({clean(kind)} is nested too deeply)")
    return kind, value


def _is_shallow(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    within = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(part, levels - 1) for part in within)


def _reason(status: int, said: bytes, python: str) -> str:
    """Why a session ended, from its exit status and its last words."""
    words = [clean(line.decode(errors="replace")) for line in said.splitlines()]
    last = " / ".join([line for line in words if line][-3:])
    if status == 127:
        return f"there is no {python!r} there, or no such command here ({last})"
    if status == 73:
        return f"no folder can be made there ({last})"
    return last or f"it ended with status {status}"
