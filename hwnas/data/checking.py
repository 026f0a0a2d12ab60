"""Whether an object is a data set, told before anything trains."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.data.batches import EVALUATION_BATCH
from hwnas.data.protocol import ATTRIBUTES, METHODS, Batch, Dataset
from hwnas.errors import DataError

__all__ = ["check_batch", "check_dataset", "check_facts", "lacking"]

_SIZE = 8  # examples of the batch that is looked at
_HEX = set("0123456789abcdef")


def lacking(thing: object) -> list[str]:
    """What an object lacks to be a data set."""
    return [
        *(name for name in ATTRIBUTES if not hasattr(thing, name)),
        *(f"{name}()" for name in METHODS if not callable(getattr(thing, name, None))),
    ]


def check_dataset(data: Dataset, input_shape: tuple[int, int, int] | None = None) -> None:
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
            f"data {data.name!r} hand out images {_shape(data.input_shape)}, "
            f"{_shape(input_shape)} is needed: make them of that size, or train on theirs"
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
    images = _array(data, what, _ran(data, what, lambda: data.calibration(_SIZE)))
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
            "one with hwnas.data.from_arrays"
        )
    problems = {
        "name": (isinstance(name, str) and bool(name), "a text"),
        "classes": (_is_count(data.classes, 2), "a whole number of at least 2"),
        "input_shape": (_is_shape(data.input_shape), "(channels, height, width)"),
        "train_count": (_is_count(data.train_count, 1), "a whole number of at least 1"),
        "digest": (_is_digest(data.digest), "at least 12 digits of 0 to 9 and a to f"),
    }
    for attribute, (right, allowed) in problems.items():
        if not right:
            raise DataError(f"{called}: {attribute} is {allowed}, got {getattr(data, attribute)!r}")


def check_batch(
    data: Dataset, what: str, batch: Any, exactly: int | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Look at one batch of a data set.

    Args:
        data: says shape and classes.
        what: names the batch in messages.
        batch: images and labels.
        exactly: how many there must be; else 1 to 256.

    Returns:
        The batch as arrays.

    Raises:
        DataError: other types or shapes than the data set says, or labels out of range.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise DataError(
            f"data {data.name!r}: {what} is a pair (images, labels), got {type(batch).__name__}"
        )
    images, labels = (_array(data, what, half) for half in batch)
    _check_images(data, what, images, exactly)
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise DataError(
            f"data {data.name!r}: {what} has labels int64 ({len(images)},), got {labels.dtype} "
            f"{labels.shape}"
        )
    wrong = labels[(labels < 0) | (labels >= data.classes)]
    if len(wrong):
        raise DataError(
            f"data {data.name!r}: {what} has labels 0 to {data.classes - 1}, got {wrong[0]}"
        )
    return images, labels


def _check_images(data: Dataset, what: str, images: npt.NDArray[Any], exactly: int | None) -> None:
    shape = tuple(data.input_shape)
    count = exactly if exactly is not None else len(images) if images.ndim else 0
    counted = 0 < count <= EVALUATION_BATCH or exactly is not None
    if images.dtype != np.float32 or images.shape != (count, *shape) or not counted:
        n = exactly if exactly is not None else f"1 to {EVALUATION_BATCH}"
        raise DataError(
            f"data {data.name!r}: {what} has images float32 ({n}, "
            f"{', '.join(map(str, shape))}), got {images.dtype} {images.shape}"
        )
    if not np.isfinite(images).all():
        raise DataError(f"data {data.name!r}: {what} has images that are not finite")


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
    try:
        return function()
    except DataError:
        raise
    except Exception as error:  # whatever a person's own code raises
        raise DataError(
            f"data {data.name!r}: {what} raises {type(error).__name__}: {error}"
        ) from error


def _is_count(value: Any, least: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= least)


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, tuple | list) and len(value) == 3 and all(_is_count(n, 1) for n in value)
    )


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 12 and set(value) <= _HEX


def _shape(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
