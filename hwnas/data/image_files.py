"""Reading one file of a data set.

Nothing in a file is executed: no pickles, and numpy archives without objects. Whatever is wrong
with a file is a `DataError` that names it.
"""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.errors import DataError
from hwnas.files import MIB, read_bytes

__all__ = ["MOST_BYTES", "SUFFIXES", "check_labels", "decoded", "read_file"]

#: A file, or what it unpacks to; MNIST with 280,000 images takes 209 MiB.
MOST_BYTES = 256 * MIB
#: Pixels of one image, and what it may be: other formats are unpacked by other programs.
_MOST_PIXELS = 2**26
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

#: Names of images end so, in capitals or not.
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")


def decoded(
    file: io.BytesIO, name: str, crop_to: int | None = None, exactly: int | None = None
) -> npt.NDArray[np.uint8]:
    """One image as (height, width, 3).

    Args:
        file: its bytes.
        name: for messages.
        crop_to: pixels; scale the shorter side to it and take the middle square.
        exactly: pixels of height and width that the image must have.

    Raises:
        DataError: it is no such image, or pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise DataError(f"pillow is needed to read {name}: pip install 'hwnas[images]'") from None
    try:
        with Image.open(file, formats=_FORMATS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise DataError(
                    f"{name} has {opened.width} x {opened.height} pixels, more than "
                    f"{_MOST_PIXELS:,}: make it smaller"
                )
            if exactly is not None and opened.size != (exactly, exactly):
                raise DataError(f"{name} must have {exactly} x {exactly} pixels, got {opened.size}")
            if opened.mode.startswith("I;16"):  # conversion would cut off all above 255
                image = Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8)).convert("RGB")
            elif opened.mode in ("I", "F"):
                raise DataError(
                    f"{name} has 32-bit pixels (mode {opened.mode}), whose range is not known: "
                    "convert it to 8 or 16 bits"
                )
            else:
                image = opened.convert("RGB")
            if crop_to is not None:
                image = ImageOps.fit(image, (crop_to, crop_to), Image.Resampling.BILINEAR)
            return np.asarray(image, np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        unknown = isinstance(error, UnidentifiedImageError)
        reason = f"it is none of {', '.join(_FORMATS)}" if unknown else error
        raise DataError(f"{name} cannot be read as an image: {reason}") from None


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
        raise DataError(
            f"cannot read {str(path)!r} ({error.strerror or error}): it is part of the data set"
        ) from None
