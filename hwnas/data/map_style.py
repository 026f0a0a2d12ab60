"""A part of a data set whose examples are asked for by their number, in this process or others.

A batch follows from the seed, the step and its size: which examples it holds, and what they draw
(random crops, say). So it is the same whatever was drawn before it, in whichever process it is
made, and a training goes on bit for bit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np

from hwnas.arrays import IntArray
from hwnas.data.batches import batch_indices, even_slices
from hwnas.data.form import Form
from hwnas.data.nested import joined
from hwnas.data.protocol import Batch
from hwnas.errors import DataError

__all__ = ["MapPart", "collated"]

#: Keep the draws of training batches apart from those of batches that are looked at.
_TRAINED, _SEEN = 21, 22
#: Examples whose bytes are in the digest.
_TOLD = 64

#: Seeds of what a batch draws, and the numbers of its examples.
_Key = tuple[tuple[int, ...], IntArray]


@dataclass(eq=False)
class MapPart:
    """Examples ``source[row]``, each a pair (x, y).

    Attributes:
        form: of every batch; None until the first is seen.
        source: has ``__getitem__``.
        rows: the examples of this part.
        what: names the part in messages.
        workers: processes that load training batches ahead; 0 for this one.
        collate: makes a batch of a list of examples.
    """

    form: Form | None
    source: Any
    rows: IntArray
    what: str
    workers: int = 0
    collate: Callable[[list[Any]], Any] | None = None
    _ahead: tuple[tuple[int, int, int], Iterator[Any] | None] | None = field(
        default=None, init=False, repr=False
    )
    in_any_order = True

    @property
    def count(self) -> int:
        """How many examples there are."""
        return len(self.rows)

    def batch(self, step: int, size: int, seed: int) -> Batch:
        """The examples of one training step.

        The second step in a row starts the workers, which load the steps to come.
        """
        asked, loading = (step, size, seed), None
        if self._ahead is not None and self._ahead[0] == asked:
            loading = self._ahead[1]
            if loading is None and self.workers and size > 1:  # one: asked for in any order
                loading = self._loaded(self._keys(*asked), self.workers)
        batch = next(self._loaded(self._keys(*asked)) if loading is None else loading)
        self._ahead = (step + 1, size, seed), loading
        return self._checked(batch, f"batch {step} of the {self.what} part")

    def batches(self, most: int | None = None) -> Iterator[Batch]:
        """The first examples, all by default, in order; batches of nearly one size."""
        rows = self.rows[:most]
        slices = list(even_slices(len(rows)))
        keys = [((_SEEN, at), rows[part]) for at, part in enumerate(slices)]
        workers = self.workers if len(keys) > 1 else 0
        for at, batch in enumerate(self._loaded(keys, workers)):
            yield self._checked(batch, f"batch {at} of the {self.what} part")

    def first(self) -> Any:
        """Some batch as it is; its form is not looked at."""
        return next(self._loaded([((_SEEN, 0), self.rows[:8])]))

    def told(self) -> Batch:
        """Examples from all over the part, for a digest."""
        few = np.linspace(0, self.count - 1, min(_TOLD, self.count)).astype(np.int64)
        return joined_batches(replace(self, rows=self.rows[few], workers=0).batches())

    def _keys(self, step: int, size: int, seed: int) -> Iterator[_Key]:
        for at in count(step):
            rows = self.rows[batch_indices(self.count, size, at, seed)]
            yield (_TRAINED, seed, at), rows

    def _loaded(self, keys: Iterable[_Key], workers: int = 0) -> Iterator[Any]:
        fetch = _Fetch(self.source, self.collate or collated)
        if not workers:
            return map(fetch.__getitem__, keys)
        from torch.utils.data import DataLoader

        loader: Any = DataLoader(
            fetch,
            batch_size=None,
            sampler=keys,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_as_it_is,
        )
        return iter(loader)

    def _checked(self, batch: Any, what: str) -> Batch:
        assert self.form is not None
        if isinstance(batch, _Failed):
            raise DataError(f"data {self.form.name!r}: {what}: {batch.why}")
        return self.form.checked(batch, what)


def joined_batches(batches: Iterable[Batch]) -> Batch:
    """All examples in one batch."""
    x, y = (joined(half) for half in zip(*batches, strict=True))
    return x, y


def collated(examples: list[Any]) -> Any:
    """A batch of examples, as torch's ``default_collate``; what is several is a tuple."""
    from torch.utils.data import default_collate

    return _tuples(default_collate(examples))


def _tuples(whole: Any) -> Any:
    if isinstance(whole, dict):
        return {key: _tuples(value) for key, value in whole.items()}
    return tuple(map(_tuples, whole)) if isinstance(whole, list | tuple) else whole


def _as_it_is(batch: Any) -> Any:
    return batch


@dataclass(frozen=True)
class _Failed:
    """Why there is no batch; errors that cross from another process lose their words."""

    why: str


@dataclass(frozen=True, eq=False)
class _Fetch:
    """Makes batches, in whichever process."""

    source: Any
    collate: Callable[[list[Any]], Any]

    def __getitem__(self, key: _Key) -> Any:
        from hwnas.data.draws import drawing_from

        seeds, rows = key
        try:
            with drawing_from(*seeds):
                return self.collate([self.source[row] for row in rows.tolist()])
        except Exception as error:  # whatever a person's own code raises
            return _Failed(f"{type(error).__name__}: {error}; examples {_few(rows.tolist())}")


def _few(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:8])) + (", ..." if len(rows) > 8 else "")
