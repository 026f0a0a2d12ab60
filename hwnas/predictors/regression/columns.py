"""What the columns of integer-coded architectures are: categories, quantities, kinds, blocks."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.errors import ArchitectureError, OptionError
from hwnas.spaces import SearchSpace

__all__ = ["Columns"]

#: A column with more distinct whole numbers than this is a quantity.
_MOST_CATEGORIES = 16
#: Two columns whose values overlap this much (intersection over union) are of one kind.
_OVERLAP = 0.7
#: What is rarer than this is not put down to chance.
_CHANCE = 0.01
_LONGEST_BLOCK = 6
#: Numbers of an open column are at most this factor below or above those seen.
_FAR = 4.0
#: What counts as zero where logarithms are taken.
_LEAST = 1e-9


@dataclass(frozen=True)
class Columns:
    """How rows of numbers are read.

    Attributes:
        count: columns of the input.
        chosen: the columns that are categorical, ascending.
        values: for each of those, the values that may come, ascending.
        labels: for each of those, what its values mean; equal labels in columns of one kind are
            taken to be the same operator. The values themselves where no space tells more.
        kinds: for each of those, a number; columns of one kind choose among the same things.
        blocks: indices into ``chosen``, grouped where the kinds repeat in a rhythm, as in
            (expansion, kernel, layers) for block after block; empty where they do not.
        quantities: the columns that are numbers to interpolate between, ascending.
        numbers: of the chosen columns, those whose values are no codes but numbers in an order,
            such as widths or kernel sizes.
        open: of those, the ones that may hold numbers that no sample had.
    """

    count: int
    chosen: tuple[int, ...]
    values: tuple[FloatArray, ...]
    labels: tuple[tuple[Hashable, ...], ...]
    kinds: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    quantities: tuple[int, ...]
    numbers: tuple[int, ...] = ()
    open: tuple[int, ...] = ()

    @classmethod
    def of_space(cls, space: SearchSpace) -> "Columns":
        """One column a decision; every choice of the space may come, seen or not."""
        labels = tuple(tuple(op.token for op in d.choices) for d in space.decisions)
        values = tuple(np.arange(n, dtype=float) for n in space.n_choices)
        kinds = _kinds(labels, None)
        everything = tuple(range(len(values)))
        return cls(len(values), everything, values, labels, kinds, _blocks(kinds), ())

    @classmethod
    def of_data(
        cls, rows: FloatArray, categories: Sequence[npt.ArrayLike] | None = None
    ) -> "Columns":
        """Read off the rows (n, columns).

        A column is a quantity where it holds numbers that are not whole, or more than 16 distinct
        ones, or distinct ones in most rows and far apart; else its values are categories.

        Args:
            rows: the training samples.
            categories: the values that may come in each column; ``None`` for the ones seen.

        Raises:
            OptionError: ``categories`` has another number of columns, or lacks a value seen.
        """
        n, count = rows.shape
        if categories is not None and len(categories) != count:
            raise OptionError(
                f"categories has one entry for each of the {count} columns of X, "
                f"got {len(categories)}"
            )
        chosen, values, quantities = [], [], []
        for column in range(count):
            seen = np.unique(rows[:, column])
            if _is_quantity(seen, n):
                quantities.append(column)
                continue
            if categories is not None:
                declared = np.unique(np.asarray(categories[column], dtype=float))
                missing = np.setdiff1d(seen, declared)
                if len(missing):
                    raise OptionError(
                        f"column {column} of X holds {missing[0]:g}, categories "
                        f"allows {_listed(declared)}"
                    )
                seen = declared
            chosen.append(column)
            values.append(seen)
        labels = tuple(tuple(float(v) for v in column) for column in values)
        kinds = _kinds(labels, n if categories is None else None)
        if categories is None:
            values = _with_relatives(values, kinds, n)
            labels = tuple(tuple(float(v) for v in column) for column in values)
        numbers = tuple(c for c, v in zip(chosen, values, strict=True) if _are_numbers(v))
        return cls(
            count,
            tuple(chosen),
            tuple(values),
            labels,
            kinds,
            _blocks(kinds),
            tuple(quantities),
            numbers,
            numbers if categories is None else (),
        )

    def known(self, rows: FloatArray) -> BoolArray:
        """Which rows hold only values that may come, (n,)."""
        found = np.ones(len(rows), bool)
        for column, values in zip(self.chosen, self.values, strict=True):
            found &= self._code(column, values, rows[:, column])[1]
        return found

    def codes(self, rows: FloatArray, first: int = 0) -> IntArray:
        """Index of each value among its column's values, (n, len(chosen)).

        A number that no sample had is the nearest one in an open column, if it is not far away.

        Args:
            rows: (n, columns).
            first: number of the first row, for errors.

        Raises:
            ArchitectureError: a value that may not come.
        """
        codes = np.empty((len(rows), len(self.chosen)), np.int64)
        for at, (column, values) in enumerate(zip(self.chosen, self.values, strict=True)):
            codes[:, at], known = self._code(column, values, rows[:, column])
            if not known.all():
                wrong = int(np.flatnonzero(~known)[0])
                raise ArchitectureError(
                    f"column {column} is {rows[wrong, column]:g} in row {first + wrong}, which was "
                    f"never seen in fit; known there: {_listed(values)}. Fit on samples that have "
                    "it, or name the allowed values by space= or categories="
                )
        return codes

    def _code(self, column: int, values: FloatArray, got: FloatArray) -> tuple[IntArray, BoolArray]:
        """Index among the values of a column, (n,), and whether the value may come."""
        code = np.minimum(np.searchsorted(values, got), len(values) - 1)
        known = values[code] == got
        if column in self.open and not known.all():
            known |= (got >= values[0] / _FAR) & (got <= values[-1] * _FAR)
            sizes = np.log(np.maximum(values, _LEAST))
            near = np.searchsorted((sizes[1:] + sizes[:-1]) / 2, np.log(np.maximum(got, _LEAST)))
            code = np.asarray(near, np.int64)
        return code, known


def _listed(values: FloatArray) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _is_quantity(seen: FloatArray, n: int) -> bool:
    if np.any(seen != np.rint(seen)) or len(seen) > _MOST_CATEGORIES:
        return True
    span = float(seen[-1] - seen[0])
    return len(seen) > n / 2 and span > 4 * _MOST_CATEGORIES


def _are_numbers(values: FloatArray) -> bool:
    """Whether the values of a column are sizes, and no codes that count from 0 or 1."""
    codes = np.arange(len(values)) + min(values[0], 1.0)
    return bool(len(values) > 2 and values[0] >= 0 and values[1] > 0 and np.any(values != codes))


def _plausible(seen: int, possible: int, n: int) -> bool:
    """Whether n fair draws among ``possible`` values might show only ``seen`` of them."""
    return comb(possible, seen) * (seen / possible) ** n >= _CHANCE


def _kinds(labels: Sequence[tuple[Hashable, ...]], n: int | None) -> tuple[int, ...]:
    """A number for each column: equal where the columns choose among the same things.

    With few samples ``n`` of the column, chance is allowed for; ``None`` if the labels are all.
    """
    vocabularies: list[set[Hashable]] = []
    kinds = []
    for column in labels:
        own = set(column)
        for kind, vocabulary in enumerate(vocabularies):
            union = own | vocabulary
            alike = len(own & vocabulary) >= _OVERLAP * len(union)
            if n is not None and not alike and n < 40:
                alike = bool(own & vocabulary) and all(
                    _plausible(len(part), len(union), n) for part in (own, vocabulary)
                )
            if alike:
                vocabularies[kind] = union
                kinds.append(kind)
                break
        else:
            vocabularies.append(own)
            kinds.append(len(vocabularies) - 1)
    return tuple(kinds)


def _with_relatives(
    values: Sequence[FloatArray], kinds: tuple[int, ...], n: int
) -> list[FloatArray]:
    """With few samples, also the values seen in columns of the same kind.

    Only while the absence from the column itself is plausible by chance: a value that n fair draws
    would miss in less than one case of a hundred is taken to be impossible there.
    """
    result = []
    for own, kind in zip(values, kinds, strict=True):
        family = np.unique(
            np.concatenate([v for v, k in zip(values, kinds, strict=True) if k == kind])
        )
        by_chance = (1 - 1 / len(family)) ** n >= _CHANCE
        result.append(family if by_chance else own)
    return result


def _blocks(kinds: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Runs of columns in which the kinds repeat with the shortest period above 1."""
    best: tuple[tuple[int, ...], ...] = ()
    for period in range(2, _LONGEST_BLOCK + 1):
        start = 0
        while start + 2 * period <= len(kinds):
            end = start
            while end + period < len(kinds) and kinds[end] == kinds[end + period]:
                end += 1
            length = (end - start + period) // period * period if end > start else 0
            varied = len(set(kinds[start : start + period])) > 1
            if varied and length >= 2 * period and length > sum(map(len, best)):
                best = tuple(
                    tuple(range(b, b + period)) for b in range(start, start + length, period)
                )
            start = max(end, start + 1)
    return best
