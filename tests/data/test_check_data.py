"""`check_dataset` and `check_data` see what is wrong with a data set."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from hwnas.data import Batch, batch_indices, check_dataset, even_slices
from hwnas.errors import DataError
from hwnas.testing import check_data

COUNTS = {"train": 40, "validation": 9, "test": 300}


@dataclass
class Stripes:
    """A sound data set that is no `ArrayDataset`: image i holds the number i, in tensors."""

    name: str = "stripes"
    classes: int = 3
    input_shape: tuple[int, ...] = (1, 2, 5)
    digest: str = "0123456789abcdef"
    train_count: int = COUNTS["train"]

    def batch(self, rows: Any) -> Batch:
        numbers = torch.as_tensor(np.asarray(rows))
        return numbers[:, None, None, None].float().expand(-1, 1, 2, 5), numbers % 3

    def train_batch(self, step: int, size: int, seed: int) -> Batch:
        return self.batch(batch_indices(self.train_count, size, step, seed))

    def validation(self) -> Iterable[Batch]:
        return [self.batch(np.arange(100, 109))]

    def test(self) -> Iterable[Batch]:
        for rows in even_slices(300):
            yield self.batch(np.arange(200, 500)[rows])

    def calibration(self, n: int) -> Any:
        return self.batch(np.arange(min(n, self.train_count)))[0]


class WithValidationBatches(Stripes):
    validation_count = COUNTS["validation"]

    def validation_batch(self, step: int, size: int, seed: int) -> Batch:
        return self.batch(100 + batch_indices(9, size, step, seed))


def test_a_sound_data_set_passes() -> None:
    check_dataset(Stripes())
    check_dataset(Stripes(), (1, 2, 5))
    check_data(Stripes())
    check_data(WithValidationBatches())


def test_augmented_images_are_not_compared_between_epochs() -> None:
    class Augmented(Stripes):
        def train_batch(self, step: int, size: int, seed: int) -> Batch:
            images, labels = super().train_batch(step, size, seed)
            return images + np.random.default_rng([seed, step]).random(dtype=np.float32), labels

    check_data(Augmented(), augmented=True)
    with pytest.raises(AssertionError, match="two epochs see other examples"):
        check_data(Augmented())


def replaced(method: str, make: Callable[..., Any]) -> Stripes:
    """A data set with another method."""
    return type("Changed", (Stripes,), {method: make})()


def changed(method: str, images: Callable[[Any], Any], labels: Callable[[Any], Any]) -> Stripes:
    """A data set whose method hands out changed batches."""

    def make(self: Stripes, *arguments: int) -> Any:
        found = getattr(Stripes, method)(self, *arguments)
        if method in ("validation", "test"):
            return [(images(x), labels(y)) for x, y in found]
        return (images(found[0]), labels(found[1])) if method == "train_batch" else images(found)

    return replaced(method, make)


def same(values: Any) -> Any:
    return values


def raising(self: Stripes, *arguments: int) -> Any:
    raise KeyError("no disk")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Stripes(classes=1), r"classes is a whole number of at least 2, got 1"),
        (Stripes(classes=True), r"classes is a whole number of at least 2, got True"),
        (Stripes(name=""), r"name is a text, got ''"),
        (Stripes(input_shape=(1, 0, 5)), r"input_shape is numbers such as \(channels, height, wid"),
        (Stripes(digest="0123"), r"digest is at least 12 digits of 0 to 9 and a to f, got '0123'"),
        (Stripes(train_count=0), r"train_count is a whole number of at least 1, got 0"),
        (object(), r"a data set \(object\) lack name, classes, .* train_batch\(\), .*calibration"),
        (replaced("test", None), r"data 'stripes' lack test\(\): see hwnas.data.Dataset"),
        (
            Stripes(input_shape=(3, 2, 5)),
            r"train_batch\(0, 8, 0\) has images float32 \(8, 3, 2, 5\), got float32 \(8, 1, 2, 5\)",
        ),
        (changed("train_batch", lambda x: x.double(), same), r"float32 .*, got float64"),
        (changed("train_batch", lambda x: x[:7], same), r"\(8, 1, 2, 5\), got float32 \(7, 1, 2"),
        (changed("train_batch", lambda x: x / 0, same), r"has images that are not finite"),
        (changed("train_batch", same, lambda y: y.float()), r"labels int64 \(8,\), got float32"),
        (changed("train_batch", same, lambda y: y[:, None]), r"labels int64 \(8,\), got int64 \(8"),
        (changed("train_batch", same, lambda y: y + 1), r"has labels 0 to 2, got 3"),
        (changed("train_batch", same, lambda y: y - 1), r"has labels 0 to 2, got -1"),
        (
            changed("train_batch", lambda x: x.clone().requires_grad_(), same),
            r"no numpy array and no torch tensor on the CPU",
        ),
        (replaced("train_batch", raising), r"train_batch\(0, 8, 0\) raises KeyError: 'no disk'"),
        (replaced("train_batch", lambda *_: 5), r"is a pair \(images, labels\), got int"),
        (replaced("validation", lambda _: []), r"validation\(\) hands out nothing"),
        (replaced("validation", raising), r"validation\(\) raises KeyError"),
        (
            replaced("validation", lambda _: (1 / 0 for _ in range(2))),
            r"validation\(\) raises ZeroDivisionError",
        ),
        (replaced("validation", lambda _: 5), r"validation\(\) raises TypeError: 'int' object"),
        (
            replaced("test", lambda self: [self.batch(np.arange(200, 457))]),
            r"first batch of test\(\) has images float32 \(1 to 256, 1, 2, 5\), got .*\(257, 1,",
        ),
        (
            changed("calibration", lambda x: x[1:], same),
            r"calibration\(8\) has images float32 \(8, 1, 2, 5\), got float32 \(7, 1, 2, 5\)",
        ),
    ],
)
def test_what_is_no_data_set_is_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_dataset(data)
    assert "\n" not in str(caught.value)


def test_another_shape_than_the_networks_is_refused() -> None:
    with pytest.raises(DataError, match="hand out images 1 x 2 x 5, 3 x 2 x 5 is needed"):
        check_dataset(Stripes(), (3, 2, 5))


def drawn_at_random(self: Stripes, step: int, size: int, seed: int) -> Batch:
    return self.batch(np.random.default_rng([seed, step]).integers(0, 40, size))


def always_one_order(self: Stripes, step: int, size: int, seed: int) -> Batch:
    return self.batch(batch_indices(40, size, step, 0))


def without_the_last(self: Stripes, step: int, size: int, seed: int) -> Batch:
    return self.batch(batch_indices(39, size, step, seed))


def one_example_for_another(self: Stripes, step: int, size: int, seed: int) -> Batch:
    rows = batch_indices(40, size, step, seed)
    return self.batch(np.where(rows == 7, 10, rows))


def once() -> Callable[[Stripes], Iterable[Batch]]:
    """Batches that are there once."""
    left = [slice(100, 105), slice(105, 109)] * 2
    return lambda self: [self.batch(np.arange(500)[left.pop()])]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (replaced("train_batch", drawn_at_random), "two epochs see other examples: some examples"),
        (replaced("train_batch", without_the_last), "two epochs see other examples"),
        (
            replaced("train_batch", one_example_for_another),
            "an epoch does not see every training image once",
        ),
        (replaced("train_batch", always_one_order), "seeds 0 and 1 give the same order"),
        (replaced("validation", once()), r"validation\(\) gives other examples the second time"),
        (
            replaced("test", lambda self: [self.batch([1]), self.batch([200, 201])]),
            r"test\(\) has small batches before large",
        ),
        (
            replaced("test", lambda self: [self.batch([200, 201, 202]), self.batch([203])]),
            r"batches of test\(\) differ in size by more than 1: 3 and 1; see hwnas.data.even_slic",
        ),
        (
            replaced("validation", lambda self: [self.batch(np.arange(9))]),
            "9 of 9 validation images are training images",
        ),
        (
            replaced("test", lambda self: [self.batch(np.arange(100, 109))]),
            "9 of 9 test images are validation images",
        ),
        (
            replaced("calibration", lambda self, n: self.batch(np.arange(40)[-n:])[0]),
            r"calibration\(1\) are not the first training images",
        ),
    ],
)
def test_broken_promises_are_seen(data: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_data(data)


def test_batches_that_depend_on_earlier_calls_are_seen() -> None:
    class Stream(Stripes):
        """Goes through the seed's order call by call, whatever the step."""

        calls = -1  # `check_dataset` makes the first

        def train_batch(self, step: int, size: int, seed: int) -> Batch:
            self.calls += 1
            return self.batch(batch_indices(40, size, max(0, self.calls - 1), seed))

    with pytest.raises(AssertionError, match="another batch when other steps come before it"):
        check_data(Stream())


def test_a_digest_that_changes_is_seen() -> None:
    class Changing(Stripes):
        @property
        def digest(self) -> str:  # type: ignore[override]
            self.asked = getattr(self, "asked", 10**12) + 1
            return str(self.asked)

        @digest.setter
        def digest(self, value: str) -> None:
            pass

    with pytest.raises(AssertionError, match="the digest changes as batches are drawn"):
        check_data(Changing())


def test_validation_batches_that_leave_examples_out_are_seen() -> None:
    class Wrong(WithValidationBatches):
        def validation_batch(self, step: int, size: int, seed: int) -> Batch:
            return self.batch(100 + batch_indices(8, size, step, seed))

    with pytest.raises(AssertionError, match="validation_batch does not see every example once"):
        check_data(Wrong())


def test_a_wrong_validation_count_is_seen() -> None:
    class Wrong(WithValidationBatches):
        validation_count = 10

    with pytest.raises(AssertionError, match=r"validation\(\) gives 9 of 10 examples"):
        check_data(Wrong())
