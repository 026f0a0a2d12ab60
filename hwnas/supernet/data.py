"""Image data sets, split for training, candidate evaluation and the final test.

Images stay uint8 until they are batched (`Dataset.to_float`): 60,000 images of 32 x 32 pixels in
colour are 184 MB as bytes and 737 MB as floats.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.errors import DataError
from hwnas.supernet import image_files
from hwnas.supernet.image_files import Labelled

__all__ = ["DATA_SPECS", "Dataset", "batch_indices", "load_data", "parse_data_spec"]

#: What `load_data` takes.
DATA_SPECS = ("digits", "fashion-mnist:DIR", "cifar10:DIR", "imagefolder:DIR")

_SPLIT_STREAM, _BATCH_STREAM = 1, 2  # keep draws of one seed apart


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images in three disjoint parts.

    Attributes:
        name: the scheme of the spec, such as ``digits``.
        classes: number of classes; labels are 0 to ``classes - 1``.
        train_images: uint8 (n, channels, size, size), 1 channel (grey) or 3 (RGB).
        train_labels: int64 (n,).
        validation_images, validation_labels: what candidates are ranked by.
        test_images, test_labels: for nothing but the last report.
        mean, std: of the training images, one value a channel, in grey levels (0 to 255).
    """

    name: str
    classes: int
    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    validation_images: npt.NDArray[np.uint8]
    validation_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.uint8]
    test_labels: npt.NDArray[np.int64]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @cached_property
    def digest(self) -> str:
        """Equal for equal images and labels in equal parts."""
        parts = (self.train_images, self.train_labels, self.validation_labels, self.test_labels)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:12]

    def to_float(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Normalised float32 (n, 3, size, size); grey is repeated to three channels."""
        column = (1, -1, 1, 1)
        mean = np.array(self.mean, np.float32).reshape(column)
        std = np.array(self.std, np.float32).reshape(column)
        floats = (images.astype(np.float32) - mean) / std
        return np.repeat(floats, 3, axis=1) if floats.shape[1] == 1 else floats


def parse_data_spec(spec: str) -> tuple[str, Path]:
    """The scheme and the folder of a spec; the folder exists, files in it were not looked at.

    Raises:
        DataError: unknown scheme, or no such folder.
    """
    scheme, colon, folder = spec.partition(":")
    if scheme not in _READERS:
        raise DataError(f"unknown data {spec!r}: choose one of {', '.join(DATA_SPECS)}")
    if scheme == "digits":
        if colon:
            raise DataError(f"digits come with scikit-learn and take no folder, got {spec!r}")
    elif not folder:
        raise DataError(f"{scheme} needs a folder, written {scheme}:DIR; got {spec!r}")
    elif not Path(folder).is_dir():
        raise DataError(f"there is no folder {folder!r}, which {scheme} was to be read from")
    return scheme, Path(folder)


def load_data(spec: str, *, input_size: int, seed: int = 0) -> Dataset:
    """Read a data set, resized to ``input_size`` x ``input_size`` pixels.

    Args:
        spec: ``digits`` (1,797 images that come with scikit-learn), ``fashion-mnist:DIR`` (the four
            idx files, packed or not), ``cifar10:DIR`` (the binary version, or the JPEG packs
            ``cifar10_jpeg_train.npz`` and ``cifar10_jpeg_test.npz``) or ``imagefolder:DIR`` (one
            sub-folder a class, or ``train`` and ``val`` with such sub-folders).
        input_size: pixels.
        seed: of the split. Sets without a test part are split 60 : 20 : 20; of the others a sixth
            of the training part, at most 10,000 images, becomes the validation part.

    Raises:
        DataError: no such kind of data, a folder or file that is missing or broken, or too few
            images.
    """
    scheme, folder = parse_data_spec(spec)
    if input_size < 1:
        raise DataError(f"images need an input size of at least 1 pixel, got {input_size}")
    try:
        train, test = _READERS[scheme](folder, input_size)
    except OSError as error:
        raise DataError(f"cannot read {spec}: {error.strerror or error}") from None
    rng = np.random.default_rng([seed, _SPLIT_STREAM])
    order = rng.permutation(len(train.labels))
    if test is None:
        test_count = len(order) // 5
        test, order = train.take(order[:test_count]), order[test_count:]
        count = test_count
    else:
        count = min(len(order) // 6, 10_000)
    validation, train = train.take(order[:count]), train.take(order[count:])
    if not len(validation.labels) or not len(test.labels):
        raise DataError(
            f"{spec} has too few images to be split into training, validation and test: "
            f"{len(train.labels)} are left for training"
        )
    floats = train.images.reshape(*train.images.shape[:2], -1)
    mean = floats.mean((0, 2), dtype=np.float64)
    std = np.maximum(floats.std((0, 2), dtype=np.float64), 1.0)
    return Dataset(
        scheme,
        train.classes,
        train.images,
        train.labels,
        validation.images,
        validation.labels,
        test.images,
        test.labels,
        tuple(mean.tolist()),
        tuple(std.tolist()),
    )


def _digits(_: Path, size: int) -> tuple[Labelled, None]:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Labelled(
        image_files.resized(images[:, None], size), bunch.target.astype(np.int64), 10
    ), None


def batch_indices(n: int, batch: int, step: int, seed: int) -> npt.NDArray[np.int64]:
    """The examples of one training step: int64 (batch,), each below ``n``.

    The steps read one endless sequence of permutations of all examples, so every example is seen
    equally often, and step 1,000 can be drawn without the 999 before it.
    """
    if min(n, batch) < 1:
        raise DataError(f"a batch needs examples, got {n} examples and a batch of {batch}")
    positions = np.arange(step * batch, (step + 1) * batch)
    first, last = positions[0] // n, positions[-1] // n
    orders = [_permutation(n, seed, epoch) for epoch in range(first, last + 1)]
    chosen: npt.NDArray[np.int64] = np.concatenate(orders)[positions - first * n]
    return chosen


@lru_cache(maxsize=4)
def _permutation(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    order = np.random.default_rng([seed, _BATCH_STREAM, epoch]).permutation(n)
    order.setflags(write=False)
    return order


_READERS: dict[str, Callable[[Path, int], tuple[Labelled, Labelled | None]]] = {
    "digits": _digits,
    "fashion-mnist": image_files.fashion_mnist,
    "cifar10": image_files.cifar10,
    "imagefolder": image_files.image_folder,
}
