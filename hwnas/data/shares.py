"""Parts of a training batch, for processes that train together and read what they need."""

from typing import Any

from hwnas.data.arrays import ArrayDataset
from hwnas.data.nested import length, rows_of
from hwnas.data.protocol import Batch, Dataset
from hwnas.data.streamed import StreamedImages
from hwnas.errors import OptionError

__all__ = ["is_one_sequence", "share_of", "train_share"]

#: Not their sub-classes, which may draw batches their own way.
_ONE_SEQUENCE = (ArrayDataset, StreamedImages)


def is_one_sequence(data: Any) -> bool:
    """Whether a training example follows from its place alone, whatever batch it is in."""
    return type(data) in _ONE_SEQUENCE or bool(getattr(data, "one_sequence", False))


def train_share(data: Dataset, step: int, size: int, seed: int, *, share: int, of: int) -> Batch:
    """One of several equal parts of a training batch.

    Images in memory or in files, and an own data set that says ``one_sequence = True``, are one
    sequence, in which an example follows from its place alone: a part of a batch is a smaller batch
    of it, and is all that is read. Others may draw something for a batch as a whole, so it is read
    whole, and cut.

    Args:
        data: whose training examples are read.
        step, size, seed: of the whole batch, see `hwnas.data.Dataset.train_batch`.
        share: 0 to ``of - 1``.
        of: how many parts.

    Raises:
        OptionError: the batch is not divisible by them.
    """
    each = _size(size, of)
    if is_one_sequence(data):
        return data.train_batch(step * of + share, each, seed)
    return share_of(data.train_batch(step, size, seed), share=share, of=of)


def share_of(batch: Batch, *, share: int, of: int) -> Batch:
    """The same part of a whole batch that is there."""
    each = _size(length(batch[1]), of)
    rows = slice(share * each, (share + 1) * each)
    return rows_of(batch[0], rows), rows_of(batch[1], rows)


def _size(size: int, of: int) -> int:
    if size % of:
        raise OptionError(
            f"a batch of {size} images is not divisible by {of} workers: give a multiple of {of}"
        )
    return size // of
