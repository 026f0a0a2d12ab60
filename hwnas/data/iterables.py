"""A part of a data set that hands out batches in an order of its own, such as a DataLoader.

Batches are cut anew to the size that is asked for. Which epoch and which example a step begins with
follows from the step; whether that is the same example again is up to the source. What it draws
from torch's, numpy's and Python's own generators follows from the seed and the epoch.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, repeat
from typing import Any

from hwnas.data.batches import even_slices
from hwnas.data.form import Form
from hwnas.data.nested import cut, length, rows_of
from hwnas.data.protocol import Batch
from hwnas.errors import DataError, quoting

__all__ = ["IterablePart"]

_STREAM = 23  # keeps draws of one seed apart


@dataclass(eq=False)
class IterablePart:
    """Batches of an iterable, or of a function that returns a new one each time.

    Attributes:
        form: of every batch; None until the first is seen.
        source: the iterable, or the function.
        what: names the part in messages.
        tidy: makes what the source hands out a batch; None where it is one.
    """

    form: Form | None
    source: Any
    what: str
    tidy: Callable[[Any], Any] | None = None
    _ahead: tuple[tuple[int, int, int], Iterator[Batch]] | None = field(
        default=None, init=False, repr=False
    )
    in_any_order = False

    @cached_property
    def count(self) -> int:
        """How many examples there are; the source is gone through once to know it.

        Raises:
            DataError: there are none.
        """
        found = sum(length(y) for _, y in self._epoch(0, 0))
        if not found:
            raise DataError(f"{self._called} hands out nothing")
        return found

    def batch(self, step: int, size: int, seed: int) -> Batch:
        """The examples of one training step; steps that do not follow each other begin anew."""
        if self._ahead is None or self._ahead[0] != (step, size, seed):
            self._ahead = (step, size, seed), cut(self._from(step * size, seed), repeat(size))
        reading = self._ahead[1]
        batch = next(reading)
        self._ahead = (step + 1, size, seed), reading
        return batch

    def batches(self, most: int | None = None) -> Iterator[Batch]:
        """The first examples, all by default, in the source's order; batches of nearly one size."""
        self._ahead = None  # a loader that keeps its processes has one reading at a time
        n = self.count if most is None else min(most, self.count)
        sizes = (part.stop - part.start for part in even_slices(n))
        yield from cut(self._epoch(0, 0), sizes)

    def first(self) -> Any:
        """The first batch as it is; its form is not looked at.

        Raises:
            DataError: there is none.
        """
        for batch in self._raw(0, 0):
            return batch
        raise DataError(f"{self._called} hands out nothing")

    def told(self) -> Batch:
        """The first batch, for a digest."""
        return next(iter(self._epoch(0, 0)))

    def _from(self, start: int, seed: int) -> Iterator[Batch]:
        """Endless batches from an example on."""
        epoch, left_out = divmod(start, self.count)
        for at in count(epoch):
            seen = 0
            for x, y in self._epoch(seed, at):
                n = length(y)
                seen += n
                if left_out < n:
                    yield rows_of(x, slice(left_out, None)), rows_of(y, slice(left_out, None))
                left_out = max(0, left_out - n)
            if seen != self.count:
                raise DataError(
                    f"{self._called} handed out {self.count} examples before, and {seen} when it "
                    "was gone through again: it must hand out as many each time"
                )

    def _epoch(self, seed: int, epoch: int) -> Iterator[Batch]:
        form = self.form
        assert form is not None
        for at, batch in enumerate(self._raw(seed, epoch)):
            yield form.checked(batch, f"batch {at} of the {self.what} part")

    def _raw(self, seed: int, epoch: int) -> Iterator[Any]:
        """What the source hands out in one epoch."""
        from hwnas.data.draws import drawing_from

        with quoting(DataError, f"{self._called} raises"):
            with drawing_from(_STREAM, seed, epoch, 0):
                batches = self._new()
            for at in count(1):
                with drawing_from(_STREAM, seed, epoch, at):
                    batch = next(batches, _END)
                if batch is _END:
                    return
                yield batch if self.tidy is None else self.tidy(batch)

    def _new(self) -> Iterator[Any]:
        """The source from its beginning.

        Raises:
            DataError: it cannot be gone through, or only once.
        """
        if not callable(self.source):
            return _again(self.source, self._called)
        made = self.source()
        if not isinstance(made, Iterable):
            raise DataError(f"{self._called}: the function returns no iterable but {made!r}")
        return iter(made)

    @property
    def _called(self) -> str:
        return f"the {self.what} part" + (f" of data {self.form.name!r}" if self.form else "")


_END = object()


def _again(source: Any, called: str) -> Iterator[Any]:
    """An iterator of something that can be gone through again.

    Raises:
        DataError: it is no iterable, or an iterator, which ends.
    """
    if not isinstance(source, Iterable):
        raise DataError(f"{called} is an iterable of batches (x, y), got {type(source).__name__}")
    found = iter(source)
    if found is source:
        raise DataError(
            f"{called} is an iterator, which ends after one epoch: give what it was made from, "
            "such as the DataLoader, or a function that returns a new one each time"
        )
    return found
