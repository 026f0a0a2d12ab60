"""Folders of images, one sub-folder a class."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data.arrays import ArrayDataset, from_parts
from hwnas.data.folder_layout import FolderLayout, FolderPart, folder_layout
from hwnas.data.image_files import decoded, need_pillow, read_file
from hwnas.data.labelled import LabelledImages, check_images_fit, check_split, part_size
from hwnas.data.stratified import stratified
from hwnas.errors import DataError

__all__ = ["FolderImages", "image_folder"]

_MOST_NAMED = 20

Rows = list[IntArray]


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
        labels = np.concatenate([part.labels for part in _given(self.layout)])
        parts, notes = _rows(self.layout, self.readable, labels, seed)
        check_split(str(self.layout.training.folder), *map(len, parts))
        _check_classes(labels[parts[0]], self.layout)
        notes += _lacking([labels[rows] for rows in parts], classes)
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


def image_folder(folder: Path, shape: tuple[int, int, int], *, skip: bool = False) -> FolderImages:
    """Read all images of a folder.

    Args:
        folder: see `folder_layout`.
        shape: channels (3, or 1 for grey), height and width that they get.
        skip: leave out images that cannot be read, and note how many.

    Raises:
        DataError: as `folder_layout`; images that cannot be read, all of them in one message; or
            Pillow is not installed.
    """
    need_pillow("images")
    if shape[0] not in (1, 3):
        raise DataError(f"images of a folder have 1 or 3 channels, {shape[0]} are asked for")
    layout = folder_layout(folder)
    files = [file for part in _given(layout) for file in part.files]
    check_images_fit(len(files), shape, copies=1)
    images = np.empty((len(files), *shape), np.uint8)
    errors: dict[int, DataError] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of tags that nobody reads
        for row, path in enumerate(files):
            try:
                images[row] = decoded(io.BytesIO(read_file(path)), repr(str(path)), shape)
            except DataError as error:
                errors[row] = error
    notes = list(layout.notes)
    if errors:
        named = [*map(str, errors.values())]
        if len(named) > _MOST_NAMED:
            named[_MOST_NAMED:] = [f"and {len(errors) - _MOST_NAMED} more"]
        if not skip:
            raise DataError(
                f"{len(errors)} of {len(files)} images cannot be used: {'; '.join(named)}. Mend or "
                f"remove them, or leave them out: imagefolder-readable:{folder}"
            )
        notes.append(f"{len(errors)} of {len(files)} images are left out: {'; '.join(named)}")
    readable = np.ones(len(files), bool)
    readable[list(errors)] = False
    return FolderImages(layout, images, readable, tuple(notes))


def _given(layout: FolderLayout) -> list[FolderPart]:
    return [p for p in (layout.training, layout.validation, layout.test) if p is not None]


def _rows(
    layout: FolderLayout, readable: npt.NDArray[np.bool_], labels: IntArray, seed: int
) -> tuple[Rows, list[str]]:
    """Rows of the training, validation and test part, and what is to be said of them."""
    parts = _given(layout)
    which = np.repeat(np.arange(len(parts)), [len(part.files) for part in parts])
    training, *others = (np.flatnonzero(readable & (which == part)) for part in range(len(parts)))
    # in random order, since the first ones may be all that is looked at
    others = [rows[stratified(labels[rows], [], seed)[0]] for rows in others]
    size = part_size(len(training), tested=bool(others))
    drawn = stratified(labels[training], [size] * (2 - len(others)), seed)
    notes = []
    if layout.validation is not None and layout.test is None:
        notes.append(
            f"there is no test part: {layout.validation.folder.name!r} is kept for the last "
            "report, and candidates are ranked by images taken from the training part"
        )
    return [*(training[rows] for rows in drawn), *others], notes


def _check_classes(labels: IntArray, layout: FolderLayout) -> None:
    """Refuse a class that cannot be learned."""
    lost = [name for label, name in enumerate(layout.classes) if label not in labels]
    if lost:
        raise DataError(
            f"no image of class {lost[0]!r} in {str(layout.training.folder)!r} can be read: add "
            "some, or remove the folder"
        )


def _lacking(parts: Rows, classes: Sequence[str]) -> list[str]:
    """Which classes a part lacks, in words."""
    notes = []
    for part, labels in zip(("training", "validation", "test"), parts, strict=True):
        lost = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
        if len(lost):
            named = ", ".join(repr(classes[label]) for label in lost[:_MOST_NAMED])
            more = ", ..." if len(lost) > _MOST_NAMED else ""
            notes.append(
                f"{len(lost)} of {len(classes)} classes have too few images for the {part} part: "
                f"{named}{more}"
            )
    return notes


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
