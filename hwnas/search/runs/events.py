"""What a log of a run holds: one event a line, of a shape for each kind that is read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from hwnas.documents import Document, parse_document, read_regular
from hwnas.search.runs.schema import OWN, AtLeastOne, Count, Ms, Score, Scored, Seconds, Text

__all__ = ["EVENTS", "MOST_LOG_BYTES", "Event", "evaluated_last", "read_events"]

#: A log larger than this is none of ours; refuse it before reading it whole.
MOST_LOG_BYTES = 2**30
#: How a line begins that we wrote.
_KIND = re.compile(rb'\{"event": "([ -!#-\[\]-~]*)"')


@dataclass(frozen=True, kw_only=True)
class Event(Document):
    """One line of a log; a method may log kinds of its own.

    Attributes:
        event: the kind.
        seconds: since the session began, which the last ``start`` says.
    """

    event: Text
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class _Evaluated(Event, Scored):
    """An accuracy, with shared weights or trained alone."""

    architecture: Text
    accuracy: Score

    def __post_init__(self) -> None:
        self.check_scores(self.accuracy)


@dataclass(frozen=True, kw_only=True)
class _Measured(Event):
    """What the device said of a network."""

    architecture: Text
    latency_ms: Ms
    relative_error: Annotated[float, Ge(0), Le(1e9)] | None = None
    runs_ms: list[Ms] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Waited(Event):
    """A pause before a network was measured again."""

    architecture: Text
    pause_s: Seconds


@dataclass(frozen=True, kw_only=True)
class _Imported(Event, Scored):
    """Accuracies of an earlier search, by architecture."""

    accuracies: dict[str, Score]

    def __post_init__(self) -> None:
        self.check_scores(*self.accuracies.values())


@dataclass(frozen=True, kw_only=True)
class _Trained(Event):
    """How far a training is; a loss that diverged is no number, and may be logged as such."""

    __pydantic_config__ = {"strict": True}  # noqa: RUF012 - read by pydantic, not a field

    step: Count = 0
    loss: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Tested(Event, Scored):
    """What a network that was trained alone ends with."""

    step: AtLeastOne
    validation: Score
    test: Score

    def __post_init__(self) -> None:
        self.check_scores(self.validation, self.test)


@dataclass(frozen=True, kw_only=True)
class _Alpha(Event):
    """Architecture parameters and what moved them; rows are decisions, null is pruned."""

    step: AtLeastOne
    expected: list[float]
    beta: list[float]
    alpha: list[list[float | None]]
    trained: list[list[Count]]


#: Kind -> shape of the events that are read; others are an `Event`.
EVENTS: Mapping[str, type[Event]] = {
    "evaluated": _Evaluated,
    "evaluated aside": _Evaluated,
    "trained alone": _Evaluated,
    "measured": _Measured,
    "waited": _Waited,
    "imported": _Imported,
    "trained": _Trained,
    "tested alone": _Tested,
    "alpha": _Alpha,
}


def evaluated_last(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The accuracies of a log with the weights that its training ended with.

    Balanced NAO evaluates after each of its rounds, and trains on.
    """
    found: list[dict[str, Any]] = []
    for event in events:
        if event["event"] == "trained":
            found = []
        elif event["event"] == "evaluated":
            found.append(event)
    return found


def read_events(path: Path, advice: str = OWN) -> Iterator[dict[str, Any]]:
    """The events of a log, which is left as it is; a line that a kill cut short is no event.

    Args:
        path: of the log; one that is not there has no events.
        advice: what to do if it is damaged, for the message.

    Raises:
        CheckpointError: a whole line is not an event, or one of another shape than its kind.
    """
    text = read_regular(path, advice, MOST_LOG_BYTES) if path.exists() else b""
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), start=1):
        name, begins = f"line {number} of {path}", _KIND.match(line)
        shape = EVENTS.get(begins[1].decode(), Event) if begins else Event
        event = parse_document(line, shape, name, advice)
        if EVENTS.get(event["event"], Event) is not shape:  # written otherwise than we do
            event = parse_document(line, EVENTS.get(event["event"], Event), name, advice)
        yield event
