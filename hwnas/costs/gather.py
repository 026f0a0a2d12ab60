"""Sums over decisions for millions of architectures, at the speed of memory.

Two neighbouring decisions of a row of bytes are one 16-bit word, and that word is the index into a
table of their sums: half as many look-ups, and no arithmetic to make an index. Words that are no
pair of choices hold NaN, so that what is out of range is seen in the sum and needs no pass of its
own. Chunks of rows stay in the cache between the look-ups.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["WORTH_PAIRING", "can_pair", "pair_sums"]

#: Rows below which making the tables costs more than they save.
WORTH_PAIRING = 8192
_CHUNK_ROWS = 16384

Steps = npt.NDArray[np.int64]
Sums = npt.NDArray[np.floating[Any]]


def can_pair(rows: npt.NDArray[Any], entries: Sequence[Steps]) -> bool:
    """Whether rows are many enough, and their choices few enough, for `pair_sums`."""
    return (
        len(rows) >= WORTH_PAIRING
        and rows.dtype.kind in "iu"
        and rows.shape[1:] == (len(entries),)
        and max(len(entry) for entry in entries) <= 256
    )


def pair_sums(
    rows: npt.NDArray[Any], fixed: int, entries: Sequence[Steps]
) -> Iterator[tuple[slice, Sums]]:
    """``fixed + sum_d entries[d][rows[:, d]]``, chunk after chunk of the rows.

    Args:
        rows: integers (n, n_decisions), fastest as uint8.
        fixed: added to every sum.
        entries: for each decision an array (n_choices,) of whole numbers.

    Returns:
        Iterator over slices of the rows and their sums: float32 where these are exact in it (below
        2^24), else float64 (below 2^53).

    Raises:
        IndexError: a row has an index that is negative or no choice.
    """
    largest = abs(fixed) + sum(int(np.abs(entry).max()) for entry in entries)
    dtype: type[np.floating[Any]] = np.float32 if largest < 2**24 else np.float64
    entries = [entries[0] + fixed, *entries[1:]]
    paired = len(entries) // 2 * 2
    tables = [_pair_table(entries[d], entries[d + 1], dtype) for d in range(0, paired, 2)]
    last = entries[-1].astype(dtype)
    for start in range(0, len(rows), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        chunk = _bytes(rows[part])
        words = [chunk[:, d : d + 2].view(np.uint16)[:, 0] for d in range(0, paired, 2)]
        sums: Sums = np.zeros(len(chunk), dtype)
        if paired < len(entries):
            sums += last.take(chunk[:, -1])
        for table, word in zip(tables, words, strict=True):
            sums += table.take(word)
        if np.isnan(sums.max()):
            raise IndexError("an index is out of range")
        yield part, sums


def _pair_table(first: Steps, second: Steps, dtype: type[np.floating[Any]]) -> Sums:
    """Sums of two decisions by the word that their bytes make in memory, on any byte order."""
    pairs = np.indices((len(first), len(second))).reshape(2, -1).T.astype(np.uint8, order="C")
    words = pairs.view(np.uint16)[:, 0]
    table = np.full(int(words.max()) + 1, np.nan, dtype)
    table[words] = (first[:, None] + second).ravel()
    return table


def _bytes(chunk: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The rows as C-ordered bytes; what does not fit is no choice."""
    if chunk.dtype != np.uint8 and (chunk.min() < 0 or chunk.max() > 255):
        raise IndexError("an index is out of range")
    return np.ascontiguousarray(chunk, np.uint8)
