"""A data set in memory.

Images stay uint8 until they are batched: 60,000 images of 32 x 32 pixels in colour are 184 MB as
bytes and 737 MB as floats.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data.augmentation import PLAIN, Augmentation
from hwnas.data.batches import batch_indices, even_slices
from hwnas.data.image_files import need_pillow
from hwnas.data.labelled import Images, LabelledImages, split_off
from hwnas.data.levels import level_counts, mean_and_std, normalised
from hwnas.data.preparation import Preparation
from hwnas.data.protocol import Dataset
from hwnas.errors import DataError, OptionError

__all__ = ["ArrayDataset", "from_arrays", "from_parts", "has_digest", "notes_of"]

FloatBatch = tuple[npt.NDArray[np.float32], IntArray]


@dataclass(frozen=True, eq=False)
class ArrayDataset:
    """Labelled images in three disjoint parts; a `Dataset`.

    Attributes:
        name: what reports call it, such as ``digits``.
        classes: number of classes; labels are 0 to ``classes - 1``.
        train_images: (n, channels, height, width), uint8, or float32 that is already normalised.
        train_labels: int64 (n,).
        validation_images, validation_labels: what candidates are ranked by.
        test_images, test_labels: for nothing but the last report.
        mean, std: of the training images, one value a channel, in grey levels (0 to 255).
        class_names: one a class; numbers where none are given.
        crop: ``center`` where images were cropped to their shape before they were scaled.
        grey: whether images of one channel are handed out as they are; else they get three.
        notes: what was left out or is out of the ordinary, in words.
        augmentation: how `train_batch` changes images (uint8) at random.
    """

    name: str
    classes: int
    train_images: Images
    train_labels: IntArray
    validation_images: Images
    validation_labels: IntArray
    test_images: Images
    test_labels: IntArray
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...] = ()
    crop: Literal["center"] | None = None
    grey: bool = False
    notes: tuple[str, ...] = ()
    augmentation: Augmentation = PLAIN

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Of the images that are handed out: grey ones have three channels, if not ``grey``."""
        channels, height, width = self.train_images.shape[1:]
        return 3 if self._repeated else channels, height, width

    @property
    def _repeated(self) -> bool:
        return self.train_images.shape[1] == 1 and not self.grey

    @property
    def preparation(self) -> Preparation:
        """How an image becomes what a network reads."""
        channels, height, width = self.input_shape
        copies = 3 if self._repeated else 1
        orders: dict[int, Literal["RGB", "L"]] = {1: "L", 3: "RGB"}
        return Preparation(
            class_names=self.class_names or tuple(map(str, range(self.classes))),
            mean=self.mean * copies,
            std=self.std * copies,
            value_range=(0, 255) if self.train_images.dtype == np.uint8 else None,
            channel_order=orders.get(channels),
            resize=(height, width),
            crop=self.crop,
        )

    @property
    def train_count(self) -> int:
        """How many training examples there are."""
        return len(self.train_labels)

    @property
    def validation_count(self) -> int:
        """How many validation examples there are."""
        return len(self.validation_labels)

    @cached_property
    def digest(self) -> str:
        """Equal for equal images and labels in equal parts; 16 hex digits."""
        digest = hashlib.sha256()
        for part in self._arrays():
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:16]

    def matches(self, digest: str) -> bool:
        """Whether a digest is of these data, written by this version or by an earlier one."""
        return digest in (self.digest, self._earlier_digest)

    @cached_property
    def _earlier_digest(self) -> str:
        """What earlier versions wrote: 12 hex digits, blind to the images of two parts."""
        digest = hashlib.sha256()
        for part in (
            self.train_images,
            self.train_labels,
            self.validation_labels,
            self.test_labels,
        ):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:12]

    def train_batch(self, step: int, size: int, seed: int) -> FloatBatch:
        """The examples of one training step; see `hwnas.data.batch_indices`."""
        rows = batch_indices(self.train_count, size, step, seed)
        images = self.train_images[rows]
        if self.augmentation != PLAIN:
            images = self.augmentation.of_arrays(images, seed, first=step * size)
        return self.to_float(images), self.train_labels[rows]

    def validation_batch(self, step: int, size: int, seed: int) -> FloatBatch:
        """`train_batch` for the validation part."""
        rows = batch_indices(self.validation_count, size, step, seed)
        return self.to_float(self.validation_images[rows]), self.validation_labels[rows]

    def validation(self) -> Iterator[FloatBatch]:
        """The validation part, at most 256 images at once."""
        return self._batches(self.validation_images, self.validation_labels)

    def test(self) -> Iterator[FloatBatch]:
        """The test part, at most 256 images at once."""
        return self._batches(self.test_images, self.test_labels)

    def calibration(self, n: int) -> npt.NDArray[np.float32]:
        """The first ``n`` training images, fewer if there are fewer."""
        return self.to_float(self.train_images[: max(0, n)])

    def augmented(self, how: Augmentation) -> "ArrayDataset":
        """With training images that are changed at random.

        Raises:
            OptionError: they are no bytes, or have neither 1 nor 3 channels.
        """
        images = self.train_images
        if images.dtype != np.uint8 or images.shape[1] not in (1, 3):
            raise OptionError(
                "random_crop, flip and colour change images of bytes with 1 or 3 channels, "
                f"{self.name} has {images.dtype} with {images.shape[1]}: leave them out"
            )
        need_pillow("images that are changed at random")
        return replace(self, augmentation=how)

    def to_float(self, images: Images) -> npt.NDArray[np.float32]:
        """Normalised float32 (n, channels, height, width); see ``grey`` for one channel."""
        floats = normalised(images, self.mean, self.std)
        return np.repeat(floats, 3, axis=1) if self._repeated else floats

    def _batches(self, images: Images, labels: IntArray) -> Iterator[FloatBatch]:
        for rows in even_slices(len(labels)):
            yield self.to_float(images[rows]), labels[rows]

    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        return (
            self.train_images,
            self.train_labels,
            self.validation_images,
            self.validation_labels,
            self.test_images,
            self.test_labels,
        )


