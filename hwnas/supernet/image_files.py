"""Readers of image files: idx, the binary and the JPEG-packed CIFAR-10, folders of images.

Nothing in a file is executed: no pickles, and numpy archives without objects. Whatever is wrong
with a file is a `DataError` that names it.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.errors import DataError

__all__ = ["Labelled", "cifar10", "fashion_mnist", "image_folder", "resized"]

Bytes = npt.NDArray[np.uint8]

_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
_CHUNK = 4096  # images resized at a time


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images uint8 (n, channels, size, size), their labels int64 (n,), and how many classes."""

    images: Bytes
    labels: npt.NDArray[np.int64]
    classes: int

    def take(self, indices: npt.NDArray[np.int64]) -> "Labelled":
        """Some of them."""
        return Labelled(self.images[indices], self.labels[indices], self.classes)


def resized(images: Bytes, size: int) -> Bytes:
    """Images (n, channels, height, width) at size x size, bilinear with antialiasing."""
    if images.shape[2:] == (size, size):
        return images
    import torch
    from torch.nn import functional as F

    result = np.empty((*images.shape[:2], size, size), np.uint8)
    for start in range(0, len(images), _CHUNK):
        chunk = torch.from_numpy(images[start : start + _CHUNK].astype(np.float32))
        scaled = F.interpolate(chunk, (size, size), mode="bilinear", antialias=True)
        result[start : start + _CHUNK] = scaled.round_().clamp_(0, 255).byte().numpy()
    return result


def fashion_mnist(folder: Path, size: int) -> tuple[Labelled, Labelled]:
    """Training and test part from the four idx files."""
    return _idx_pair(folder, "train", size), _idx_pair(folder, "t10k", size)


def cifar10(folder: Path, size: int) -> tuple[Labelled, Labelled]:
    """Training and test part from the binary version or from the JPEG packs."""
    if (folder / "cifar10_jpeg_train.npz").exists():
        parts = [_jpeg_pack(folder / f"cifar10_jpeg_{part}.npz") for part in ("train", "test")]
    elif (folder / "data_batch_1.bin").exists():
        names = [f"data_batch_{i}.bin" for i in range(1, 6)]
        train = [_cifar_binary(folder / name) for name in names]
        images, labels = zip(*train, strict=True)
        parts = [
            (np.concatenate(images), np.concatenate(labels)),
            _cifar_binary(folder / "test_batch.bin"),
        ]
    else:
        raise DataError(
            f"no CIFAR-10 in {str(folder)!r}: it needs data_batch_1.bin to data_batch_5.bin and "
            "test_batch.bin (the 'binary version'; the pickled Python version is never read), "
            "or cifar10_jpeg_train.npz and cifar10_jpeg_test.npz"
        )
    train_part, test_part = (
        Labelled(resized(images, size), labels, 10) for images, labels in parts
    )
    return train_part, test_part


def image_folder(folder: Path, size: int) -> tuple[Labelled, Labelled | None]:
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


def _idx_pair(folder: Path, part: str, size: int) -> Labelled:
    images = _idx(folder, f"{part}-images-idx3-ubyte", 3)
    labels = _idx(folder, f"{part}-labels-idx1-ubyte", 1).astype(np.int64)
    if len(images) != len(labels) or not images.size:
        raise DataError(
            f"{part} images and labels in {str(folder)!r} do not belong together: "
            f"{' x '.join(map(str, images.shape))} pixels, {len(labels)} labels"
        )
    _check_labels(labels, folder / f"{part}-labels-idx1-ubyte")
    return Labelled(resized(images[:, None], size), labels, 10)


def _idx(folder: Path, name: str, dimensions: int) -> Bytes:
    """An idx file of bytes with so many dimensions, gzip-packed (``name.gz``) or not."""
    path = folder / name
    if not path.exists():
        path = folder / f"{name}.gz"
    data = _read(path)
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{str(path)!r} is not a whole gzip file ({error}): fetch it again"
            ) from None
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


