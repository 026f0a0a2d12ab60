"""Folders of images, one sub-folder a class."""

import io
import math
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data.arrays import ArrayDataset, from_parts
from hwnas.data.file_list import FileList
from hwnas.data.folder_files import FolderFiles, folder_files
from hwnas.data.folder_layout import FolderLayout, folder_layout
from hwnas.data.folder_split import given_parts, left_out, split_folder
from hwnas.data.image_files import decoded, need_pillow, read_file
from hwnas.data.labelled import LabelledImages, check_images_fit, part_size
from hwnas.errors import DataError

__all__ = ["FolderImages", "image_folder"]

#: Images that take more bytes than this in memory are streamed: 28,000 of 224 pixels.
MOST_IN_MEMORY = 2**32


@dataclass(frozen=True, eq=False)
class FolderImages:
    """The images of a folder, to be split.

    Attributes:
        layout: where they lie.
        images: (n, channels, height, width) of all files of all parts.
        readable: which of them could be read, bool (n,).
        notes: what was left out, in words.
    """

    layout: FolderLayout
    images: npt.NDArray[np.uint8]
    readable: npt.NDArray[np.bool_]
    notes: tuple[str, ...]

    def split(self, seed: int) -> ArrayDataset:
        """The parts that the sub-folders name; missing ones are split off class by class.

        The images are put in the order of the parts where they are, and the parts are slices of
        them, so that memory holds each image once; it can be done once.

        Raises:
            DataError: too few images.
        """
        classes = self.layout.classes
        parts, labels, notes = split_folder(self.layout, self.readable, seed)
        _reorder(self.images, np.concatenate([*parts, np.flatnonzero(~self.readable)]))
        stops = np.cumsum([0, *map(len, parts)])
        train, validation, test = (
            LabelledImages(self.images[start:stop], labels[rows], len(classes), classes)
            for start, stop, rows in zip(stops, stops[1:], parts, strict=False)
        )
        data = from_parts("imagefolder", train, validation, test, seed=seed)
        return replace(data, crop="center", notes=(*self.notes, *notes))

    def split_as_before(self, seed: int) -> ArrayDataset | None:
        """As version 0.1.0 split them, so that its runs go on: ``val`` was the test part.

        None where it had no such parts.
        """
        layout, whole = self.layout, self.readable.all()
        count = len(layout.training.files)
        tested = layout.validation is not None
        if not whole or (layout.test and not tested) or not part_size(count, tested=tested):
            return None
        classes, test = layout.classes, None
        train = LabelledImages(self.images[:count], layout.training.labels, len(classes), classes)
        if layout.validation is not None:
            labels = layout.validation.labels
            held = self.images[count : count + len(labels)]
            test = LabelledImages(held, labels, len(classes), classes)
        return replace(from_parts("imagefolder", train, None, test, seed=seed), crop="center")


def image_folder(
    folder: Path,
    shape: tuple[int, int, int],
    *,
    skip: bool = False,
    most_bytes: float = MOST_IN_MEMORY,
) -> FolderImages | FolderFiles:
    """Read all images of a folder, or look at them where they are too many for memory.

    Args:
        folder: see `folder_layout`.
        shape: channels (3, or 1 for grey), height and width that they get.
        skip: leave out images that cannot be read, and note how many.
        most_bytes: images that take more are streamed.

    Raises:
        DataError: as `folder_layout`; images that cannot be read, all of them in one message; or
            Pillow is not installed.
    """
    need_pillow("images")
    if shape[0] not in (1, 3):
        raise DataError(f"images of a folder have 1 or 3 channels, {shape[0]} are asked for")
    layout = folder_layout(folder)
    files = FileList.joined(folder, [part.files for part in given_parts(layout)])
    size = len(files) * math.prod(shape)
    if size > most_bytes:
        found = folder_files(layout, files, shape, skip=skip)
        if not most_bytes:
            return found
        note = (
            f"{len(files)} images take {size / 1e9:.1f} GB, more than {most_bytes / 1e9:.1f}: they "
            "are streamed from their files"
        )
        read = partial(image_folder, folder, shape, skip=skip, most_bytes=math.inf)
        return replace(found, notes=(*found.notes, note), in_memory=read)
    check_images_fit(len(files), shape, copies=1)
    images = np.empty((len(files), *shape), np.uint8)
    errors: dict[int, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of tags that nobody reads
        for row, path in enumerate(files):
            try:
                images[row] = decoded(io.BytesIO(read_file(path)), repr(str(path)), shape)
            except DataError as error:
                errors[row] = str(error)
    readable, notes = left_out(layout, errors, len(files), folder, skip=skip)
    return FolderImages(layout, images, readable, notes)


def _reorder(images: npt.NDArray[np.uint8], rows: IntArray) -> None:
    """Put ``images[rows]`` in the place of ``images``; one image more is held meanwhile."""
    done = np.zeros(len(rows), bool)
    for start in np.flatnonzero(rows != np.arange(len(rows))):
        if done[start]:
            continue
        first, at = images[start].copy(), start
        while rows[at] != start:
            images[at] = images[rows[at]]
            done[at], at = True, rows[at]
        images[at], done[at] = first, True
