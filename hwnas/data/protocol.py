"""What a data set is: batches of images and labels, in three parts that share no image.

A search looks at nothing else, so a data set may lie in memory, on disk, or be made as it is asked
for. It may hand out numpy arrays or torch tensors on the CPU; a caller that needs tensors uses
`hwnas.data.tensors`.

Where a data set has a ``task`` (`hwnas.data.Task`), images may be inputs of any shape, and labels
what the task's loss and metric read, see `hwnas.data.from_batches`.
"""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

__all__ = [
    "ATTRIBUTES",
    "METHODS",
    "Batch",
    "Dataset",
    "InputShape",
    "TrainableValidation",
    "is_image",
    "shapes_of",
    "shown_shape",
]

#: Images, float32 (n, channels, height, width), and labels, int64 (n,); or inputs and targets.
Batch = tuple[Any, Any]
#: Of one input without the batch, such as (channels, height, width), or of each of several.
InputShape = tuple[Any, ...]


def shapes_of(input_shape: InputShape) -> tuple[tuple[int, ...], ...]:
    """The shape of each input."""
    several = bool(input_shape) and isinstance(input_shape[0], tuple | list)
    return tuple(tuple(s) for s in input_shape) if several else (tuple(input_shape),)


def shown_shape(input_shape: InputShape) -> str:
    """In messages: ``3 x 32 x 32``, or ``128 and 128`` of two inputs."""
    return " and ".join(" x ".join(map(str, shape)) for shape in shapes_of(input_shape))


def is_image(input_shape: InputShape) -> bool:
    """Whether there is one input of channels, height and width."""
    shapes = shapes_of(input_shape)
    return len(shapes) == 1 and len(shapes[0]) == 3


#: What every data set says of itself, and what it hands out.
ATTRIBUTES = ("name", "classes", "input_shape", "digest", "train_count")
METHODS = ("train_batch", "validation", "test", "calibration")


class Dataset(Protocol):
    """Labelled images in a training, a validation and a test part."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def classes(self) -> int | None:
        """At least 2; labels are 0 to ``classes - 1``. None where targets are no classes."""

    @property
    def input_shape(self) -> InputShape:
        """Channels, height and width of the images that are handed out."""

    @property
    def digest(self) -> str:
        """At least 12 hex digits; equal for equal images and labels in equal parts."""

    @property
    def train_count(self) -> int:
        """How many training examples there are."""

    def train_batch(self, step: int, size: int, seed: int) -> Batch:
        """The examples of one training step: ``size`` images and labels.

        The same arguments always give the same batch, whatever was asked for before. The steps read
        one endless sequence of permutations of all training examples (`batch_indices` gives their
        rows), so that every example is seen equally often.
        """

    def validation(self) -> Iterable[Batch]:
        """What candidates are ranked by: batches of at most 256 that differ in size by at most 1.

        Larger batches come first, and every call starts at the beginning.
        """

    def test(self) -> Iterable[Batch]:
        """For nothing but the last report; batches as those of `validation`."""

    def calibration(self, n: int) -> Any:
        """The first ``n`` training images, fewer if there are fewer; they set batch-norm."""


@runtime_checkable
class TrainableValidation(Dataset, Protocol):
    """A data set whose validation part can be trained on, as some methods train alpha."""

    @property
    def validation_count(self) -> int:
        """How many validation examples there are."""

    def validation_batch(self, step: int, size: int, seed: int) -> Batch:
        """`Dataset.train_batch` for the validation part."""
