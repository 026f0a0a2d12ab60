"""What lies where in a folder of images: parts, classes and files. No image is opened."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from hwnas.arrays import IntArray
from hwnas.data.file_list import FileList
from hwnas.data.image_files import SUFFIXES
from hwnas.errors import DataError

__all__ = ["FolderLayout", "FolderPart", "folder_layout", "part_named"]

#: What the names of parts say, without what stands around it: ``Train``, ``val2017``, ``test_set``.
_NAMES = {
    "training": "trn|train|training|train ?val",
    "validation": "val|valid|validation|dev|eval|evaluation",
    "test": "tst|test|testing",
}
_AROUND = "(?:(?:images?|imgs?|data|seg) )?({})(?: ?(?:set|data|images?|imgs?|split))?"
#: What systems and programs leave in folders, in small letters; so do names that begin with a dot.
_LITTER = {
    *("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
}
_MOST_NAMED = 10


@dataclass(frozen=True, eq=False)
class FolderPart:
    """The images of one part.

    Attributes:
        folder: whose sub-folders are the classes.
        files: sorted class by class.
        labels: int64 (n,), the class of each file.
    """

    folder: Path
    files: FileList
    labels: IntArray


@dataclass(frozen=True, eq=False)
class FolderLayout:
    """All images of a folder.

    Attributes:
        classes: names of the sub-folders, sorted.
        training, validation, test: its parts; None where there is no such folder.
        notes: what was left out or is out of the ordinary, in words.
    """

    classes: tuple[str, ...]
    training: FolderPart
    validation: FolderPart | None
    test: FolderPart | None
    notes: tuple[str, ...]


def part_named(name: str) -> str | None:
    """The part (``training``, ``validation``, ``test``) that a folder's name says, if any."""
    words = " ".join(re.findall("[a-z]+", name.lower()))
    parts = (p for p, known in _NAMES.items() if re.fullmatch(_AROUND.format(known), words))
    return next(parts, None)


def folder_layout(folder: Path) -> FolderLayout:
    """Look for parts, classes and images.

    Sub-folders are parts where two of them are named as parts are, or all, and they hold folders
    themselves; else they are classes, so that trains may be one among other vehicles. Folders below
    a class belong to it.

    Raises:
        DataError: parts without a training part, two folders for one part, a part beside what may
            be one, other classes in one part than in another, fewer than two classes, or a class
            without images.
    """
    folders = _folders(folder)
    named = {path: part for path in folders if (part := part_named(path.name))}
    if _are_parts(named, folders):
        roots = _roots(folder, named)
        others = [path for path in folders if path not in named]
        notes = [f"{_counted(path)}; it is no part of the data" for path in others]
    else:
        roots, notes = {"training": folder}, []
    for part in ("validation", "test"):
        if part in roots and not _folders(roots[part]):
            notes.append(f"{_counted(roots.pop(part))}, but no folders of classes: it is not used")
    classes = {part: [path.name for path in _folders(root)] for part, root in roots.items()}
    _check_classes(roots, classes)
    parts = {part: _part(folder, root, classes["training"], notes) for part, root in roots.items()}
    return FolderLayout(
        tuple(classes["training"]),
        parts["training"],
        parts.get("validation"),
        parts.get("test"),
        tuple(notes),
    )


def _are_parts(named: dict[Path, str], folders: Sequence[Path]) -> bool:
    """Whether sub-folders, of which some are named as parts, are parts and not classes.

    Raises:
        DataError: one is a part, and another may be one.
    """
    others = [path for path in folders if path not in named]
    structured = [path for path in named if _folders(path)]
    if len(set(named.values())) > 1 or not others:
        return bool(structured) or ("training" in named.values() and not others)
    if not structured or not any(map(_count, others)):
        return bool(structured)
    if len(_folders(structured[0])) > 1 and not _loose(structured[0]):
        raise DataError(
            f"{str(structured[0])!r} holds folders as a part of the data does, but "
            f"{_some(repr(path.name) for path in others)} beside it has no name of a part: name "
            "parts 'train', 'val' and 'test', and give classes other names"
        )
    return False


def _roots(folder: Path, named: dict[Path, str]) -> dict[str, Path]:
    """The one folder of each part."""
    roots: dict[str, Path] = {}
    for path, part in named.items():
        if part in roots:
            raise DataError(
                f"{str(folder)!r} holds {roots[part].name!r} and {path.name!r}, which both name "
                f"the {part} part: put them together, or take one away"
            )
        roots[part] = path
    if "training" not in roots:
        raise DataError(
            f"{str(folder)!r} holds {', '.join(repr(p.name) for p in named)} and no training part: "
            "name it 'train'; 'val' and 'test' may be there too"
        )
    return roots


