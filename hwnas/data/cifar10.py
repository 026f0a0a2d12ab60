"""CIFAR-10: the binary version, or packs of JPEGs; never the pickled Python version."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.data.image_files import MOST_BYTES, check_labels, decoded, read_file
from hwnas.data.labelled import LabelledImages, resized
from hwnas.errors import DataError
from hwnas.npz_files import read_npz

__all__ = ["cifar10"]


#: In the order of the labels, as batches.meta.txt of the data set gives them.
_CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def cifar10(folder: Path, shape: tuple[int, int, int]) -> tuple[LabelledImages, LabelledImages]:
    """Training and test part from the binary version or from the JPEG packs.

    Raises:
        DataError: the folder holds neither, or a file is damaged.
    """
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
        LabelledImages(resized(images, shape[1:]), labels, 10, _CLASS_NAMES)
        for images, labels in parts
    )
    return train_part, test_part


def _cifar_binary(path: Path) -> tuple[npt.NDArray[np.uint8], IntArray]:
    """Rows of one label byte and 3 x 32 x 32 pixels."""
    data = np.frombuffer(read_file(path), np.uint8)
    row = 1 + 3 * 32 * 32
    if not len(data) or len(data) % row:
        raise DataError(
            f"{str(path)!r} is cut short: rows of {row} bytes are needed, got {len(data)} bytes; "
            "fetch it again"
        )
    rows = data.reshape(-1, row)
    labels = rows[:, 0].astype(np.int64)
    check_labels(labels, path)
    return rows[:, 1:].reshape(-1, 3, 32, 32), labels


def _jpeg_pack(path: Path) -> tuple[npt.NDArray[np.uint8], IntArray]:
    """32x32 JPEGs that share their header; each is header + payload slice + end marker."""
    names = ("header", "payload", "size", "label")
    try:
        pack = read_npz(read_file(path), MOST_BYTES)
        header, payload, sizes, labels = (pack[name] for name in names)
    except (ValueError, KeyError) as error:
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
    if len(sizes) * 3 * 32 * 32 > MOST_BYTES:
        raise DataError(f"{str(path)!r} holds {len(sizes)} images, more than any CIFAR-10")
    ends = np.cumsum(sizes.astype(np.int64))
    labels = labels.astype(np.int64)
    check_labels(labels, path)
    start, body = header.tobytes(), payload.tobytes()
    pixels = np.empty((len(ends), 3, 32, 32), np.uint8)
    for i, (end, count) in enumerate(zip(ends, sizes, strict=True)):
        jpeg = io.BytesIO(start + body[end - int(count) : end] + b"\xff\xd9")
        pixels[i] = decoded(jpeg, f"image {i} of {str(path)!r}", None, 32)
    return pixels, labels
