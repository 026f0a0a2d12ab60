"""Folders of images, one sub-folder a class."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hwnas.data.image_files import SUFFIXES, decoded, read_file
from hwnas.data.labelled import LabelledImages, check_images_fit
from hwnas.errors import DataError

__all__ = ["image_folder"]


def image_folder(folder: Path, size: int) -> tuple[LabelledImages, LabelledImages | None]:
    """All of a folder and None, or its ``train`` and ``val`` parts; classes in sorted order."""
    parts = [folder / part for part in ("train", "val")]
    if not all(part.is_dir() for part in parts):
        return _folder(folder, _class_names(folder), size), None
    names = _class_names(parts[0])
    if _class_names(parts[1]) != names:
        raise DataError(
            f"{str(parts[0])!r} and {str(parts[1])!r} must have the same sub-folders, one a class"
        )
    return _folder(parts[0], names, size), _folder(parts[1], names, size)


def _class_names(folder: Path) -> list[str]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise DataError(
            f"an image folder holds one sub-folder a class, at least 2; {str(folder)!r} holds "
            f"{len(names)}"
        )
    return names


def _folder(folder: Path, names: Sequence[str], size: int) -> LabelledImages:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError(
                f"class folder {str(folder / name)!r} holds no image "
                f"({', '.join(SUFFIXES)}): fill it or remove it"
            )
        files += found
        labels += [label] * len(found)
    check_images_fit(len(files), 3, size)
    images = np.empty((len(files), 3, size, size), np.uint8)
    for i, path in enumerate(files):
        images[i] = decoded(io.BytesIO(read_file(path)), repr(str(path)), size).transpose(2, 0, 1)
    return LabelledImages(images, np.array(labels, np.int64), len(names))
