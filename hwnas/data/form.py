"""What every batch of a person's own data looks like, found out at the first.

Batches become tensors here, those of numbers with a fraction float32.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.data.nested import length, parts_of, tensors
from hwnas.data.protocol import Batch, InputShape, shapes_of
from hwnas.errors import DataError

__all__ = ["Form"]


@dataclass(frozen=True)
class Form:
    """Types and shapes of inputs; targets may be anything with the batch first.

    Attributes:
        name: of the data, for messages.
        input_shape: of one input, or of each of several.
        dtypes: of the inputs, such as ``float32``.
        classes: targets are integers below it; None where they are something else.
    """

    name: str
    input_shape: InputShape
    dtypes: tuple[str, ...]
    classes: int | None

    @classmethod
    def of(cls, name: str, batch: Any, classes: int | None) -> "Form":
        """The form of a first batch.

        Raises:
            DataError: it is no pair of inputs and targets.
        """
        x, _ = _pair(name, "the first batch", batch)
        parts = parts_of(x)
        for part in parts:
            if not hasattr(part, "shape") or not hasattr(part, "dtype") or not len(part.shape):
                raise DataError(
                    f"data {name!r}: inputs are arrays or tensors with the batch first, or a tuple "
                    f"of these, got {type(part).__name__}"
                )
        shapes = tuple(tuple(int(n) for n in part.shape[1:]) for part in parts)
        shape = shapes if isinstance(x, tuple) else shapes[0]
        return cls(name, shape, tuple(_dtype(part) for part in parts_of(tensors(x))), classes)

    def checked(self, batch: Any, what: str) -> Batch:
        """A batch, if it has the form.

        Args:
            batch: a pair of inputs and targets.
            what: names the batch in messages.

        Raises:
            DataError: it has not.
        """
        called, found = f"data {self.name!r}: {what}", Form.of(self.name, batch, None)
        x, y = map(tensors, _pair(self.name, what, batch))
        if (found.input_shape, found.dtypes) != (self.input_shape, self.dtypes):
            raise DataError(
                f"{called} has inputs {found}, and the first of the training part {self}: all "
                "batches have one shape and type"
            )
        n = length(x)
        for part in (*parts_of(x), *parts_of(y)):
            if not hasattr(part, "__len__") or getattr(part, "shape", (1,)) == ():
                raise DataError(f"{called} has a {type(part).__name__} as target: one an example")
            if len(part) != n or not n:
                raise DataError(f"{called} has {n} inputs and {len(part)} targets")
        if self.classes is not None:
            self._check_labels(called, y, n)
            return x, y.long()
        return x, y

    def __str__(self) -> str:
        shapes = shapes_of(self.input_shape)
        return " and ".join(f"{d} {s}" for d, s in zip(self.dtypes, shapes, strict=True))

    def _check_labels(self, called: str, labels: Any, n: int) -> None:
        ids, classes = np.asarray(labels), self.classes or 0
        if ids.shape != (n,) or ids.dtype.kind not in "iu":
            raise DataError(
                f"{called} has labels {ids.dtype} {ids.shape}: classes are integers ({n},); what "
                "is no class needs a loss and a metric, task=Task(loss=, metric=)"
            )
        wrong = ids[(ids < 0) | (ids >= classes)]
        if len(wrong):
            raise DataError(f"{called} has labels 0 to {classes - 1}, got {wrong[0]}")


def _pair(name: str, what: str, batch: Any) -> tuple[Any, Any]:
    """Inputs, several of which are a tuple, and targets."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        got = f"{len(batch)} things" if isinstance(batch, tuple | list) else type(batch).__name__
        raise DataError(
            f"data {name!r}: {what} is a pair (x, y), got {got}: where there are several inputs, x "
            "is a tuple of them"
        )
    x, y = batch
    return (tuple(x) if isinstance(x, list) else x), y


def _dtype(part: Any) -> str:
    return str(part.dtype).removeprefix("torch.")
