"""Numbers of architectures from a benchmark's file: each is looked up, none is computed."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.csv_files import CsvFile, read_csv, split_column
from hwnas.errors import ArchitectureError, DataError
from hwnas.spaces.space import SearchSpace

__all__ = ["ArchitectureTable", "read_tables"]


class ArchitectureTable:
    """One number for each of many architectures of a space.

    Args:
        space: of the architectures.
        archs: (n, n_decisions), none of them twice.
        values: (n,), finite.
        name: where they come from, such as ``nb201.csv.gz:accuracy``.

    Attributes:
        space, archs, values, name: the arguments.

    Raises:
        ArchitectureError: the architectures do not belong to the space.
        DataError: one is there twice, or a number is not finite.
    """

    def __init__(
        self, space: SearchSpace, archs: npt.ArrayLike, values: npt.ArrayLike, name: str = "a table"
    ):
        self.space, self.name = space, name
        self.archs: IntArray = space.check(archs)
        self.values: FloatArray = np.asarray(values, np.float64)
        if self.values.shape != (len(self.archs),) or not np.isfinite(self.values).all():
            raise DataError(
                f"{name} holds one finite number for each architecture, got numbers of shape "
                f"{self.values.shape} for {len(self.archs)}"
            )
        self._places = {row.tobytes(): at for at, row in enumerate(self.archs)}
        if len(self._places) < len(self.archs):
            doubled = next(
                row for at, row in enumerate(self.archs) if self._places[row.tobytes()] != at
            )
            raise DataError(
                f"{name} holds {space.format(doubled)} more than once: give one row for each "
                "architecture"
            )

    def __len__(self) -> int:
        return len(self.archs)

    def places(self, archs: npt.ArrayLike) -> IntArray:
        """The rows (n,) in which architectures (n, n_decisions) stand; -1 where they do not."""
        rows = np.ascontiguousarray(self.space.check(archs))
        return np.array([self._places.get(row.tobytes(), -1) for row in rows], np.int64)

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """The numbers (n,) of architectures (n, n_decisions).

        Raises:
            ArchitectureError: one has no row.
        """
        rows = self.space.check(archs)
        places = self.places(rows)
        if len(lacking := rows[places < 0]):
            raise ArchitectureError(f"{self.name} has no row of {self.space.format(lacking[0])}")
        found: FloatArray = self.values[places]
        return found

    @property
    def complete(self) -> bool:
        """Whether every architecture of the space has a row."""
        return len(self) == self.space.size

    @property
    def digest(self) -> str:
        """16 hex digits, equal for equal numbers of equal architectures in equal order."""
        text = self.space.identifier.encode() + self.archs.tobytes() + self.values.tobytes()
        return hashlib.sha256(text).hexdigest()[:16]


def read_tables(space: SearchSpace, specs: Sequence[str]) -> list[ArchitectureTable]:
    """Columns of CSV files, plain or gzip-packed, as numbers of a space's architectures.

    In each file, rows are matched by the first column whose text is an architecture in a notation
    that ``space.parse`` reads. A file without such a column is matched to one that has it by the
    first column that both name and that tells the rows of the latter apart, such as ``idx``. A row
    whose field is empty is a row that is missing.

    Args:
        space: of the architectures.
        specs: ``FILE.csv:COLUMN`` or ``FILE.csv.gz:COLUMN`` each.

    Raises:
        DataError: a file cannot be read, lacks a column, or has rows that cannot be matched,
            architectures of another space, doubled rows, or what is no number; the message names
            the line.
    """
    parts = [split_column(spec) for spec in specs]
    files = {path: read_csv(path) for path in dict.fromkeys(path for path, _ in parts)}
    for path, column in parts:
        files[path].columns([column])  # is it there?
    columns = {path: _architecture_column(space, file) for path, file in files.items()}
    naming = next((path for path, column in columns.items() if column is not None), None)
    if naming is None:
        told = " and ".join(f"{p} ({', '.join(f.header[:30])})" for p, f in files.items())
        raise DataError(
            f"no column of {told} holds architectures of {space.name}, such as "
            f"{space.format([0] * len(space.decisions))}: give --space, or beside it a file "
            "that names them and shares a column with it"
        )
    tables = []
    for path, column in parts:
        key, known = columns[path], None
        if key is None:
            key = _shared_key(files[naming], files[path], [c for _, c in parts])
            known = _architectures_by_key(space, files[naming], key, str(columns[naming]))
        tables.append(_table(space, files[path], column, key, known))
    return tables


def _architecture_column(space: SearchSpace, file: CsvFile) -> str | None:
    """The first column whose first text is an architecture."""
    for name, text in zip(file.header, file.first, strict=False):
        try:
            space.parse(text.strip())
        except ArchitectureError:
            continue
        return name
    return None


def _shared_key(naming: CsvFile, other: CsvFile, values: Sequence[str]) -> str:
    """The column by which rows of a file without architectures find theirs in another."""
    for name in other.header:
        if name in values or naming.header.count(name) != 1:
            continue
        rows = naming.columns([name]).rows
        if len(set(rows)) == len(rows):
            return name
    raise DataError(
        f"{other.path} names no architectures and has no column in common with {naming.path} that "
        f"tells its rows apart: {', '.join(other.header[:30])}, and {', '.join(naming.header[:30])}"
    )


def _architectures_by_key(
    space: SearchSpace, file: CsvFile, key: str, column: str
) -> dict[str, IntArray]:
    found = file.columns([key, column])
    return {
        text: _parsed(space, arch, file.path, line)
        for line, (text, arch) in zip(found.lines, found.rows, strict=True)
    }


def _table(
    space: SearchSpace,
    file: CsvFile,
    column: str,
    key: str,
    known: dict[str, IntArray] | None,
) -> ArchitectureTable:
    """A column's table; ``key`` holds architectures, or what ``known`` knows them by."""
    found = file.columns([key, column])
    archs, values = [], []
    for line, (text, number) in zip(found.lines, found.rows, strict=True):
        if not number:
            continue
        if known is not None and text not in known:
            raise DataError(
                f"line {line} of {file.path}: no architecture has the {key} {text!r} in the file "
                "that names them"
            )
        archs.append(_parsed(space, text, file.path, line) if known is None else known[text])
        values.append(_number(number, f"line {line} of {file.path}: {column}"))
    name = f"{file.path.name}:{column}"
    rows = np.array(archs, np.int64).reshape(len(archs), len(space.decisions))
    if not archs:
        raise DataError(f"{name} holds no numbers: its fields are empty")
    return ArchitectureTable(space, rows, values, name)


def _parsed(space: SearchSpace, text: str, path: Path, line: int) -> IntArray:
    try:
        return space.parse(text)
    except ArchitectureError as error:
        raise DataError(f"line {line} of {path}: {error}") from None


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{what} is a number, got {text!r}")
    return value
