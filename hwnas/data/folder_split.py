"""The split of a folder of images into parts, and what is said of images that are left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data.folder_layout import FolderLayout, FolderPart
from hwnas.data.labelled import check_split, part_size
from hwnas.data.stratified import stratified
from hwnas.errors import DataError

__all__ = ["given_parts", "left_out", "split_folder"]

_MOST_NAMED = 20

Rows = list[IntArray]


def given_parts(layout: FolderLayout) -> list[FolderPart]:
    """The parts that a folder has."""
    return [p for p in (layout.training, layout.validation, layout.test) if p is not None]


def left_out(
    layout: FolderLayout, errors: Mapping[int, str], count: int, folder: Path, *, skip: bool
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Which images are used, bool (n,), and all that is to be said of the folder.

    Args:
        layout: what lies where.
        errors: of images that cannot be read, by row.
        count: n, of all images.
        folder: for messages.
        skip: whether broken images are left out.

    Raises:
        DataError: there are broken ones, and they are not left out.
    """
    notes = list(layout.notes)
    if errors:
        named = [*errors.values()]
        if len(named) > _MOST_NAMED:
            named[_MOST_NAMED:] = [f"and {len(errors) - _MOST_NAMED} more"]
        if not skip:
            raise DataError(
                f"{len(errors)} of {count} images cannot be used: {'; '.join(named)}. Mend or "
                f"remove them, or leave them out: imagefolder-readable:{folder}"
            )
        notes.append(f"{len(errors)} of {count} images are left out: {'; '.join(named)}")
    readable = np.ones(count, bool)
    readable[list(errors)] = False
    return readable, tuple(notes)


def split_folder(
    layout: FolderLayout, readable: npt.NDArray[np.bool_], seed: int
) -> tuple[Rows, IntArray, list[str]]:
    """The parts that the sub-folders name; missing ones are split off class by class.

    Args:
        layout: of n images in all.
        readable: which of them are used, bool (n,).
        seed: of the split.

    Returns:
        Rows of the training, validation and test part in random order; labels int64 (n,); and what
        is to be said of the parts.

    Raises:
        DataError: too few images, or a class without any.
    """
    labels = np.concatenate([part.labels for part in given_parts(layout)])
    parts, notes = _rows(layout, readable, labels, seed)
    check_split(str(layout.training.folder), *map(len, parts))
    _check_classes(labels[parts[0]], layout)
    notes += _lacking([labels[rows] for rows in parts], layout.classes)
    return parts, labels, notes


def _rows(
    layout: FolderLayout, readable: npt.NDArray[np.bool_], labels: IntArray, seed: int
) -> tuple[Rows, list[str]]:
    """Rows of the training, validation and test part, and what is to be said of them."""
    parts = given_parts(layout)
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
