"""Images with their labels, as a file or a person hands them over; and their split in parts."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.errors import DataError
from hwnas.memory import check_memory

__all__ = [
    "Images",
    "LabelledImages",
    "check_images_fit",
    "check_split",
    "part_size",
    "resized",
    "split_off",
]

Images = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

_SPLIT_STREAM = 1  # keeps draws of one seed apart
_CHUNK = 4096  # images resized at a time, at most
_CHUNK_BYTES = 2**28  # of them as floats


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """One part of a data set.

    Attributes:
        images: (n, channels, height, width), uint8 grey levels, or float32 that is already
            normalised.
        labels: int64 (n,), from 0.
        classes: how many.
        class_names: of all classes, or none.
    """

    images: Images
    labels: IntArray
    classes: int
    class_names: tuple[str, ...] = ()

    @classmethod
    def checked(cls, images: Any, labels: Any, classes: int, what: str) -> "LabelledImages":
        """The arrays of a person, or torch tensors on the CPU, after a look at all of them.

        Args:
            images: (n, channels, height, width), uint8 or float32.
            labels: n integers.
            classes: how many.
            what: names the part in messages.

        Raises:
            DataError: other types or shapes, no images, values that are not finite, or labels
                below 0 or not below ``classes``.
        """
        pixels, ids = np.asarray(images), np.asarray(labels)
        if pixels.dtype not in (np.uint8, np.float32):
            raise DataError(
                f"{what} images are uint8 (0 to 255), or float32 that is already normalised; got "
                f"{pixels.dtype}"
            )
        if pixels.ndim != 4 or not pixels.size:
            raise DataError(
                f"{what} images have the shape (n, channels, height, width) and are at least one, "
                f"got {pixels.shape}"
            )
        if pixels.shape[1] > 4 and pixels.shape[3] <= 4:
            raise DataError(
                f"{what} images {pixels.shape} have their channels last: give "
                "images.transpose(0, 3, 1, 2)"
            )
        if ids.ndim != 1 or len(ids) != len(pixels) or ids.dtype.kind not in "iu":
            raise DataError(
                f"{what} labels are one integer an image: {len(pixels)} images, labels "
                f"{ids.dtype} {ids.shape}"
            )
        wrong = ids[(ids < 0) | (ids >= classes)]
        if len(wrong):
            raise DataError(f"{what} labels are 0 to {classes - 1}, got {wrong[0]}")
        if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
            raise DataError(f"{what} images hold values that are not finite")
        return cls(pixels, ids.astype(np.int64), classes)

    def take(self, indices: IntArray) -> "LabelledImages":
        """Some of them."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def __len__(self) -> int:
        return len(self.labels)


def split_off(
    train: LabelledImages,
    validation: LabelledImages | None,
    test: LabelledImages | None,
    *,
    name: str,
    seed: int,
) -> tuple[LabelledImages, LabelledImages, LabelledImages]:
    """Training, validation and test part, of which those that are missing come from the first.

    Without a test part, a fifth of the images becomes the test part and as many the validation
    part; with one, a sixth of the training images, at most 10,000, becomes the validation part.

    Args:
        train: the images that are split.
        validation, test: parts that there are.
        name: for messages.
        seed: of the split.

    Raises:
        DataError: too few images.
    """
    if validation is not None and test is not None:
        return train, validation, test
    order = np.random.default_rng([seed, _SPLIT_STREAM]).permutation(len(train))
    count = part_size(len(order), tested=test is not None)
    if test is None:
        test, order = train.take(order[:count]), order[count:]
    if validation is None:
        validation, order = train.take(order[:count]), order[count:]
    train = train.take(order)
    check_split(name, len(train), len(validation), len(test))
    return train, validation, test


def part_size(count: int, *, tested: bool) -> int:
    """How many of so many images each part that is split off gets.

    Args:
        count: images of the part that is split.
        tested: whether there is a test part.
    """
    return min(count // 6, 10_000) if tested else count // 5


def check_split(name: str, train: int, validation: int, test: int) -> None:
    """Refuse parts without images.

    Raises:
        DataError: there is one.
    """
    if not min(train, validation, test):
        raise DataError(
            f"{name} has too few images to be split into training, validation and test: "
            f"{train} are left for training"
        )


def check_images_fit(count: int, shape: tuple[int, int, int], copies: int = 3) -> None:
    """Refuse images of a shape (channels, height, width) that do not fit into memory.

    Args:
        count: of the images.
        shape: of each.
        copies: of all of them that are held at once; parts that are taken from a whole are some.

    Raises:
        OptionError: they do not.
    """
    check_memory(
        float(copies) * count * math.prod(shape),
        f"{count} images of {shape[1]} x {shape[2]} pixels",
        "give a smaller proxy_input_size (--proxy-input-size)",
    )


def resized(images: npt.NDArray[np.uint8], size: int | tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Images (n, channels, height, width) scaled, bilinear with antialiasing.

    Args:
        images: whatever their height and width.
        size: height and width, or one number for both, pixels.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if images.shape[2:] == (height, width):
        return images
    import torch
    from torch.nn import functional as F

    check_images_fit(len(images), (images.shape[1], height, width))
    result = np.empty((*images.shape[:2], height, width), np.uint8)
    most = min(_CHUNK, 1 + _CHUNK_BYTES // (4 * images.shape[1] * height * width))
    for start in range(0, len(images), most):
        chunk = torch.from_numpy(images[start : start + most].astype(np.float32))
        scaled = F.interpolate(chunk, (height, width), mode="bilinear", antialias=True)
        result[start : start + most] = scaled.round_().clamp_(0, 255).byte().numpy()
    return result
