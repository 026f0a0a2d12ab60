"""A data set of a person's own batches or examples, of any shape, with a loss and a metric."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from hwnas.data.form import Form
from hwnas.data.iterables import IterablePart
from hwnas.data.labelled import check_split, part_size
from hwnas.data.map_style import MapPart, joined_batches, tuples
from hwnas.data.nested import parts_of
from hwnas.data.protocol import Batch, InputShape
from hwnas.data.task import CLASSIFICATION, Task
from hwnas.errors import DataError

__all__ = ["OwnData", "from_batches"]

Part = MapPart | IterablePart

_SPLIT_STREAM = 1  # keeps draws of one seed apart


@dataclass(frozen=True, eq=False)
class OwnData:
    """A `Dataset` of a person's own parts.

    Attributes:
        name: what reports call it.
        form: of every batch.
        classes: targets are integers below it; where they are something else, the numbers that a
            network gives which is told how many, or None.
        train_part, validation_part, test_part: disjoint.
        task: the loss and the metric.
        class_names: one a class, or none.
        notes: what is out of the ordinary, in words.
    """

    name: str
    form: Form
    classes: int | None
    train_part: Part
    validation_part: Part
    test_part: Part
    task: Task = CLASSIFICATION
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def input_shape(self) -> InputShape:
        """Of one input without the batch, or of each of several."""
        return self.form.input_shape

    @property
    def train_count(self) -> int:
        """How many training examples there are."""
        return self.train_part.count

    @property
    def validation_count(self) -> int:
        """How many validation examples there are."""
        return self.validation_part.count

    def with_workers(self, workers: int) -> "OwnData":
        """The same, whose map-style parts are loaded by ``workers`` processes."""
        parts = (self.train_part, self.validation_part, self.test_part)
        train, validation, test = (
            replace(part, workers=workers) if isinstance(part, MapPart) else part for part in parts
        )
        return replace(self, train_part=train, validation_part=validation, test_part=test)

    @property
    def in_any_order(self) -> bool:
        """Whether single training examples can be asked for."""
        return self.train_part.in_any_order

    @property
    def one_sequence(self) -> bool:
        """Whether no training example draws anything, so that parts of a batch can be read alone.

        That is known of arrays; what a person's own code draws or collates, it does for a batch.
        """
        part = self.train_part
        return isinstance(part, MapPart) and isinstance(part.source, _Pairs) and not part.collate

    @cached_property
    def digest(self) -> str:
        """Of the counts, and of a few examples of each part; 16 hex digits."""
        digest = sha256(str(self.form).encode())
        for part in (self.train_part, self.validation_part, self.test_part):
            digest.update(f"{part.count}".encode())
            for half in part.told():
                for told in _bytes(half):
                    digest.update(told)
        return digest.hexdigest()[:16]

    def train_batch(self, step: int, size: int, seed: int) -> Batch:
        """The examples of one training step."""
        return self.train_part.batch(step, size, seed)

    def validation_batch(self, step: int, size: int, seed: int) -> Batch:
        """`train_batch` for the validation part."""
        return self.validation_part.batch(step, size, seed)

    def validation(self) -> Iterator[Batch]:
        """The validation part, at most 256 examples at once."""
        return self.validation_part.batches()

    def test(self) -> Iterator[Batch]:
        """The test part, at most 256 examples at once."""
        return self.test_part.batches()

    def calibration(self, n: int) -> Any:
        """The inputs of the first ``n`` training examples, fewer if there are fewer."""
        return joined_batches(self.train_part.batches(n))[0]


def from_batches(
    train: Any,
    validation: Any = None,
    test: Any = None,
    *,
    name: str = "own data",
    classes: int | None = None,
    class_names: Sequence[str] = (),
    task: Task = CLASSIFICATION,
    workers: int = 0,
    collate: Callable[[list[Any]], Any] | None = None,
    seed: int = 0,
) -> OwnData:
    """A data set of batches, or of examples, as they are: nothing is normalised.

    Each part is

    - a map-style dataset of torch, or what has ``__len__`` and ``__getitem__`` likewise, of
      examples (x, y);
    - two arrays or tensors (x, y), the examples first;
    - an iterable of batches (x, y): a ``DataLoader``, a list, or a function that returns a new
      iterator each time. It says its own order; a ``DataLoader`` that does nothing but draw from a
      map-style dataset, shuffled or not, is taken for that dataset with its workers.

    x is an array or a tuple of several, of any shape; y is anything with the batch first: an array,
    a tuple or dict of arrays, a list of one thing an example. Numbers with a fraction reach
    networks, loss and metric as float32.

    Args:
        train: what networks are trained on.
        validation, test: what candidates are compared on, and what the last report is of. Of
            map-style examples they are split off where they are missing; else the test part is the
            validation part.
        name: what reports call it.
        classes: targets are integers from 0 below it. Where ``task`` has both a loss and a metric,
            it is the numbers that a network of a shipped space gives for an example.
        class_names: one a class, in place of their number.
        task: the loss and the metric; cross-entropy and accuracy by default.
        workers: processes that load training examples ahead.
        collate: makes a batch (x, y) of a list of examples; torch's ``default_collate`` by default.
        seed: of the split.

    Raises:
        DataError: a part is nothing of this, or an iterator that ends after one epoch; targets that
            are no classes; too few examples.
    """
    if class_names and classes not in (None, len(class_names)):
        raise DataError(f"{len(class_names)} class_names for {classes} classes: give one a class")
    classes = len(class_names) or classes
    if classes is None and task.has_classes:
        raise DataError(
            f"data {name!r} need classes=, how many there are; what is no class needs a task with "
            "a loss and a metric, task=Task(loss=, metric=)"
        )
    given = {"training": train, "validation": validation, "test": test}
    parts = {
        what: _part(source, what, workers, collate)
        for what, source in given.items()
        if source is not None
    }
    if "training" not in parts:
        raise DataError(f"data {name!r} need a training part")
    form = Form.of(name, parts["training"].first(), classes if task.has_classes else None)
    for part in parts.values():
        part.form = form
    notes = _completed(parts, name, seed)
    return OwnData(
        name,
        form,
        classes,
        parts["training"],
        parts["validation"],
        parts["test"],
        task,
        tuple(class_names),
        notes,
    )


def _completed(parts: dict[str, Part], name: str, seed: int) -> tuple[str, ...]:
    """Split off the parts that are missing; returns what is out of the ordinary."""
    train = parts["training"]
    missing = [what for what in ("test", "validation") if what not in parts]
    if isinstance(train, MapPart):
        order = np.random.default_rng([seed, _SPLIT_STREAM]).permutation(train.count)
        size = part_size(len(order), tested="test" in parts)
        for what in missing:
            parts[what] = replace(train, rows=train.rows[order[:size]], what=what)
            order = order[size:]
        if missing:
            parts["training"] = replace(train, rows=train.rows[order])
        check_split(name, *(parts[what].count for what in ("training", "validation", "test")))
        return ()
    if "validation" in missing:
        raise DataError(
            f"data {name!r} need a validation part: what has an order of its own is not split"
        )
    if missing:
        parts["test"] = parts["validation"]
        return (f"{name} has no test part: what is said of it is said of the validation part",)
    return ()


def _part(source: Any, what: str, workers: int, collate: Callable[[list[Any]], Any] | None) -> Part:
    """What a source is."""
    if hasattr(source, "batch_sampler"):  # torch is not loaded for others
        return _of_loader(source, what, workers, collate)
    if isinstance(source, tuple) and len(source) == 2 and all(hasattr(h, "shape") for h in source):
        if len(source[0]) != len(source[1]):
            raise DataError(f"the {what} part: {len(source[0])} inputs, {len(source[1])} targets")
        return _of_examples(_Pairs(*source), what, workers, collate)
    has_batches = isinstance(source, list | tuple)
    if not has_batches and hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return _of_examples(source, what, workers, collate)
    return IterablePart(None, source, what)


def _of_examples(
    source: Any, what: str, workers: int, collate: Callable[[list[Any]], Any] | None
) -> MapPart:
    if not len(source):
        raise DataError(f"the {what} part has no examples")
    return MapPart(None, source, np.arange(len(source)), what, workers, collate)


def _of_loader(
    loader: Any, what: str, workers: int, collate: Callable[[list[Any]], Any] | None
) -> Part:
    """The examples of a DataLoader that draws each once an epoch; else its batches."""
    from torch.utils.data import (
        BatchSampler,
        RandomSampler,
        SequentialSampler,
        default_collate,
        default_convert,
    )

    by_torch = loader.collate_fn in (default_collate, default_convert)
    sampler = getattr(loader, "sampler", None)
    once = type(sampler) is SequentialSampler or (
        type(sampler) is RandomSampler
        and not sampler.replacement
        and sampler.num_samples == len(loader.dataset)
    )
    plain = type(loader.batch_sampler) is BatchSampler and loader.worker_init_fn is None
    if not (once and plain):
        return IterablePart(None, loader, what, tuples if by_torch else None)
    own = None if by_torch else loader.collate_fn
    return _of_examples(loader.dataset, what, workers or loader.num_workers, collate or own)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Two arrays as examples."""

    x: Any
    y: Any

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        return self.x[row], self.y[row]


def _bytes(half: Any) -> Iterator[bytes]:
    """Of all arrays in inputs or targets, lists included."""
    for part in parts_of(half):
        if isinstance(part, list):
            for one in part:
                yield from _bytes(one)
        elif hasattr(part, "shape"):
            array = np.asarray(part)
            yield f"{array.dtype.str}{array.shape}".encode()
            yield np.ascontiguousarray(array).tobytes()
        else:
            yield repr(part).encode()
