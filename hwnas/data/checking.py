"""Whether an object is a data set, told before anything trains."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.data.batches import EVALUATION_BATCH
from hwnas.data.nested import mapped, parts_of
from hwnas.data.protocol import (
    ATTRIBUTES,
    METHODS,
    Batch,
    Dataset,
    InputShape,
    shapes_of,
    shown_shape,
)
from hwnas.data.task import task_of
from hwnas.errors import DataError, quoting

__all__ = ["check_batch", "check_dataset", "check_facts", "lacking"]

_SIZE = 8  # examples of the batch that is looked at
_HEX = set("0123456789abcdef")
_WHOLE = (np.int64, np.int32)  # of inputs that are numbers of words, say


def lacking(thing: object) -> list[str]:
    """What an object lacks to be a data set."""
    return [
        *(name for name in ATTRIBUTES if not hasattr(thing, name)),
        *(f"{name}()" for name in METHODS if not callable(getattr(thing, name, None))),
    ]


def check_dataset(data: Dataset, input_shape: InputShape | None = None) -> None:
    """Look at what a data set says of itself, and at its first batches.

    Args:
        data: a person's object.
        input_shape: channels, height and width that the images must have, if that matters.

    Raises:
        DataError: it is no data set; the message names what is wrong.
    """
    check_facts(data)
    if input_shape is not None and tuple(data.input_shape) != tuple(input_shape):
        raise DataError(
            f"data {data.name!r} hand out images {shown_shape(data.input_shape)}, "
            f"{shown_shape(input_shape)} is needed: make them of that size, or train on theirs"
        )
    what = f"train_batch(0, {_SIZE}, 0)"
    batch = _ran(data, what, lambda: data.train_batch(0, _SIZE, 0))
    check_batch(data, what, batch, exactly=_SIZE)
    for part in ("validation", "test"):
        batch = _ran(data, f"{part}()", partial(_first, data, part))
        if batch is None:
            raise DataError(f"data {data.name!r}: {part}() hands out nothing")
        check_batch(data, f"the first batch of {part}()", batch)
    what = f"calibration({_SIZE})"
    found = _ran(data, what, lambda: data.calibration(_SIZE))
    images = mapped(lambda part: _array(data, what, part), found)
    _check_images(data, what, images, min(_SIZE, data.train_count))


def check_facts(data: Dataset) -> None:
    """Look at the attributes only; nothing is loaded.

    Raises:
        DataError: one is missing, or says what cannot be.
    """
    name = getattr(data, "name", None)
    called = f"data {name!r}" if isinstance(name, str) else f"a data set ({type(data).__name__})"
    missing = lacking(data)
    if missing:
        raise DataError(
            f"{called} lack {', '.join(missing)}: see hwnas.data.Dataset for what each is, or make "
            "one with hwnas.data.from_arrays or from_batches"
        )
    problems = {
        "name": (isinstance(name, str) and bool(name), "a text"),
        "classes": (_has_classes(data), "a whole number of at least 2"),
        "input_shape": (_is_shape(data.input_shape), "numbers such as (channels, height, width)"),
        "train_count": (_is_count(data.train_count, 1), "a whole number of at least 1"),
        "digest": (_is_digest(data.digest), "at least 12 digits of 0 to 9 and a to f"),
    }
    for attribute, (right, allowed) in problems.items():
        if not right:
            raise DataError(f"{called}: {attribute} is {allowed}, got {getattr(data, attribute)!r}")


def check_batch(data: Dataset, what: str, batch: Any, exactly: int | None = None) -> Batch:
    """Look at one batch of a data set.

    Args:
        data: says shape and classes.
        what: names the batch in messages.
        batch: images and labels.
        exactly: how many there must be; else 1 to 256.

    Returns:
        The batch as arrays; targets of an own task as they are.

    Raises:
        DataError: other types or shapes than the data set says, or labels out of range.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise DataError(
            f"data {data.name!r}: {what} is a pair (images, labels), got {type(batch).__name__}"
        )
    images = mapped(lambda part: _array(data, what, part), batch[0])
    count = _check_images(data, what, images, exactly)
    if not task_of(data).has_classes:
        _check_targets(data, what, batch[1], count)
        return images, batch[1]
    labels = _array(data, what, batch[1])
    if labels.dtype != np.int64 or labels.shape != (count,):
        raise DataError(
            f"data {data.name!r}: {what} has labels int64 ({count},), got {labels.dtype} "
            f"{labels.shape}"
        )
    classes = data.classes or 0
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise DataError(f"data {data.name!r}: {what} has labels 0 to {classes - 1}, got {wrong[0]}")
    return images, labels


def _check_images(data: Dataset, what: str, images: Any, exactly: int | None) -> int:
    """Look at all inputs of a batch; returns how many examples there are."""
    parts, shapes = parts_of(images), shapes_of(data.input_shape)
    if len(parts) != len(shapes):
        raise DataError(
            f"data {data.name!r}: {what} has {len(shapes)} inputs, as input_shape says; got "
            f"{len(parts)}"
        )
    count = exactly if exactly is not None else len(parts[0]) if parts[0].ndim else 0
    counted = 0 < count <= EVALUATION_BATCH or exactly is not None
    for part, shape in zip(parts, shapes, strict=True):
        kept = part.dtype == np.float32 or (part.dtype in _WHOLE and len(shape) < 3)
        if not kept or part.shape != (count, *shape) or not counted:
            n = exactly if exactly is not None else f"1 to {EVALUATION_BATCH}"
            raise DataError(
                f"data {data.name!r}: {what} has images float32 ({n}, "
                f"{', '.join(map(str, shape))}), got {part.dtype} {part.shape}"
            )
        if not np.isfinite(part).all():
            raise DataError(f"data {data.name!r}: {what} has images that are not finite")
    return count


def _check_targets(data: Dataset, what: str, targets: Any, count: int) -> None:
    for part in parts_of(targets):
        sized = hasattr(part, "__len__") and getattr(part, "shape", None) != ()
        found = len(part) if sized else None
        if found != count:
            raise DataError(
                f"data {data.name!r}: {what} has {count} inputs, and targets of "
                f"{'none' if found is None else found}"
            )


def _array(data: Dataset, what: str, values: Any) -> npt.NDArray[Any]:
    """An array of what may be a tensor."""
    try:
        return np.asarray(values)
    except Exception as error:
        raise DataError(
            f"data {data.name!r}: {what} is no numpy array and no torch tensor on the CPU ({error})"
        ) from error


def _first(data: Dataset, part: str) -> Batch | None:
    return next(iter(getattr(data, part)()), None)


def _ran(data: Dataset, what: str, function: Callable[[], Any]) -> Any:
    """What a person's code returns."""
    with quoting(DataError, f"data {data.name!r}: {what} raises"):
        return function()


def _is_count(value: Any, least: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= least)


def _has_classes(data: Dataset) -> bool:
    """Whether there are classes where there must be; others may be the outputs of networks."""
    if task_of(data).has_classes:
        return _is_count(data.classes, 2)
    return data.classes is None or _is_count(data.classes, 1)


def _is_shape(value: Any) -> bool:
    if not isinstance(value, tuple | list) or not value:
        return False
    return all(shape and all(_is_count(n, 1) for n in shape) for shape in shapes_of(tuple(value)))


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 12 and set(value) <= _HEX
