"""Strangers' CSV files, plain or gzip-packed: named columns of text, read within bounds."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwnas.errors import DataError
from hwnas.reading import MIB, read_bytes

__all__ = ["Column", "CsvFile", "read_csv", "split_column"]

#: More than any file of ours, packed or not.
_MOST_BYTES = 256 * MIB
#: Columns that an error names.
_TOLD = 50


@dataclass(frozen=True)
class Column:
    """Some columns of a file, row by row.

    Attributes:
        lines: where each row stands in the file, (n,).
        rows: the texts of each row, in the order in which the columns were asked for.
    """

    lines: list[int]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True, repr=False)
class CsvFile:
    """A file whose first line names its columns.

    Attributes:
        path: of the file.
        header: the names, in order.
    """

    path: Path
    header: tuple[str, ...]
    _text: str

    @property
    def first(self) -> tuple[str, ...]:
        """The first row below the header; empty where there is none."""
        return next(
            (tuple(row) for line, row in _rows(self._text, self.path) if line > 1 and row), ()
        )

    def columns(self, names: Sequence[str]) -> Column:
        """The columns of these names.

        Raises:
            DataError: one is not there, or there twice; a row has another number of fields.
        """
        places = [self._place(name) for name in names]
        found = Column([], [])
        for line, row in _rows(self._text, self.path):
            if line == 1 or not row:
                continue
            if len(row) != len(self.header):
                raise DataError(
                    f"line {line} of {self.path} has {len(row)} fields, and its first line names "
                    f"{len(self.header)} columns: mend the file, or fetch it again"
                )
            found.lines.append(line)
            found.rows.append(tuple(row[place].strip() for place in places))
        if not found.rows:
            raise DataError(f"{self.path} has no rows below its header")
        return found

    def _place(self, name: str) -> int:
        count = self.header.count(name)
        if count == 1:
            return self.header.index(name)
        wrong = "no column" if count == 0 else f"{count} columns of the name"
        raise DataError(
            f"{self.path} has {wrong} {name!r}: its columns are {', '.join(self.header[:_TOLD])}"
        )


def split_column(spec: str) -> tuple[Path, str]:
    """The two parts of ``FILE.csv[.gz]:COLUMN``.

    Raises:
        DataError: a part is lacking.
    """
    path, _, column = spec.rpartition(":")
    if not path or not column:
        raise DataError(
            f"a column of a table is FILE.csv:COLUMN or FILE.csv.gz:COLUMN, got {spec!r}"
        )
    return Path(path), column


def read_csv(path: Path) -> CsvFile:
    """Read a CSV file of UTF-8, gzip-packed if it begins as such a file does.

    Raises:
        DataError: it is not there, no such file, or larger than any of ours.
    """
    try:
        content = read_bytes(path, _MOST_BYTES)
        if content[:2] == b"\x1f\x8b":
            content = _unpacked(content)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text of UTF-8 ({error.reason}): give a CSV file") from None
    first = next(_rows(text, path), (1, []))
    header = tuple(name.strip() for name in first[1])
    if first[0] != 1 or not any(header):
        raise DataError(f"{path} is no CSV file: its first line names no columns")
    return CsvFile(path, header, text)


def _unpacked(content: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as packed:
            unpacked = packed.read(_MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"it is not a whole gzip file: {error}") from None
    if len(unpacked) > _MOST_BYTES:
        raise OSError(f"it is larger than {_MOST_BYTES / MIB:g} MiB when unpacked")
    return unpacked


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a text, each with the line that it begins in; there are no others without end."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"line {line} of {path} is no row of a CSV file ({error})") from None
