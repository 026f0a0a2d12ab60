"""The rounds of an unfinished profile on disk, one JSON line each, so that a killed one goes on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwnas.profilers.protocol import Round, Samples

__all__ = ["Journal"]


class Journal:
    """Appends rounds to a file that begins with what they belong to.

    A file that begins otherwise belongs to another profile and is started anew; a line that a kill
    cut short is dropped.

    Args:
        path: the file; None keeps nothing.
        header: what identifies the profile: target, space, jobs.
        names: the jobs; a line names them by their position.
    """

    def __init__(self, path: Path | None, header: dict[str, Any], names: Sequence[str]):
        self.path = path
        self._names = list(names)
        self._index = {name: at for at, name in enumerate(self._names)}
        self._header = json.dumps(header, sort_keys=True)

    def read(self) -> Samples:
        """All whole rounds of this profile so far; drops the rest of the file."""
        samples = Samples()
        if self.path is None:
            return samples
        try:
            lines = self.path.read_text().split("\n")
        except (OSError, UnicodeDecodeError):
            lines = []
        whole = 0
        if lines[:1] == [self._header]:
            whole = 1
            for line in lines[1:-1]:  # the last one is empty, or was cut short
                taken = self._parse(line)
                if taken is None:
                    break
                samples.add(taken)
                whole += 1
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [self._header, *lines[1:whole]] if whole else [self._header]
        self.path.write_text("\n".join(kept) + "\n")
        return samples

    def append(self, taken: Round) -> None:
        """Add one round."""
        if self.path is None:
            return
        runs = [[self._index[key], ms] for key, ms in taken.runs_ms.items()]
        with self.path.open("a") as file:
            record = {"runs": runs, "reference": taken.reference_ms, "busy": taken.busy_ms}
            file.write(json.dumps(record) + "\n")

    def delete(self) -> None:
        """The profile is finished and lies in a table."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _parse(self, line: str) -> Round | None:
        try:
            record = json.loads(line)
            runs = {self._names[int(at)]: float(ms) for at, ms in record["runs"]}
            reference = tuple(float(ms) for ms in record["reference"])
            return Round(runs, reference, float(record["busy"]))
        except (ValueError, KeyError, TypeError, IndexError):
            return None