def _cifar_binary(path: Path) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Rows of one label byte and 3 x 32 x 32 pixels."""
    data = np.frombuffer(_read(path), np.uint8)
    row = 1 + 3 * 32 * 32
    if not len(data) or len(data) % row:
        raise DataError(
            f"{str(path)!r} is cut short: rows of {row} bytes are needed, got {len(data)} bytes; "
            "fetch it again"
        )
    rows = data.reshape(-1, row)
    labels = rows[:, 0].astype(np.int64)
    _check_labels(labels, path)
    return rows[:, 1:].reshape(-1, 3, 32, 32), labels


def _jpeg_pack(path: Path) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """32x32 JPEGs that share their header; each is header + payload slice + end marker."""
    names = ("header", "payload", "size", "label")
    try:
        with np.load(io.BytesIO(_read(path)), allow_pickle=False) as pack:
            header, payload, sizes, labels = (pack[name] for name in names)
    except (
        ValueError,
        KeyError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
    ) as error:
        raise DataError(
            f"{str(path)!r} is not a JPEG pack, a numpy archive of {', '.join(names)}: {error}"
        ) from None
    arrays = (header, payload, sizes, labels)
    whole = all(a.ndim == 1 and a.dtype.kind in "iu" and a.size for a in arrays)
    if not whole or len(sizes) != len(labels) or sizes.sum() != payload.size:
        raise DataError(
            f"{str(path)!r} is not a whole JPEG pack: {sizes.size} sizes that add up to "
            f"{sizes.sum()} bytes, {labels.size} labels, {payload.size} bytes; fetch it again"
        )
    ends = np.cumsum(sizes.astype(np.int64))
    labels = labels.astype(np.int64)
    _check_labels(labels, path)
    start, body = header.tobytes(), payload.tobytes()
    pixels = np.empty((len(ends), 3, 32, 32), np.uint8)
    for i, (end, count) in enumerate(zip(ends, sizes, strict=True)):
        jpeg = io.BytesIO(start + body[end - int(count) : end] + b"\xff\xd9")
        pixels[i] = _decoded(jpeg, f"image {i} of {str(path)!r}", None, 32).transpose(2, 0, 1)
    return pixels, labels


def _class_names(folder: Path) -> list[str]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise DataError(
            f"an image folder holds one sub-folder a class, at least 2; {str(folder)!r} holds "
            f"{len(names)}"
        )
    return names


def _folder(folder: Path, names: Sequence[str], size: int) -> Labelled:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in _SUFFIXES)
        if not found:
            raise DataError(
                f"class folder {str(folder / name)!r} holds no image "
                f"({', '.join(_SUFFIXES)}): fill it or remove it"
            )
        files += found
        labels += [label] * len(found)
    images = np.empty((len(files), 3, size, size), np.uint8)
    for i, path in enumerate(files):
        images[i] = _decoded(io.BytesIO(_read(path)), repr(str(path)), size).transpose(2, 0, 1)
    return Labelled(images, np.array(labels, np.int64), len(names))


def _decoded(
    file: io.BytesIO, name: str, crop_to: int | None = None, exactly: int | None = None
) -> Bytes:
    """One image as (height, width, 3).

    Args:
        file: its bytes.
        name: for messages.
        crop_to: pixels; scale the shorter side to it and take the middle square.
        exactly: pixels of height and width that the image must have.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise DataError(f"pillow is needed to read {name}: pip install 'hwnas[images]'") from None
    try:
        with Image.open(file) as opened:
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
        raise DataError(f"{name} cannot be read as an image: {error}") from None


def _check_labels(labels: npt.NDArray[np.int64], path: Path) -> None:
    wrong = labels[(labels < 0) | (labels > 9)]
    if len(wrong):
        raise DataError(f"labels in {str(path)!r} must be 0 to 9, got {wrong[0]}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r} ({error.strerror or error}): it is part of the data set"
        ) from None
