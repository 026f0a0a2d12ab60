"""Reading one file of a data set.

Nothing in a file is executed: no pickles, and numpy archives without objects. Whatever is wrong
with a file is a `DataError` that names it.
"""

import io
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.errors import DataError
from hwnas.reading import MIB, open_regular, read_bytes

__all__ = [
    "MOST_BYTES",
    "SUFFIXES",
    "check_labels",
    "decoded",
    "looked_at",
    "need_pillow",
    "read_file",
]

#: A file, or what it unpacks to; MNIST with 280,000 images takes 209 MiB.
MOST_BYTES = 256 * MIB
#: Pixels of one image, and what it may be: other formats are unpacked by other programs.
_MOST_PIXELS = 2**26
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

#: What stands in the last bytes of a file that was written to its end.
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_LAST_BYTES = 64

#: Names of images end so, in capitals or not.
SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)

#: The tag of a photograph that says how the camera was held, and what turns it upright (`Transpose`
#: of Pillow by name).
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def need_pillow(name: str) -> None:
    """Raise `DataError` where Pillow, which reads ``name``, is not installed."""
    if find_spec("PIL") is None:
        raise DataError(f"pillow is needed to read {name}: pip install 'hwnas[images]'")


def decoded(
    file: io.BytesIO,
    name: str,
    crop_to: tuple[int, int, int] | None = None,
    exactly: int | None = None,
    change: Callable[[Any, tuple[int, int]], Any] | None = None,
) -> npt.NDArray[np.uint8]:
    """One image, upright, as (3, height, width), or with one channel.

    Args:
        file: its bytes.
        name: for messages.
        crop_to: channels (3, or 1 for grey), height and width; the middle of the image is taken in
            this shape, as much of it as there is, and scaled.
        exactly: pixels of height and width that the image must have.
        change: makes an image of Pillow, upright, one of a width and height, in place of taking its
            middle.

    Raises:
        DataError: it is no such image, or pillow is not installed.
    """
    need_pillow(name)
    from PIL import Image, ImageOps

    channels, *size = crop_to or (3,)
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(file, formats=_FORMATS) as opened:
            _check_pixels(opened, name)
            if exactly is not None and opened.size != (exactly, exactly):
                raise DataError(f"{name} must have {exactly} x {exactly} pixels, got {opened.size}")
            if opened.mode.startswith("I"):  # conversion would cut off all above 255
                image = Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8)).convert(mode)
            else:
                image = opened.convert(mode)
            if turn := _UPRIGHT.get(opened.getexif().get(_ORIENTATION, 1)):
                image = image.transpose(Image.Transpose[turn])
            if size and change:
                image = change(image, (size[1], size[0]))
            elif size:
                image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.uint8)
            return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever Pillow raises of a broken file
        raise _broken(name, error, file.getbuffer().nbytes) from None


def looked_at(path: Path) -> int:
    """How many bytes an image file has, after a look at the first and the last of them.

    A JPEG or PNG that does not end as a whole one is decoded, to be sure.

    Raises:
        DataError: it cannot be read, or is no image that `decoded` takes.
    """
    from PIL import Image

    name = repr(str(path))
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                with Image.open(file, formats=_FORMATS) as opened:
                    _check_pixels(opened, name)
                    end = _ENDS.get(opened.format or "", b"")
                    file.seek(max(0, size - _LAST_BYTES))
                    whole = end in file.read(_LAST_BYTES)
            except (DataError, MemoryError):
                raise
            except Exception as error:  # whatever Pillow raises of a broken file
                raise _broken(name, error, size) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if not whole or size > MOST_BYTES:
        decoded(io.BytesIO(read_file(path)), name)
    return size


def _check_pixels(opened: Any, name: str) -> None:
    """Refuse an image of too many pixels, or whose levels are not known."""
    if opened.width * opened.height > _MOST_PIXELS:
        raise DataError(
            f"{name} has {opened.width} x {opened.height} pixels, more than "
            f"{_MOST_PIXELS:,}: make it smaller"
        )
    of_16_bits = opened.mode == "I" and opened.format == "PPM"  # whatever range the file states
    if opened.mode in ("I", "F") and not of_16_bits:
        raise DataError(
            f"{name} has 32-bit pixels (mode {opened.mode}), whose range is not known: "
            "convert it to 8 or 16 bits"
        )


def _broken(name: str, error: Exception, size: int) -> DataError:
    """What Pillow says of a file of so many bytes that is broken."""
    from PIL import UnidentifiedImageError

    unknown = isinstance(error, UnidentifiedImageError)
    reason: object = f"it is none of {', '.join(_FORMATS)}" if unknown else error
    return DataError(f"{name} cannot be read as an image: {reason if size else 'it is empty'}")


def check_labels(labels: IntArray, path: Path) -> None:
    """Refuse labels of anything but ten classes.

    Raises:
        DataError: a label below 0 or above 9.
    """
    wrong = labels[(labels < 0) | (labels > 9)]
    if len(wrong):
        raise DataError(f"labels in {str(path)!r} must be 0 to 9, got {wrong[0]}")


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot read {str(path)!r} ({error.strerror or error}): it is part of the data set"
    )