def _check_classes(roots: dict[str, Path], classes: dict[str, list[str]]) -> None:
    """Refuse fewer than two classes, and parts of other classes than the training part."""
    names, root = classes["training"], roots["training"]
    if len(names) < 2:
        below = [path for path in _folders(root) if len(_folders(path)) > 1]
        advice = f": if the classes are below, give imagefolder:{below[0]}" if below else ""
        raise DataError(
            f"an image folder holds one sub-folder a class, at least 2; {str(root)!r} holds "
            f"{len(names)} of them{advice}"
        )
    for part, others in classes.items():
        differing = sorted(set(names) ^ set(others))
        if differing:
            raise DataError(
                f"{str(root)!r} and {str(roots[part])!r} must have the same sub-folders, one a "
                f"class; one of them lacks {_some(map(repr, differing))}"
            )


def _part(folder: Path, root: Path, classes: Sequence[str], notes: list[str]) -> FolderPart:
    """The images of all classes of a part of a folder; what else lies there is noted."""
    lists: list[FileList] = []
    deeper = 0
    others, empty = [], []
    for name in classes:
        below = sorted(_files(root / name), key=lambda path: path.split("/"))
        found = [path for path in below if _is_image(path)]
        others += [path for path in below if not _is_image(path)]
        deeper += sum("/" in path for path in found)
        if not found:
            empty.append(name)
        start = (root / name).relative_to(folder).as_posix()
        lists.append(FileList(folder, [f"{start}/{path}" for path in found]))
    if empty:
        which = _some(repr(str(root / name)) for name in empty)
        instead = f"; it holds {_by_suffix(others)}" if len(empty) == 1 and others else ""
        raise DataError(
            f"class folder {which} holds no image ({', '.join(SUFFIXES)}): fill it or remove it"
            f"{instead}"
        )
    if deeper:
        notes.append(f"{str(root)!r}: {deeper} images lie in folders below their class, and count")
    if others:
        notes.append(f"{str(root)!r}: {_by_suffix(others)} in classes: not read as images")
    if loose := _loose(root):
        notes.append(f"{str(root)!r}: {loose} images lie in no class and are not used")
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in lists])
    return FolderPart(root, FileList.joined(folder, lists), labels)


def _is_litter(name: str) -> bool:
    return name[0] == "." or name.lower() in _LITTER


def _entries(folder: Path) -> list[Path]:
    """What a person put into a folder, sorted."""
    return sorted(path for path in folder.iterdir() if not _is_litter(path.name))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _files(folder: Path) -> Iterator[str]:
    """All files below a folder, as seen from there, in no order.

    Links to folders are followed, but never in a circle.
    """
    known: set[str] = set()
    waiting = [""]
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(folder / here)
        if real in known:
            continue
        known.add(real)
        deeper = []
        with os.scandir(folder / here) as entries:
            for entry in entries:
                if _is_litter(entry.name):
                    continue
                if _is_folder(entry):
                    deeper.append(f"{here}{entry.name}/")
                else:
                    yield here + entry.name
        waiting += sorted(deeper)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: whoever reads it as a file says which one it is
        return False


def _is_image(name: str) -> bool:
    return PurePath(name).suffix.lower() in SUFFIXES


def _loose(folder: Path) -> int:
    """How many images lie in a folder itself."""
    return sum(_is_image(path.name) and not path.is_dir() for path in _entries(folder))


def _count(folder: Path) -> int:
    """How many images lie in a folder or below."""
    return sum(map(_is_image, _files(folder)))


def _counted(folder: Path) -> str:
    return f"{str(folder)!r} holds {_count(folder)} images"


def _by_suffix(files: Iterable[str]) -> str:
    """``22 files (20 without suffix, 2 .txt)``."""
    counts = Counter(PurePath(name).suffix.lower() for name in files)
    some = _some(f"{count} {suffix or 'without suffix'}" for suffix, count in counts.most_common())
    return f"{counts.total()} files ({some})"


def _some(texts: Iterable[str]) -> str:
    """The first few of a list."""
    known = list(texts)
    more = [f"{len(known) - _MOST_NAMED} more"] if len(known) > _MOST_NAMED else []
    return ", ".join(known[:_MOST_NAMED] + more)
