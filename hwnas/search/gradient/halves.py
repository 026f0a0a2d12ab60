"""Training images in two halves: weights learn from one, architecture parameters from the other.

So DARTS and Amended-DARTS search, and the validation images stay out of it.
"""

from dataclasses import dataclass

from hwnas.arrays import IntArray
from hwnas.data import Batch, Dataset, joined
from hwnas.data.arrays import ArrayDataset
from hwnas.data.batches import batch_indices
from hwnas.errors import OptionError

__all__ = ["Half", "check_halves", "halves"]


@dataclass(frozen=True, eq=False)
class Half:
    """A part of the training images.

    Attributes:
        data: whose images they are.
        order: the rows of the part, as `ArrayDataset` numbers them; None for other data sets.
        first, count: where the part begins in the one permutation that the seed gives, and how many
            images it holds.
        seed: of the permutation, and of the order of the batches.
    """

    data: Dataset
    order: IntArray | None
    first: int
    count: int
    seed: int

    def batch(self, step: int, size: int) -> Batch:
        """The examples of one step, as `Dataset.train_batch` draws them from all images."""
        rows = batch_indices(self.count, size, step, self.seed)
        if self.order is not None:
            assert isinstance(self.data, ArrayDataset)
            chosen = self.order[rows]
            images = self.data.to_float(self.data.train_images[chosen])
            return images, self.data.train_labels[chosen]
        # a batch of one is an example of the permutation, whatever kind of data it is
        one_by_one = [self.data.train_batch(self.first + int(row), 1, self.seed) for row in rows]
        images, labels = (joined(list(parts)) for parts in zip(*one_by_one, strict=True))
        return images, labels


def halves(data: Dataset, seed: int) -> tuple[Half, Half]:
    """Two disjoint halves of the training images, drawn by the seed; the first may hold one less.

    Args:
        data: images in memory are fast; others are asked for one by one.
        seed: of the split and of all batches.
    """
    count = data.train_count
    known = type(data) is ArrayDataset  # a class of its own may draw batches its own way
    order = batch_indices(count, count, 0, seed) if known else None
    middle = count // 2
    parts = ((0, middle), (middle, count - middle))
    first, second = (
        Half(data, None if order is None else order[at : at + n], at, n, seed) for at, n in parts
    )
    return first, second


def check_halves(data: Dataset, weights_batch: int, alpha_batch: int) -> None:
    """Refuse images that are too few for two halves, or have an order of their own.

    Raises:
        OptionError: a half is smaller than its batch, or images cannot be asked for one by one.
    """
    if not getattr(data, "in_any_order", True):
        raise OptionError(
            f"halves of the training images are drawn example by example, and {data.name} come in "
            "batches of an order of their own: give a map-style dataset in place of the iterable"
        )
    half = data.train_count // 2
    largest = max(weights_batch, alpha_batch)
    if half < largest:
        raise OptionError(
            f"weights and alpha learn from a half of the training images each, and a batch is at "
            f"most a half: {data.name} has {data.train_count}, so {half} a half, got batches of "
            f"{weights_batch} and {alpha_batch}: take smaller batches, or more images"
        )
