"""A part of a data set whose examples are asked for by their number, in this process or others.

A batch follows from the seed, the step and its size: which examples it holds, and what they draw
(random crops, say). So it is the same whatever was drawn before it, in whichever process it is
made, and a training goes on bit for bit.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwnas.arrays import IntArray
from hwnas.data.batches import batch_indices, even_slices
from hwnas.data.form import Form
from hwnas.data.nested import joined
from hwnas.data.protocol import Batch
from hwnas.data.reading_ahead import Ahead, in_order, needed_workers
from hwnas.errors import DataError

__all__ = ["MapPart", "collated", "joined_batches", "tuples"]

#: Keep the draws of training batches apart from those of batches that are looked at.
_TRAINED, _SEEN = 21, 22
#: Examples whose bytes are in the digest.
_TOLD = 64

#: Seeds of what a batch draws, and the numbers of its examples.
_Plan = tuple[tuple[int, ...], IntArray]


@dataclass(eq=False)
class MapPart:
    """Examples ``source[row]``, each a pair (x, y).

    Attributes:
        form: of every batch; None until the first is seen.
        source: has ``__getitem__``.
        rows: the examples of this part.
        what: names the part in messages.
        workers: processes that load batches ahead; 0 for this one.
        collate: makes a batch of a list of examples.
    """

    form: Form | None
    source: Any
    rows: IntArray
    what: str
    workers: int = 0
    collate: Callable[[list[Any]], Any] | None = None
    _ahead: "Ahead[_Plan, Any]" = field(init=False, repr=False)
    in_any_order = True

    def __post_init__(self) -> None:
        self._read = _Read(self.source, self.collate or collated)
        self._ahead = Ahead(self._read, self.workers)

    @property
    def count(self) -> int:
        """How many examples there are."""
        return len(self.rows)

    def batch(self, step: int, size: int, seed: int) -> Batch:
        """The examples of one training step."""
        rows = self.rows  # a plan that knew this part would keep its processes until a collection

        def plan(at: int) -> _Plan:
            return (_TRAINED, seed, at), rows[batch_indices(len(rows), size, at, seed)]

        # examples that are asked for one at a time come in any order: nothing can be read ahead
        one = size == 1
        batch = self._read(plan(step)) if one else self._ahead.batch(step, (size, seed), plan)
        if isinstance(batch, _Failed):
            self._ahead = Ahead(self._read, self.workers)  # the processes end now
        return self._checked(batch, f"batch {step} of the {self.what} part")

    def batches(self, most: int | None = None) -> Iterator[Batch]:
        """The first examples, all by default, in order; batches of nearly one size."""
        rows = self.rows[:most]
        plans = [((_SEEN, at), rows[part]) for at, part in enumerate(even_slices(len(rows)))]
        read = in_order(self._read, plans, needed_workers(self.workers, plans))
        for at, batch in enumerate(read):
            yield self._checked(batch, f"batch {at} of the {self.what} part")

    def first(self) -> Any:
        """Some batch as it is; its form is not looked at.

        Raises:
            DataError: it cannot be read.
        """
        batch = self._read(((_SEEN, 0), self.rows[:8]))
        if isinstance(batch, _Failed):
            raise DataError(f"the {self.what} part: {batch.why}")
        return batch

    def told(self) -> Batch:
        """Examples from all over the part, for a digest."""
        few = np.linspace(0, self.count - 1, min(_TOLD, self.count)).astype(np.int64)
        return joined_batches(replace(self, rows=self.rows[few], workers=0).batches())

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

    return tuples(default_collate(examples))


def tuples(whole: Any) -> Any:
    """A batch that torch collated, its lists as tuples: they hold arrays, not examples."""
    if isinstance(whole, dict):
        return {key: tuples(value) for key, value in whole.items()}
    return tuple(map(tuples, whole)) if isinstance(whole, list | tuple) else whole


@dataclass(frozen=True)
class _Failed:
    """Why there is no batch; errors that cross from another process lose their words."""

    why: str


@dataclass(frozen=True, eq=False)
class _Read:
    """Makes batches, in whichever process."""

    source: Any
    collate: Callable[[list[Any]], Any]

    def __call__(self, plan: _Plan) -> Any:
        from hwnas.data.draws import drawing_from

        seeds, rows = plan
        examples, doing = [], ""
        try:
            with drawing_from(*seeds):
                for row in rows.tolist():
                    doing = f"example {row}"
                    examples.append(self.source[row])
                doing = f"making a batch of {len(examples)} examples"
                return self.collate(examples)
        except Exception as error:  # whatever a person's own code raises
            return _Failed(f"{doing} raises {type(error).__name__}: {error}")
