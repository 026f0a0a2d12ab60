"""Data sets by name: those that ship, those of installed packages, and a person's own."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hwnas.data.checking import check_facts, lacking
from hwnas.data.cifar10 import cifar10
from hwnas.data.digits import digits
from hwnas.data.fashion_mnist import fashion_mnist
from hwnas.data.folder_files import FolderFiles
from hwnas.data.image_folder import FolderImages, image_folder
from hwnas.data.labelled import LabelledImages
from hwnas.data.protocol import Dataset, InputShape, shapes_of
from hwnas.errors import OptionError
from hwnas.registry import Registry

__all__ = ["DATA", "DataEntry", "Found", "as_entry", "data_specs", "register_data"]

#: Training and test part (None where there is none) or images of a folder, to be split; or a data
#: set as it is.
Found = tuple[LabelledImages, LabelledImages | None] | FolderImages | FolderFiles | Dataset


@dataclass(frozen=True)
class DataEntry:
    """One kind of data.

    Attributes:
        name: what ``--data`` calls it.
        read: takes a folder (a `Path`; None if it needs none), and how many pixels images are to be
            high and wide, or their shape.
        folder: whether it is read from a folder, ``NAME:DIR``.
        proxy_size: pixels of the images that a supernet is trained on unless another size is asked
            for.
        shaped: whether ``read`` takes a shape (channels, height, width); if not, it is asked for
            square images in colour only.
        images: whether it is asked for images only; else for the shape of any input.
    """

    name: str
    read: Callable[[Any, Any], Found]
    folder: bool
    proxy_size: int = 32
    shaped: bool = False
    images: bool = True


def as_entry(name: str, thing: Any) -> DataEntry:
    """The kind of data that a person's object is.

    Args:
        name: what it is called.
        thing: a `DataEntry`; a ready data set; or a function (or class) that is called with
            nothing, with the input shape, such as (3, 32, 32), or with that and the folder.

    Raises:
        OptionError: it is none of these.
        DataError: a ready data set says of itself what cannot be.
    """
    if isinstance(thing, DataEntry):
        return thing if thing.name == name else replace(thing, name=name)
    missing = lacking(thing)
    if not missing and not isinstance(thing, type):
        check_facts(thing)
        size = int(shapes_of(thing.input_shape)[0][-1])
        return DataEntry(name, lambda folder, shape: thing, False, size, shaped=True, images=False)
    if not callable(thing):
        raise OptionError(
            f"data {name!r} are a function make(), make(input_shape) or make(input_shape, folder), "
            f"or a data set; got {type(thing).__name__}, which lacks {', '.join(missing)}: "
            "hwnas.data.from_batches makes one of batches"
        )
    count = _required(thing)
    if count not in (0, 1, 2):
        raise OptionError(
            f"data {name!r} are made by make(), make(input_shape) or make(input_shape, folder), "
            f"got a function that needs {'other' if count is None else count} arguments"
        )

    def read(folder: Path | None, shape: InputShape) -> Dataset:
        made: Dataset = thing(*(shape, folder)[:count])
        return made

    return DataEntry(name, read, count == 2, shaped=True, images=False)


def _required(function: Callable[..., Any]) -> int | None:
    """How many arguments must be given; None if it is unknown, or if they have to be named."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    needed = [
        p
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    return None if any(p.kind is p.KEYWORD_ONLY for p in needed) else len(needed)


_SHIPPED = (
    DataEntry("digits", digits, folder=False, proxy_size=16, shaped=True),
    DataEntry("fashion-mnist", fashion_mnist, folder=True, shaped=True),
    DataEntry("cifar10", cifar10, folder=True, shaped=True),
    DataEntry("imagefolder-readable", partial(image_folder, skip=True), folder=True, shaped=True),
    DataEntry(
        "imagefolder-streamed", partial(image_folder, most_bytes=0), folder=True, shaped=True
    ),
    DataEntry("imagefolder", image_folder, folder=True, shaped=True),
)


DATA: Registry[DataEntry] = Registry(
    "data set", "hwnas.data", {entry.name: entry for entry in _SHIPPED}, as_entry
)


def register_data(name: str, thing: Any) -> None:
    """Give an own data set a name, for this process.

    Args:
        name: without ``:``, ``/``, ``,`` and spaces.
        thing: see `as_entry`.

    Raises:
        OptionError: the name is taken or none, or the thing is no data set.
    """
    DATA.register(name, thing)


def data_specs() -> list[str]:
    """What ``--data`` takes, without a person's own objects."""
    shipped = {
        entry.name: f"{entry.name}:DIR" if entry.folder else entry.name for entry in _SHIPPED
    }
    return [*shipped.values(), *(name for name in DATA.names() if name not in shipped)]