def has_digest(data: Dataset, digest: str) -> bool:
    """Whether a digest that a file holds is of these data."""
    return data.matches(digest) if isinstance(data, ArrayDataset) else data.digest == digest


def notes_of(data: Dataset) -> tuple[str, ...]:
    """What a data set says was left out or is out of the ordinary."""
    notes = getattr(data, "notes", ())
    return tuple(map(str, notes)) if isinstance(notes, tuple) else ()


def from_arrays(
    train: tuple[Any, Any],
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    *,
    name: str,
    classes: int | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> ArrayDataset:
    """A data set of arrays, or of torch tensors on the CPU.

    Args:
        train: images (n, channels, height, width), uint8, or float32 that is already normalised;
            and n integer labels from 0. Grey images are handed out with three channels.
        validation, test: the same; a part that is missing is split off, see `load_data`.
        name: what reports call it.
        classes: number of classes; one more than the largest label by default.
        class_names: one a class, for the files of networks and for reports.
        seed: of the split.

    Raises:
        DataError: arrays of other types or shapes, labels out of range, names that are not one a
            class, or too few images.
    """
    given = {"training": train, "validation": validation, "test": test}
    pairs = {
        what: _pair(pair, f"{name}: {what}") for what, pair in given.items() if pair is not None
    }
    if class_names is not None:
        if len(class_names) != len(set(class_names)) or classes not in (None, len(class_names)):
            raise DataError(
                f"{name}: class_names are different texts, one a class; got {len(class_names)}, "
                f"{len(set(class_names))} of them different, for {classes or 'all'} classes"
            )
        classes = len(class_names)
    if classes is None:
        classes = 1 + max(int(labels.max(initial=0)) for _, labels in pairs.values())
    parts = {
        what: LabelledImages.checked(*pair, classes, f"{name}: {what}")
        for what, pair in pairs.items()
    }
    data = from_parts(
        name, parts["training"], parts.get("validation"), parts.get("test"), seed=seed
    )
    return replace(data, class_names=tuple(class_names or ()))


def from_parts(
    name: str,
    train: LabelledImages,
    validation: LabelledImages | None,
    test: LabelledImages | None,
    *,
    seed: int,
) -> ArrayDataset:
    """A data set of sound parts; one that is missing is split off the first.

    Raises:
        DataError: fewer than two classes, images of several shapes or types, or too few images.
    """
    if train.classes < 2:
        raise DataError(f"{name} needs at least 2 classes, got {train.classes}")
    kinds = {
        f"{part.images.dtype} {part.images.shape[1:]}"
        for part in (train, validation, test)
        if part is not None
    }
    if len(kinds) > 1:
        raise DataError(
            f"{name}: images of all parts have one type and shape, got {', '.join(sorted(kinds))}"
        )
    train, validation, test = split_off(train, validation, test, name=name, seed=seed)
    if train.images.dtype == np.float32:
        channels = train.images.shape[1]
        mean, std = (0.0,) * channels, (1.0,) * channels
    else:
        mean, std = mean_and_std(level_counts(train.images))
    return ArrayDataset(
        name,
        train.classes,
        train.images,
        train.labels,
        validation.images,
        validation.labels,
        test.images,
        test.labels,
        mean,
        std,
        train.class_names,
    )


def _pair(pair: tuple[Any, Any], what: str) -> tuple[Any, npt.NDArray[Any]]:
    """Images, and labels as an array of integers."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"{what} is a pair (images, labels), got {type(pair).__name__}")
    labels = np.asarray(pair[1])
    if labels.dtype.kind not in "iu":
        raise DataError(f"{what} labels are integers, got {labels.dtype}")
    return pair[0], labels
