"""Folders of images that stay in their files: looked at, and split."""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data.batches import EVALUATION_BATCH
from hwnas.data.file_list import FileList
from hwnas.data.folder_layout import FolderLayout
from hwnas.data.folder_split import left_out, split_folder
from hwnas.data.image_files import looked_at
from hwnas.data.labelled import check_images_fit
from hwnas.data.levels import level_counts, mean_and_std
from hwnas.data.reading_ahead import automatic_workers, in_order, needed_workers
from hwnas.data.streamed import StreamedImages, pixels_of
from hwnas.errors import DataError

__all__ = ["FolderFiles", "folder_files"]

#: Training images whose mean and spread are taken for those of all.
_MEASURED = 1024
#: Files looked at between two messages of a process.
_LOOKED_AT = 256


@dataclass(frozen=True, eq=False)
class FolderFiles:
    """The images of a folder that stay in their files, to be split.

    Attributes:
        layout: where they lie.
        files: of all parts.
        shape: channels, height and width that images get.
        sizes: bytes of each file, int64 (n,).
        readable: which of them can be read, bool (n,).
        notes: what was left out, in words.
        workers: processes that read images.
        in_memory: reads all images, as earlier versions did; None where streaming was asked for.
    """

    layout: FolderLayout
    files: FileList
    shape: tuple[int, int, int]
    sizes: IntArray
    readable: npt.NDArray[np.bool_]
    notes: tuple[str, ...]
    workers: int
    in_memory: Callable[[], Any] | None = None

    def split(self, seed: int) -> StreamedImages:
        """The parts as `hwnas.data.image_folder.FolderImages.split` makes them.

        Raises:
            DataError: too few images.
        """
        parts, labels, notes = split_folder(self.layout, self.readable, seed)
        counts = sum(
            level_counts(pixels)
            for pixels in pixels_of(self.files, self.shape, parts[0][:_MEASURED], self.workers)
        )
        mean, std = mean_and_std(np.asarray(counts))
        digest = hashlib.sha256(f"streamed {self.shape} {self.layout.classes}".encode())
        digest.update(self.files.names)
        for numbers in (self.files.stops, self.sizes, labels, *parts):
            digest.update(np.concatenate([[len(numbers)], numbers]).astype("<i8").data)
        train, validation, test = parts
        return StreamedImages(
            name="imagefolder",
            input_shape=self.shape,
            class_names=self.layout.classes,
            files=self.files,
            labels=labels,
            train_rows=train,
            validation_rows=validation,
            test_rows=test,
            mean=mean,
            std=std,
            digest=digest.hexdigest()[:16],
            notes=(*self.notes, *notes),
            workers=self.workers,
        )


def folder_files(
    layout: FolderLayout, files: FileList, shape: tuple[int, int, int], *, skip: bool
) -> FolderFiles:
    """Look at the files of a folder, a few bytes of each.

    Args:
        layout: of the folder.
        files: of all its parts.
        shape: channels, height and width that images get.
        skip: leave out what is no image, and note how many.

    Raises:
        DataError: files that are no whole images, all of them in one message.
        OptionError: a batch of such images does not fit into memory.
    """
    check_images_fit(min(len(files), EVALUATION_BATCH), shape)
    workers = automatic_workers()
    slices = [
        np.arange(at, min(at + _LOOKED_AT, len(files))) for at in range(0, len(files), _LOOKED_AT)
    ]
    sizes: list[IntArray] = []
    errors: dict[int, str] = {}
    for found, wrong in in_order(partial(_look_at, files), slices, needed_workers(workers, slices)):
        sizes.append(found)
        errors |= wrong
    readable, notes = left_out(layout, errors, len(files), files.root, skip=skip)
    return FolderFiles(layout, files, shape, np.concatenate(sizes), readable, notes, workers)


def _look_at(files: FileList, rows: IntArray) -> tuple[IntArray, dict[int, str]]:
    """The sizes of some files, and what is wrong with those that are no images."""
    sizes, errors = np.zeros(len(rows), np.int64), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of tags that nobody reads
        for at, row in enumerate(rows.tolist()):
            try:
                sizes[at] = looked_at(files[row])
            except DataError as error:
                errors[row] = str(error)
    return sizes, errors
