"""The folder of a run: its configuration, its log, and what it ends with."""

import json
import os
import reprlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from annotated_types import Ge, Le

from hwnas.costs import Budget
from hwnas.documents import Document, inside, read_document, read_regular
from hwnas.errors import CheckpointError
from hwnas.files import naming, write_atomically
from hwnas.reading import open_regular
from hwnas.search.runs.events import MOST_LOG_BYTES, read_events
from hwnas.search.runs.held import Held, held
from hwnas.search.runs.schema import OWN, with_defaults
from hwnas.supernet.kinds import RankBy

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "LOG",
    "NETWORK",
    "PLOT",
    "PROXY_NETWORK",
    "RESULT",
    "TABLE",
    "WEIGHTS",
    "Run",
    "begun_with",
    "budget_name",
]

#: The files of a run.
CONFIG, LOG, RESULT = "config.json", "log.jsonl", "result.json"
TABLE, CHECKPOINT, WEIGHTS = "table.json", "supernet.safetensors", "weights.safetensors"
NETWORK, PROXY_NETWORK, PLOT = "best.onnx", "proxy.onnx", "accuracy_latency.png"

#: Settings that are paths, and may change on resume.
_PATHS = {"supernet"}


@dataclass(frozen=True, kw_only=True)
class _Begun(Document):
    """What `hwnas.search.shared_settings.as_begun` takes from a configuration."""

    neighbour_share: Annotated[float, Ge(0), Le(1)] | None = None
    ranked_draws: Annotated[int, Ge(0), Le(1_000_000)] | None = None
    rank_by: RankBy | None = None


def budget_name(budgets: Sequence[Budget]) -> str:
    """What budgets are called in the name of a folder: ``latency4ms-macs330M``."""
    return "-".join(str(budget).replace("<=", "") for budget in budgets)


def begun_with(folder: Path) -> dict[str, Any] | None:
    """What the run of a folder was asked for when it began; None where there is none yet.

    Raises:
        CheckpointError: its configuration cannot be read.
    """
    path = inside(folder, CONFIG, advice=OWN)
    return read_document(path, _Begun, OWN) if path.exists() else None


class Run:
    """A folder that a killed search goes on from.

    The log holds one JSON object a line. Whatever took time (an accuracy, a measurement) is looked
    up there before it is done again, so a resumed search is the same search, only faster.

    Other processes are kept from the folder until the run is let go, as by the end of a ``with``:
    notebooks keep what raised an error, and all that it worked on.

    Args:
        folder: made if need be.
        config: what the run was asked for; an existing run must have been asked the same.

    Raises:
        CheckpointError: the folder holds a run with another configuration; the message names what
            differs.
        OptionError: another process works in it.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._held: Held | None = held(folder)
        self._started = time.monotonic()
        self._listeners: list[Callable[[Mapping[str, Any]], None]] = []
        try:
            self._begin(config)
        except BaseException:
            self._held = None
            raise

    def _begin(self, config: Mapping[str, Any]) -> None:
        """Read what is there, and log the start of this session."""
        folder = self.folder
        path, self._log = (inside(folder, name, advice=OWN) for name in (CONFIG, LOG))
        wanted = json.loads(json.dumps(dict(config)))
        found = begun_with(folder)
        if found is not None:
            differing = sorted(
                key
                for key in (wanted.keys() | found.keys()) - _PATHS
                if wanted.get(key) != found.get(key)
            )
            if differing:
                changes = ", ".join(
                    f"{key} was {_short(found.get(key))} and is now {_short(wanted.get(key))}"
                    for key in differing
                )
                raise CheckpointError(
                    f"{folder} holds a run with other settings ({changes}): "
                    "give the same settings to go on with it, or another --out"
                )
        self.events = list(read_events(self._log))
        if found is None and self.events:
            raise CheckpointError(
                f"{folder} holds a {LOG} and no {CONFIG}, which says of what search: {OWN}"
            )
        if found != wanted:
            write_atomically(path, (json.dumps(wanted, indent=2) + "\n").encode())
        _drop_torn_line(self._log)
        self.log("start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held = None

    @property
    def seconds(self) -> float:
        """Time spent on the run so far, in all sessions."""
        sessions = [0.0]
        for event in self.events:
            if event["event"] == "start":
                sessions.append(0.0)
            sessions[-1] = max(sessions[-1], event["seconds"])
        return sum(sessions[:-1]) + time.monotonic() - self._started

    def log(self, event: str, **facts: Any) -> None:
        """Add one line."""
        seconds = round(time.monotonic() - self._started, 3)
        record = {"event": event, "seconds": seconds, **facts}
        with naming(self._log), self._log.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.events.append(record)
        for listener in self._listeners:
            listener(record)

    @contextmanager
    def told_to(self, listener: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
        """Tell someone all events so far, and each other one as it is logged, for a while."""
        for record in self.events:
            listener(record)
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def logged(self, event: str) -> Iterator[dict[str, Any]]:
        """The events of one kind, in order."""
        return (record for record in self.events if record["event"] == event)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one JSON file of the run, whole or not at all."""
        text = json.dumps(dict(content), indent=2) + "\n"
        write_atomically(self.folder / name, text.encode())

    def read_json(self, name: str, shape: type = Document) -> dict[str, Any] | None:
        """Read a JSON file of the run, if it is there; what its shape says it may lack is added.

        Raises:
            CheckpointError: it has another shape, see `hwnas.search.runs.schema`.
        """
        path = self.folder / name
        if not path.exists():
            return None
        return with_defaults(read_document(path, shape, OWN), shape)


def _drop_torn_line(path: Path) -> None:
    """Remove from the file what a kill left of a line."""
    if not path.exists():
        return
    with open_regular(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        if file.read(1) in (b"", b"\n"):
            return
    text = read_regular(path, OWN, MOST_LOG_BYTES)
    write_atomically(path, text[: text.rfind(b"\n") + 1])


def _short(value: Any) -> str:
    """A setting as text; one of a damaged file may be anything."""
    text = repr(value)
    return text if len(text) < 200 else reprlib.repr(value)
