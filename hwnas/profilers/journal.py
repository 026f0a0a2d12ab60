"""The rounds of an unfinished profile on disk, one JSON line each, so that a killed one goes on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwnas.errors import CheckpointError, OptionError
from hwnas.files import Appender, append_line
from hwnas.profilers.protocol import Round, Samples
from hwnas.reading import MIB, read_bytes

__all__ = ["Journal"]

#: What a first line holds; a file that begins otherwise is no journal.
_OF_A_HEADER = ("target", "reference", "jobs")
_MOST_BYTES = 4096 * MIB


class Journal:
    """Appends rounds to a file that begins with what they belong to; nothing in it is rewritten.

    A line that a kill cut short is passed over. A file that is no journal is moved aside, with
    ``.unreadable`` behind its name.

    Args:
        path: the file; None keeps nothing.
        header: what identifies the profile: target, reference, seed, jobs.
        names: the jobs; a line names them by their position.
    """

    def __init__(self, path: Path | None, header: dict[str, Any], names: Sequence[str]):
        self.path = path
        self._names = list(names)
        self._index = {name: at for at, name in enumerate(self._names)}
        self._header = header
        self._file: Appender | None = None

    def read(self) -> tuple[Samples, int]:
        """All whole rounds of this profile so far, and how many they are.

        Raises:
            CheckpointError: the file holds rounds of another profile, or is no regular file.
        """
        samples = Samples()
        if self.path is None:
            return samples, 0
        try:
            content = read_bytes(self.path, _MOST_BYTES)
        except FileNotFoundError:
            self._begin()
            return samples, 0
        except OSError as error:
            raise CheckpointError(
                f"{self.path} holds no rounds of a profile ({error.strerror}): move it away, or "
                "keep the table elsewhere with --out"
            ) from None
        first, *lines = content.decode(errors="replace").split("\n")
        header = _parsed(first)
        if header is None or not all(key in header for key in _OF_A_HEADER):
            if lines:
                self.path.replace(self.path.with_name(f"{self.path.name}.unreadable"))
            self._begin()
            return samples, 0
        records = [record for record in map(_parsed, lines) if record is not None]
        different = _differences(header, json.loads(json.dumps(self._header)))
        if different and records:
            raise CheckpointError(
                f"{self.path} is an unfinished profile of other settings, with {len(records)} "
                f"rounds ({different}): repeat the command that began it, keep the table elsewhere "
                "with --out, or delete that file"
            )
        if different:
            self._begin()
        rounds = [taken for taken in map(self._round, records) if taken is not None]
        for taken in rounds:
            samples.add(taken)
        return samples, len(rounds)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Open the file for `append`, once it was read, and keep other processes from it.

        Raises:
            OptionError: another process appends to it.
        """
        if self.path is None:
            yield
            return
        with Appender(self.path) as self._file:
            if not self._file.alone:
                raise OptionError(
                    f"another process measures into {self.path}: wait for it, or keep this table "
                    "elsewhere, 'hwnas profile --out'"
                )
            yield

    def append(self, taken: Round) -> None:
        """Add one round while the file is `held`."""
        if self._file is None:
            return
        runs = [[self._index[key], ms] for key, ms in taken.runs_ms.items()]
        record = {"runs": runs, "reference": taken.reference_ms, "busy": taken.busy_ms}
        self._file.add(json.dumps(record))

    def _begin(self) -> None:
        """Start the file; one that is there holds no round."""
        assert self.path is not None
        self.path.unlink(missing_ok=True)
        append_line(self.path, json.dumps(self._header, sort_keys=True))

    def _round(self, record: dict[str, Any]) -> Round | None:
        try:
            runs = {self._names[int(at)]: float(ms) for at, ms in record["runs"]}
            reference = tuple(float(ms) for ms in record["reference"])
            busy = record["busy"]
            taken = Round(runs, reference, None if busy is None else float(busy))
        except (ValueError, KeyError, TypeError, IndexError, OverflowError):
            return None
        times = (*runs.values(), *reference)
        return taken if reference and all(0 < ms < float("inf") for ms in times) else None


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two headers, in words; empty where one goes on with the other."""
    words = []
    for key in [key for key in new if key in old and old[key] != new[key]]:
        if key == "jobs":
            words.append("other models")
        elif key == "target":
            before = old[key] if isinstance(old[key], dict) else {}
            words += [
                f"{name} {before.get(name)!r:.80} instead of {value!r:.80}"
                for name, value in new[key].items()
                if before.get(name) != value
            ]
        else:
            words.append(f"{key} {old[key]!r:.80} instead of {new[key]!r:.80}")
    return ", ".join(words)
