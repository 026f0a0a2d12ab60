"""Reading one file of a data set.

Nothing in a file is executed: no pickles, and numpy archives without objects. Whatever is wrong
with a file is a `DataError` that names it.
"""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.errors import DataError
from hwnas.reading import MIB, read_bytes

__all__ = ["MOST_BYTES", "SUFFIXES", "check_labels", "decoded", "need_pillow", "read_file"]

#: A file, or what it unpacks to; MNIST with 280,000 images takes 209 MiB.
MOST_BYTES = 256 * MIB
#: Pixels of one image, and what it may be: other formats are unpacked by other programs.
_MOST_PIXELS = 2**26
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

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
) -> npt.NDArray[np.uint8]:
    """One image, upright, as (3, height, width), or with one channel.

    Args:
        file: its bytes.
        name: for messages.
        crop_to: channels (3, or 1 for grey), height and width; the middle of the image is taken in
            this shape, as much of it as there is, and scaled.
        exactly: pixels of height and width that the image must have.

    Raises:
        DataError: it is no such image, or pillow is not installed.
    """
    need_pillow(name)
    from PIL import Image, ImageOps, UnidentifiedImageError

    channels, *size = crop_to or (3,)
    mode = "L" if channels == 1 else "RGB"
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
                image = Image.fromarray((np.asarray(opened) >> 8).astype(np.uint8)).convert(mode)
            elif opened.mode in ("I", "F"):
                raise DataError(
                    f"{name} has 32-bit pixels (mode {opened.mode}), whose range is not known: "
                    "convert it to 8 or 16 bits"
                )
            else:
                image = opened.convert(mode)
            if turn := _UPRIGHT.get(opened.getexif().get(_ORIENTATION, 1)):
                image = image.transpose(Image.Transpose[turn])
            if size:
                image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.uint8)
            return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever Pillow raises of a broken file
        unknown = isinstance(error, UnidentifiedImageError)
        reason: object = f"it is none of {', '.join(_FORMATS)}" if unknown else error
        if not file.getbuffer().nbytes:
            reason = "it is empty"
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
