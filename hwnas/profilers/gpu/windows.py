"""A window: one model run several times in a row, so that a GPU's clock can time it.

A small operator runs for microseconds, and an event resolves half a microsecond. So a window holds
as many runs as fill 5 ms. If the card throttled meanwhile, the window is measured again, a limited
number of times.
"""

import math
import time
from collections.abc import Callable
from typing import Protocol

from hwnas.latency_tables import Conditions, DeviceState

__all__ = ["CardWatch", "StateReader", "Window", "runs_in_window"]

#: The least length of a window, ms.
_WINDOW_MS = 5.0
#: A CUDA graph of more runs takes longer to instantiate than it saves.
_MOST_RUNS = 1000
#: After idling for the first (s), a card is kept busy for the second (ms) before it is timed.
_IDLE_S, _WARM_UP_MS = 1.0, 200.0
#: How often a throttled window is measured again, and the pause before each time, s.
_REPEATS = 3
_PAUSE_S = 0.05
#: A card that throttles all the time gains nothing from repeats: they are at most this share of the
#: windows, plus a few at the beginning.
_REPEAT_SHARE, _REPEATS_FREE = 0.1, 20
#: The state is noted once in this many windows, at most `_NOTES` times.
_NOTE_EVERY = 500
_NOTES = 20


def runs_in_window(single_ms: float, window_ms: float = _WINDOW_MS) -> int:
    """How many runs of a model that takes ``single_ms`` fill a window."""
    if single_ms <= 0:  # below what an event resolves
        return _MOST_RUNS
    return max(1, min(_MOST_RUNS, round(window_ms / single_ms + 0.5)))


class StateReader(Protocol):
    """What tells how a card is."""

    def state(self, moment: str) -> DeviceState:
        """Clocks, temperature, power and throttle reasons now."""
        ...

    def throttles(self) -> bool:
        """Whether it runs slower than it could, by heat or power."""
        ...

    def driver_version(self) -> str | None:
        """Of the card's driver."""
        ...


class CardWatch:
    """Watches a card over a profile: repeats throttled windows, and remembers how it was.

    Args:
        reader: of the card; None where it cannot be asked, so that nothing is known.
        cuda: version of CUDA, for the record.
    """

    def __init__(self, reader: StateReader | None, cuda: str):
        self._reader, self._cuda = reader, cuda
        self._busy_until = -math.inf
        self._begin()

    def _begin(self) -> None:
        self.windows = self.repeated = self.kept_throttled = 0
        self._before = self._reader.state("before") if self._reader else None
        self._during: list[DeviceState] = []

    def measure(self, window: Callable[[], float]) -> float:
        """The milliseconds of a window during which the card did not throttle, if there is one.

        Clocks rise with work: a card that has idled is kept busy with the window first, untimed.
        """
        if time.monotonic() - self._busy_until > _IDLE_S:
            warm_ms = 0.0
            while warm_ms < _WARM_UP_MS:
                warm_ms += max(window(), _WARM_UP_MS / _MOST_RUNS)
        ms = self._unthrottled(window)
        self._busy_until = time.monotonic()
        return ms

    def _unthrottled(self, window: Callable[[], float]) -> float:
        self.windows += 1
        ms = window()
        if self._reader is None:
            return ms
        for _ in range(_REPEATS):
            if not self._reader.throttles():
                break
            if self.repeated >= _REPEATS_FREE + _REPEAT_SHARE * self.windows:
                self.kept_throttled += 1
                break
            self.repeated += 1
            time.sleep(_PAUSE_S)
            ms = window()
        else:
            self.kept_throttled += self._reader.throttles()
        if self.windows % _NOTE_EVERY == 1 and len(self._during) < _NOTES:
            self._during.append(self._reader.state("during"))
        return ms

    def conditions(self) -> Conditions:
        """How the card was before, during and after all windows since this was asked last."""
        states = [self._before, *self._during] if self._before else []
        if self._reader is not None:
            states.append(self._reader.state("after"))
        known = Conditions(
            driver=(self._reader.driver_version() if self._reader else None) or "unknown",
            cuda=self._cuda,
            windows=self.windows,
            repeated=self.repeated,
            kept_throttled=self.kept_throttled,
            states=tuple(state for state in states if state is not None),
        )
        self._begin()
        return known


class Window:
    """A job of the protocol: some runs in a row, as milliseconds a run.

    Args:
        run: runs the model ``repeats`` times and returns ms by the card's clock.
        repeats: runs a window.
        watch: of the card.
        keeps: what must live as long as the window, such as the memory that a CUDA graph uses.
        captured: whether the runs are one CUDA graph; if not, they are launched one by one.
    """

    def __init__(
        self,
        run: Callable[[], float],
        repeats: int,
        watch: CardWatch,
        keeps: object = None,
        *,
        captured: bool = True,
    ):
        self.repeats, self.captured = repeats, captured
        self._run, self._watch, self._keeps = run, watch, keeps

    def __call__(self) -> float:
        """Measure one window."""
        return self._watch.measure(self._run) / self.repeats
