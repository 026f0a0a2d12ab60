"""Granularities: the same architectures as one entry a decision, a block, a neighbouring pair.

A view turns each architecture into a few *entries* out of a fixed list, one for each of its slots.
Sums over entries are gathers, and what entries have in common (the same operator, neighbouring
positions) tells a model which of their effects are alike.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.predictors.regression.columns import Columns
from hwnas.spaces import Cell

__all__ = ["Batch", "View", "views_of"]

#: Blocks with more combinations of values are left out.
_MOST_COMBINATIONS = 100_000
#: How far along a network, as a share of its length, effects of one operator stay alike.
_REACH = 0.25


@dataclass(frozen=True, eq=False)
class View:
    """One granularity.

    Attributes:
        members: for each slot, the columns (indices into `Columns.chosen`) that make it up.
        lookup: for each slot, from the mixed-radix code of its members to an entry. Combinations
            that fit did not meet map to ``size``, the entry without effect.
        strides: for each slot, the radices to combine its members' codes with.
        kind, label, position: of each entry; equal kind and label mean the same operator, the
            position runs from 0 to 1 along the slots of a kind.
        cell: where dead operators are taken out first.
    """

    members: tuple[tuple[int, ...], ...]
    lookup: tuple[IntArray, ...]
    strides: tuple[IntArray, ...]
    kind: IntArray
    label: tuple[Hashable, ...]
    position: FloatArray
    cell: Cell | None = None

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.label)

    def entries(self, codes: IntArray) -> IntArray:
        """The entry of each slot, (n, n_slots), from codes (n, n_chosen)."""
        if self.cell is not None:
            codes = self.cell.live(codes)
        flat = np.empty((len(codes), len(self.members)), np.intp)
        for slot, (members, lookup, strides) in enumerate(
            zip(self.members, self.lookup, self.strides, strict=True)
        ):
            at = codes[:, members[0]]
            if len(members) > 1:
                at = codes[:, members] @ strides
            flat[:, slot] = lookup[at]
        return flat

    def one_hot(self, entries: IntArray) -> FloatArray:
        """The entries as zeros and ones, (n, size)."""
        dense = np.zeros((len(entries), self.size + 1))
        dense[np.arange(len(entries))[:, None], entries] = 1.0
        return dense[:, :-1]

    def operators(self) -> FloatArray:
        """Which entries are the same operator, (size, n_operators) of zeros and ones."""
        keys = list(zip(self.kind.tolist(), self.label, strict=True))
        column = {key: at for at, key in enumerate(dict.fromkeys(keys))}
        table = np.zeros((self.size, len(column)))
        table[np.arange(self.size), [column[key] for key in keys]] = 1.0
        return table

    def likeness(self) -> FloatArray:
        """How alike the entries' effects are expected to be, (size, size).

        1 for the same operator at the same place, falling with the distance between places, 0 for
        different operators.
        """
        same = self.operators()
        apart = self.position[:, None] - self.position
        return (same @ same.T) * np.exp(-0.5 * (apart / _REACH) ** 2)


class Batch:
    """Architectures, and what the views make of them, each computed when first needed.

    Args:
        views: by name.
        codes: (n, n_chosen), see `Columns.codes`.
        numbers: (n, n_quantities), standardised.
        rows: (n, n_columns), as they came.
    """

    def __init__(
        self, views: dict[str, View], codes: IntArray, numbers: FloatArray, rows: FloatArray
    ):
        self.views = views
        self.codes = codes
        self.numbers = numbers
        self.rows = rows
        self._entries: dict[str, IntArray] = {}

    def __len__(self) -> int:
        return len(self.codes)

    def entries(self, view: str) -> IntArray:
        """`View.entries` of the view of this name."""
        if view not in self._entries:
            self._entries[view] = self.views[view].entries(self.codes)
        return self._entries[view]

    def take(self, rows: slice | IntArray) -> "Batch":
        """Some of the architectures."""
        part = Batch(self.views, self.codes[rows], self.numbers[rows], self.rows[rows])
        part._entries = {name: entries[rows] for name, entries in self._entries.items()}
        return part


def views_of(columns: Columns, codes: IntArray, cell: Cell | None) -> dict[str, View]:
    """The views that make sense for these columns, by name.

    ``decisions`` has an entry for each value of each column; ``pairs`` for the combinations of
    neighbours that fit saw (in a cell: of edges that follow each other), ``blocks`` of the columns
    of a block. ``live`` and ``live pairs`` are the first two after dead operators are taken out.
    """
    count = len(columns.chosen)
    if not count:
        return {}
    single = [(at,) for at in range(count)]
    views = {"decisions": _view(columns, codes, single, seen_only=False)}
    neighbours: Sequence[tuple[int, ...]] = [(at, at + 1) for at in range(count - 1)]
    if cell is not None:
        neighbours = cell.chains
    if neighbours:
        views["pairs"] = _view(columns, codes, neighbours)
    widest = max(
        (int(np.prod([len(columns.values[m]) for m in b])) for b in columns.blocks), default=0
    )
    if columns.blocks and widest <= _MOST_COMBINATIONS:
        views["blocks"] = _view(columns, codes, columns.blocks)
    if cell is not None:
        live = cell.live(codes)
        views["live"] = _view(columns, live, single, seen_only=False, cell=cell)
        views["live pairs"] = _view(columns, live, neighbours, cell=cell)
    return views


def _view(
    columns: Columns,
    codes: IntArray,
    members: Sequence[tuple[int, ...]],
    *,
    seen_only: bool = True,
    cell: Cell | None = None,
) -> View:
    """A view whose slots are groups of columns."""
    kind_of: dict[tuple[int, ...], int] = {}
    kinds = [
        kind_of.setdefault(tuple(columns.kinds[m] for m in slot), len(kind_of)) for slot in members
    ]
    lookups, all_strides = [], []
    entry_kind: list[int] = []
    labels: list[Hashable] = []
    positions: list[float] = []
    for slot, (group, kind) in enumerate(zip(members, kinds, strict=True)):
        radices = [len(columns.values[m]) for m in group]
        strides = np.cumprod([1, *radices[:0:-1]])[::-1].astype(np.int64)
        combinations = int(np.prod(radices))
        seen = np.unique(codes[:, group] @ strides) if seen_only else np.arange(combinations)
        place = kinds[:slot].count(kind) / max(kinds.count(kind) - 1, 1)
        lookup = np.full(combinations, -1, np.intp)
        for code in seen.tolist():
            lookup[code] = len(labels)
            parts = [int(code // s) % r for s, r in zip(strides, radices, strict=True)]
            labels.append(tuple(columns.labels[m][p] for m, p in zip(group, parts, strict=True)))
            entry_kind.append(kind)
            positions.append(place)
        lookups.append(lookup)
        all_strides.append(strides)
    for lookup in lookups:
        lookup[lookup < 0] = len(labels)
    return View(
        tuple(tuple(group) for group in members),
        tuple(lookups),
        tuple(all_strides),
        np.array(entry_kind, np.int64),
        tuple(labels),
        np.array(positions),
        cell,
    )
