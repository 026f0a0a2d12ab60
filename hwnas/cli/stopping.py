"""Ctrl-C and the signal that asks a process to end: said in words, with their own exit status."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["STATUS", "end_at_once_for_now", "signals_heard", "stopped_by"]

#: Signal -> what is said and the exit status, 128 and its number.
STATUS = {
    signal.SIGINT: ("interrupted; the same command goes on where it stopped", 130),
    signal.SIGTERM: ("asked to end; the same command goes on where it stopped", 143),
}
_received: list[int] = []


def end_at_once_for_now() -> None:
    """Let a signal end the process in words, until `signals_heard`: nothing has begun yet."""
    for number in STATUS:
        if _untouched(number):
            signal.signal(number, _leave)


@contextmanager
def signals_heard() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at the first signal, so that all is put away; end at the second.

    What was told to ignore a signal, by ``nohup`` or a shell's background, goes on.
    """
    _received.clear()
    kept: dict[signal.Signals, Any] = {}
    try:
        for number in STATUS:
            if _untouched(number):
                kept[number] = signal.signal(number, _stop)
    except ValueError:  # not the main thread of the program
        pass
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def stopped_by() -> int | None:
    """The signal that came, if one did: whatever was raised since then is its doing."""
    return _received[0] if _received else None


def _untouched(number: int) -> bool:
    return signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _leave)


def _stop(number: int, frame: object) -> None:
    if _received:
        _leave(number, frame)
    _received.append(number)
    raise KeyboardInterrupt


def _leave(number: int, frame: object) -> None:
    words, status = STATUS[signal.Signals(number)]
    try:
        os.write(2, f"error: {words}\n".encode())
    finally:
        os._exit(status)
