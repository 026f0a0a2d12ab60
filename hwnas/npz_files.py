"""Strangers' npz and npy files: arrays of numbers by name, read within bounds; nothing is run."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.reading import MIB

__all__ = ["read_npy", "read_npz"]

#: What numpy writes. Others, such as LZMA, make gigabytes of a few bytes at once.
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_npz(content: bytes, most: int) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an npz file by their names.

    Args:
        content: of the file.
        most: bytes that its members may hold together, unpacked.

    Raises:
        ValueError: it is no such file, or holds more, or objects.
    """
    with _said_in_words():
        packed = io.BytesIO(content)
        _check_members(packed, most)
        with np.load(packed, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}


def read_npy(content: bytes) -> npt.NDArray[Any]:
    """The array of an npy file.

    Raises:
        ValueError: it is no such file, or holds objects.
    """
    with _said_in_words():
        return np.asarray(np.lib.format.read_array(io.BytesIO(content), allow_pickle=False))


def _check_members(packed: io.BytesIO, most: int) -> None:
    """Refuse a bomb; reading a member ends where the directory says, whatever its data say."""
    with zipfile.ZipFile(packed) as archive:
        members = archive.infolist()
    if sum(member.file_size for member in members) > most:
        raise ValueError(f"it unpacks to more than {most / MIB:g} MiB")
    for member in members:
        if member.compress_type not in _PACKED:
            raise ValueError(f"{member.filename!r} in it is packed as numpy packs nothing")


@contextmanager
def _said_in_words() -> Iterator[None]:
    """Raise one kind of error for whatever a damaged file raises.

    Headers are read by Python's own tokenizer, archives by what unpacks them: there is no list of
    all that these raise.
    """
    try:
        yield
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from None
