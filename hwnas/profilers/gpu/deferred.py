"""What is raised while a library works that swallows it: kept, and raised once the library is done.

TensorRT's bindings print what a callback raises, and go on or give the build up as failed. A signal
that comes while the library works is handled as its next callback begins, before any ``try`` in the
callback could catch what the handler raises. So it is the handlers that are wrapped meanwhile.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Deferred", "deferred_interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Deferred:
    """What was raised so far; true where something was."""

    def __init__(self) -> None:
        self._raised: list[BaseException] = []

    def __bool__(self) -> bool:
        return bool(self._raised)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function, and keep what it raises."""
        try:
            function(*arguments)
        except BaseException as problem:
            self._raised.append(problem)

    def wrapped(self, handler: Callable[[int, Any], Any]) -> Callable[[int, Any], None]:
        """A signal's handler that raises nothing now."""
        return lambda number, frame: self.call(handler, number, frame)

    def raise_first(self) -> None:
        """Raise the first that was kept, if any was."""
        if self._raised:
            raise self._raised[0] from None


@contextmanager
def deferred_interrupts() -> Iterator[Deferred]:
    """Within, Ctrl-C raises nothing but is noted; what was noted is raised at the end.

    A handler still is called at once, for every signal, so that one which ends the process does.
    What else a callback may raise is kept with `Deferred.call`. All of it goes before an exception
    of the block itself, which may have failed because it was interrupted.
    """
    deferred = Deferred()
    kept: dict[signal.Signals, Callable[[int, Any], Any]] = {}
    if threading.current_thread() is threading.main_thread():  # where Python handles signals
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                kept[number] = handler
    try:
        for number, handler in kept.items():
            signal.signal(number, deferred.wrapped(handler))
        yield deferred
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        deferred.raise_first()
