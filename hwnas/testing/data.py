"""What a data set must do; `check_data` asserts it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import numpy as np

from hwnas.data import Batch, Dataset, TrainableValidation, check_dataset, length, parts_of
from hwnas.data.checking import check_batch
from hwnas.data.shares import is_one_sequence

__all__ = ["check_data"]

_BATCH = 32
#: Training examples above which two seeds that give one order are no chance.
_FEW = 8


def check_data(data: Dataset, *, augmented: bool = False) -> None:
    """Assert what a search relies on.

    It reads two epochs and every part, so it is for a small version of the data.

    Args:
        data: any object with what `hwnas.data.Dataset` describes.
        augmented: whether training images are changed at random as they are drawn; then only their
            labels are counted.

    Raises:
        AssertionError: naming what is wrong.
        DataError: it is no data set at all, see `hwnas.data.check_dataset`.
    """
    check_dataset(data)
    digest = data.digest
    _check_steps(data, augmented)
    _check_sequence(data)
    validation, test = (_check_part(data, part) for part in ("validation", "test"))
    if not augmented:
        train = _check_calibration(data)
        for name, part in (("validation", validation), ("test", test)):
            shared = sum((_images(part) & train).values())
            assert shared < max(1, part.total() / 2), (
                f"{shared} of {part.total()} {name} images are training images"
            )
    shared = sum((validation & test).values())
    assert shared < max(1, test.total() / 2), (
        f"{shared} of {test.total()} test images are validation images"
    )
    if isinstance(data, TrainableValidation):
        _check_validation_batches(data, validation)
    assert data.digest == digest, "the digest changes as batches are drawn"


def _check_steps(data: Dataset, augmented: bool) -> None:
    """Batches follow from step, size and seed, and read permutations of all examples."""
    n = data.train_count
    steps = range(-(-2 * n // _BATCH))
    batches = [list(_examples(data, "train_batch", steps=[step], seed=0)) for step in steps]
    seen = [example for batch in batches for example in batch]
    epochs = Counter(seen[:n]), Counter(seen[n : 2 * n])
    some = "some examples are left out or repeated"
    if augmented:
        labels = [Counter(label for _, label in epoch.elements()) for epoch in epochs]
        assert labels[0] == labels[1], f"two epochs see other labels: {some}"
    else:
        assert epochs[0] == epochs[1], f"two epochs see other examples: {some}"
        images = Counter(_digests(data.calibration(n)))
        assert _images(epochs[0]) == images, "an epoch does not see every training image once"
    for step in steps[:5][::-1]:
        again = list(_examples(data, "train_batch", steps=[step], seed=0))
        assert again == batches[step], (
            f"step {step} gives another batch when other steps come before it"
        )
    check_batch(data, "a batch above the set", data.train_batch(0, n + 1, 0), exactly=n + 1)
    if n > _FEW:
        other = list(_examples(data, "train_batch", steps=range(-(-n // _BATCH)), seed=1))
        assert other != seen[: len(other)], "seeds 0 and 1 give the same order"


def _check_sequence(data: Dataset) -> None:
    """Data that say that they are one sequence hand out the same in batches of another size."""
    if not is_one_sequence(data):
        return
    whole = data.train_batch(1, 2 * _BATCH, 0)
    parts = [data.train_batch(step, _BATCH, 0) for step in (2, 3)]
    for half, halves in zip(whole, zip(*parts, strict=True), strict=True):
        assert list(_digests(half)) == [text for part in halves for text in _digests(part)], (
            "one_sequence is said, and a batch is not the two of half its size"
        )


def _check_part(data: Dataset, part: str) -> Counter[tuple[str, str]]:
    """A part is the same each time, in batches of nearly one size; returns its examples."""
    readings, sizes = [], []
    for _ in range(2):
        batches = list(_batches(data, part, getattr(data, part)()))
        readings.append([example for batch in batches for example in batch])
        sizes.append([len(batch) for batch in batches])
    assert readings[0] == readings[1], f"{part}() gives other examples the second time"
    assert sizes[0] == sorted(sizes[0], reverse=True), f"{part}() has small batches before large"
    assert sizes[0][0] - sizes[0][-1] <= 1, (
        f"batches of {part}() differ in size by more than 1: {sizes[0][0]} and {sizes[0][-1]}; see "
        "hwnas.data.even_slices"
    )
    return Counter(readings[0])


def _check_calibration(data: Dataset) -> Counter[str]:
    """The first images are the first of more; returns all of them."""
    n = data.train_count
    images = list(_digests(data.calibration(n + 5)))
    assert len(images) == n, f"calibration({n + 5}) gives {len(images)} of {n} training images"
    for count in sorted({1, min(5, n), n}):
        some = list(_digests(data.calibration(count)))
        assert some == images[:count], f"calibration({count}) are not the first training images"
    return Counter(images)


def _check_validation_batches(
    data: TrainableValidation, validation: Counter[tuple[str, str]]
) -> None:
    """They see the validation part, every example once an epoch."""
    n = data.validation_count
    assert n == validation.total(), f"validation() gives {validation.total()} of {n} examples"
    steps = range(-(-n // _BATCH))
    seen = list(_examples(data, "validation_batch", steps=steps, seed=0))
    assert Counter(seen[:n]) == validation, "validation_batch does not see every example once"


def _examples(
    data: Dataset, method: str, *, steps: Iterable[int], seed: int
) -> Iterator[tuple[str, str]]:
    """Digests of image and label of each example of some steps."""
    for step in steps:
        batch = getattr(data, method)(step, _BATCH, seed)
        what = f"{method}({step}, {_BATCH}, {seed})"
        images, labels = check_batch(data, what, batch, exactly=_BATCH)
        yield from zip(_digests(images), _digests(labels), strict=True)


def _batches(data: Dataset, part: str, batches: Iterable[Batch]) -> Iterator[list[tuple[str, str]]]:
    for at, batch in enumerate(batches):
        images, labels = check_batch(data, f"batch {at} of {part}()", batch)
        yield list(zip(_digests(images), _digests(labels), strict=True))


def _digests(whole: Any) -> Iterator[str]:
    """One text an example, equal for equal ones."""
    parts = [part if isinstance(part, list) else np.asarray(part) for part in parts_of(whole)]
    for at in range(length(whole)):
        each = [repr(p[at]) if isinstance(p, list) else p[at].tobytes().hex() for p in parts]
        yield sha256(" ".join(each).encode()).hexdigest()


def _images(examples: Counter[tuple[str, str]]) -> Counter[str]:
    """Digests of images without their labels."""
    return Counter(digest for digest, _ in examples.elements())
