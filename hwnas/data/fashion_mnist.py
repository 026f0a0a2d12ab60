"""Fashion-MNIST, and whatever else lies in the four idx files of MNIST."""

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.data.image_files import MOST_BYTES, check_labels, read_file
from hwnas.data.labelled import LabelledImages, resized
from hwnas.errors import DataError
from hwnas.reading import MIB

__all__ = ["fashion_mnist"]


def fashion_mnist(
    folder: Path, shape: tuple[int, int, int]
) -> tuple[LabelledImages, LabelledImages]:
    """Training and test part from the four idx files."""
    return _idx_pair(folder, "train", shape[1:]), _idx_pair(folder, "t10k", shape[1:])


def _idx_pair(folder: Path, part: str, size: tuple[int, int]) -> LabelledImages:
    images = _idx(folder, f"{part}-images-idx3-ubyte", 3)
    labels = _idx(folder, f"{part}-labels-idx1-ubyte", 1).astype(np.int64)
    if len(images) != len(labels) or not images.size:
        raise DataError(
            f"{part} images and labels in {str(folder)!r} do not belong together: "
            f"{' x '.join(map(str, images.shape))} pixels, {len(labels)} labels"
        )
    check_labels(labels, folder / f"{part}-labels-idx1-ubyte")
    return LabelledImages(resized(images[:, None], size), labels, 10)


def _idx(folder: Path, name: str, dimensions: int) -> npt.NDArray[np.uint8]:
    """An idx file of bytes with so many dimensions, gzip-packed (``name.gz``) or not."""
    path = folder / name
    if not path.exists():
        path = folder / f"{name}.gz"
    data = read_file(path)
    if path.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(data)) as packed:
                data = packed.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{str(path)!r} is not a whole gzip file ({error}): fetch it again"
            ) from None
        if len(data) > MOST_BYTES:
            raise DataError(
                f"{str(path)!r} unpacks to more than {MOST_BYTES / MIB:.0f} MiB: it is no such data"
            )
    header = 4 + 4 * dimensions
    magic = bytes((0, 0, 8, dimensions))
    if data[:4] != magic:
        raise DataError(
            f"{str(path)!r} is not an idx file of bytes in {dimensions} dimensions: it must begin "
            f"with {magic.hex()}, got {data[:4].hex() or 'nothing'}"
        )
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, header, 4)]
    expected = header + int(np.prod(shape, dtype=object))
    if len(data) != expected:
        raise DataError(
            f"{str(path)!r} is cut short or too long: {' x '.join(map(str, shape))} needs "
            f"{expected} bytes, got {len(data)}; fetch it again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
