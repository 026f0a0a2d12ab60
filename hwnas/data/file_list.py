"""Many files below one folder, in little memory."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from hwnas.arrays import IntArray

__all__ = ["FileList"]


class FileList(Sequence[Path]):
    """The paths of files, kept as the bytes of their names: a million takes some tens of MB.

    Args:
        root: the folder.
        names: of the files, as seen from there.
    """

    def __init__(self, root: Path, names: Iterable[str] = ()):
        encoded = [os.fsencode(name) for name in names]
        self.root = root
        self.names = b"".join(encoded)
        self.stops: IntArray = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))

    def __len__(self) -> int:
        return len(self.stops)

    @overload
    def __getitem__(self, at: int) -> Path: ...
    @overload
    def __getitem__(self, at: slice) -> list[Path]: ...
    def __getitem__(self, at: int | slice) -> Path | list[Path]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        start = self.stops[at - 1] if at else 0
        return self.root / os.fsdecode(self.names[start : self.stops[at]])

    @classmethod
    def joined(cls, root: Path, lists: Sequence["FileList"]) -> "FileList":
        """The files of several lists, all of them below the same folder."""
        result = cls(root)
        starts = np.cumsum([0, *(len(files.names) for files in lists)])
        result.names = b"".join(files.names for files in lists)
        stops = [files.stops + start for files, start in zip(lists, starts, strict=False)]
        result.stops = np.concatenate([result.stops, *stops])
        return result
