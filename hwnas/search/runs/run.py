"""The folder of a run: its configuration, its log, and what it ends with."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwnas.errors import CheckpointError
from hwnas.files import MIB, naming, parse_json, read_bytes, write_atomically

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
    "read_events",
    "read_json",
]

#: The files of a run.
CONFIG, LOG, RESULT = "config.json", "log.jsonl", "result.json"
TABLE, CHECKPOINT, WEIGHTS = "table.json", "supernet.safetensors", "weights.safetensors"
NETWORK, PROXY_NETWORK, PLOT = "best.onnx", "proxy.onnx", "accuracy_latency.png"

#: Logs and results are read whole.
_MOST_BYTES = 256 * MIB
#: Settings that are paths, and may change on resume.
_PATHS = {"supernet"}


class Run:
    """A folder that a killed search goes on from.

    The log holds one JSON object a line. Whatever took time (an accuracy, a measurement) is looked
    up there before it is done again, so a resumed search is the same search, only faster.

    Args:
        folder: made if need be.
        config: what the run was asked for; an existing run must have been asked the same.

    Raises:
        CheckpointError: the folder holds a run with another configuration; the message names what
            differs.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]):
        self.folder = folder
        self._started = time.monotonic()
        path = folder / CONFIG
        wanted = json.loads(json.dumps(dict(config)))
        found = read_json(path) if path.exists() else None
        if found is not None:
            differing = sorted(
                key
                for key in (wanted.keys() | found.keys()) - _PATHS
                if wanted.get(key) != found.get(key)
            )
            if differing:
                changes = ", ".join(
                    f"{key} was {found.get(key)!r} and is now {wanted.get(key)!r}"
                    for key in differing
                )
                raise CheckpointError(
                    f"{folder} holds a run with other settings ({changes}): "
                    "give the same settings to go on with it, or another --out"
                )
        if found != wanted:
            write_atomically(path, (json.dumps(wanted, indent=2) + "\n").encode())
        self._log = folder / LOG
        self.events = list(read_events(self._log))
        _drop_torn_line(self._log)
        self.log("start")

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

    def logged(self, event: str) -> Iterator[dict[str, Any]]:
        """The events of one kind, in order."""
        return (record for record in self.events if record["event"] == event)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one JSON file of the run, whole or not at all."""
        text = json.dumps(dict(content), indent=2) + "\n"
        write_atomically(self.folder / name, text.encode())

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Read a JSON file of the run, if it is there."""
        path = self.folder / name
        return read_json(path) if path.exists() else None


def _read(path: Path) -> bytes:
    """The bytes of a file of a run.

    Raises:
        CheckpointError: it is no regular file, or larger than any of a run.
    """
    try:
        return read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}): remove the folder, or give another --out"
        ) from None


def _drop_torn_line(path: Path) -> None:
    """Remove from the file what a kill left of a line."""
    text = _read(path) if path.exists() else b""
    if not text.endswith(b"\n") and text:
        write_atomically(path, text[: text.rfind(b"\n") + 1])


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, which is left as it is; a line that a kill cut short is no event.

    Raises:
        CheckpointError: a whole line is not an event.
    """
    text = _read(path) if path.exists() else b""
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            record = parse_json(line)
            record["event"], float(record["seconds"])
        except (ValueError, KeyError, TypeError):
            raise CheckpointError(
                f"line {number} of {path} is not an event of a run: "
                "remove the folder, or give another --out"
            ) from None
        yield record


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        content = parse_json(_read(path))
    except (ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}): remove the folder, or give another --out"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object: give another --out")
    return content
