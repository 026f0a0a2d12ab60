"""Folders of images that memory does not hold: batches are decoded as they are needed.

What stays in memory are the names of the files, their labels, and a few batches.
"""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data.augmentation import PLAIN, Augmentation, placed
from hwnas.data.batches import batch_indices, even_slices
from hwnas.data.file_list import FileList
from hwnas.data.image_files import decoded, read_file
from hwnas.data.levels import normalised
from hwnas.data.preparation import Preparation
from hwnas.data.reading_ahead import Ahead, in_order, needed_workers
from hwnas.errors import DataError, OptionError

__all__ = ["StreamedImages", "pixels_of", "with_data_workers"]

FloatBatch = tuple[npt.NDArray[np.float32], IntArray]
#: Rows of the files, and how each image is changed: the seed, and the first image's place.
Plan = tuple[IntArray, int, int]


@dataclass(frozen=True, eq=False)
class StreamedImages:
    """The images of a folder, read from their files; a `TrainableValidation` data set.

    Attributes:
        name: what reports call it.
        input_shape: channels (3, or 1 for grey), height and width that images get.
        class_names: of the sub-folders.
        files: all of them.
        labels: int64 (n,), of the files.
        train_rows, validation_rows, test_rows: which files are in each part, in random order.
        mean, std: of the first 1,024 training images, one value a channel, in grey levels.
        digest: of names and sizes of the files, labels, parts and input shape; contents are not
            read for it.
        notes: what was left out or is out of the ordinary, in words.
        augmentation: how `train_batch` changes images at random.
        workers: processes that read images; 0 for this one. They change no result.
    """

    name: str
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    files: FileList
    labels: IntArray
    train_rows: IntArray
    validation_rows: IntArray
    test_rows: IntArray
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    notes: tuple[str, ...] = ()
    augmentation: Augmentation = PLAIN
    workers: int = 0

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.class_names)

    @property
    def train_count(self) -> int:
        """How many training examples there are."""
        return len(self.train_rows)

    @property
    def validation_count(self) -> int:
        """How many validation examples there are."""
        return len(self.validation_rows)

    @property
    def preparation(self) -> Preparation:
        """How an image becomes what a network reads."""
        channels, height, width = self.input_shape
        order: Literal["RGB", "L"] = "L" if channels == 1 else "RGB"
        return Preparation(
            class_names=self.class_names,
            mean=self.mean,
            std=self.std,
            value_range=(0, 255),
            channel_order=order,
            resize=(height, width),
            crop="center",
        )

    def train_batch(self, step: int, size: int, seed: int) -> FloatBatch:
        """The examples of one training step; see `hwnas.data.batch_indices`.

        Raises:
            DataError: an image cannot be read any more.
            WorkerLostError: a process that reads images ended.
        """
        return self._drawn(self._train_ahead, self.train_rows, step, size, seed)

    def validation_batch(self, step: int, size: int, seed: int) -> FloatBatch:
        """`train_batch` for the validation part, whose images are never changed."""
        return self._drawn(self._validation_ahead, self.validation_rows, step, size, seed)

    def validation(self) -> Iterator[FloatBatch]:
        """The validation part, at most 256 images at once."""
        return self._batches(self.validation_rows)

    def test(self) -> Iterator[FloatBatch]:
        """The test part, at most 256 images at once."""
        return self._batches(self.test_rows)

    def calibration(self, n: int) -> npt.NDArray[np.float32]:
        """The first ``n`` training images, fewer if there are fewer."""
        parts = [images for images, _ in self._batches(self.train_rows[: max(0, n)])]
        return np.concatenate([np.empty((0, *self.input_shape), np.float32), *parts])

    def augmented(self, how: Augmentation) -> "StreamedImages":
        """With training images that are changed at random."""
        return replace(self, augmentation=how)

    @cached_property
    def _train_ahead(self) -> Ahead[Plan, Any]:
        return Ahead(_Pixels(self.files, self.input_shape, self.augmentation), self.workers)

    @cached_property
    def _validation_ahead(self) -> Ahead[Plan, Any]:
        return Ahead(_Pixels(self.files, self.input_shape), self.workers)

    def _drawn(
        self, ahead: Ahead[Plan, Any], rows: IntArray, step: int, size: int, seed: int
    ) -> FloatBatch:
        def plan(step: int) -> Plan:
            return rows[batch_indices(len(rows), size, step, seed)], seed, step * size

        pixels = _checked(ahead.batch(step, (size, seed), plan))
        return normalised(pixels, self.mean, self.std), self.labels[plan(step)[0]]

    def _batches(self, rows: IntArray) -> Iterator[FloatBatch]:
        batches = pixels_of(self.files, self.input_shape, rows, self.workers)
        for part, pixels in zip(even_slices(len(rows)), batches, strict=True):
            yield normalised(pixels, self.mean, self.std), self.labels[rows[part]]


def with_data_workers(data: Any, workers: int | None) -> Any:
    """Data that so many processes read, where images are streamed; None leaves them.

    An own data set may have a method ``with_workers(count)`` that returns another one.

    Raises:
        OptionError: there are fewer than 0.
    """
    if workers is None:
        return data
    if workers < 0:
        raise OptionError(f"data_workers is a whole number of at least 0, got {workers}")
    if isinstance(data, StreamedImages):
        return replace(data, workers=workers)
    own = getattr(data, "with_workers", None)
    return data if own is None else own(workers)


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Decodes some files: uint8 (n, channels, height, width) as a tensor, or what is wrong."""

    files: FileList
    shape: tuple[int, int, int]
    augmentation: Augmentation = PLAIN

    def __call__(self, plan: Plan) -> Any:
        import torch

        rows, seed, first = plan
        pixels = np.empty((len(rows), *self.shape), np.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of tags that nobody reads
            for at, row in enumerate(rows.tolist()):
                try:
                    pixels[at] = self._decoded(row, seed, first + at)
                except DataError as error:
                    return str(error)  # raised where it is asked for, without a trace of here
        return torch.from_numpy(pixels)

    def _decoded(self, row: int, seed: int, place: int) -> npt.NDArray[np.uint8]:
        path = self.files[row]
        content, name = io.BytesIO(read_file(path)), repr(str(path))
        if self.augmentation == PLAIN:
            return decoded(content, name, self.shape)
        change = partial(self.augmentation.of, rng=placed(seed, place))
        return decoded(content, name, self.shape, change=change)


def pixels_of(
    files: FileList, shape: tuple[int, int, int], rows: IntArray, workers: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """Images in even slices of at most 256, each uint8 (n, channels, height, width).

    Args:
        files: of a folder.
        shape: channels, height and width that images get.
        rows: which of the files.
        workers: processes that read them.

    Raises:
        DataError: an image cannot be read.
        WorkerLostError: a process that reads ended.
    """
    plans = [(rows[part], 0, 0) for part in even_slices(len(rows))]
    yield from map(_checked, in_order(_Pixels(files, shape), plans, needed_workers(workers, plans)))


def _checked(pixels: Any) -> npt.NDArray[np.uint8]:
    """The pixels that another process decoded.

    Raises:
        DataError: it could not.
    """
    if isinstance(pixels, str):
        raise DataError(f"{pixels}; put it back, and the same command goes on from its checkpoint")
    return np.asarray(pixels)
