"""Which examples a batch holds."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from hwnas.arrays import IntArray
from hwnas.errors import DataError

__all__ = ["EVALUATION_BATCH", "batch_indices", "even_slices"]

#: Images that are handed out at once, at most, where nothing is learned.
EVALUATION_BATCH = 256

_BATCH_STREAM = 2  # keeps draws of one seed apart


def batch_indices(n: int, batch: int, step: int, seed: int) -> IntArray:
    """The examples of one training step: int64 (batch,), each below ``n``.

    The steps read one endless sequence of permutations of all examples, so every example is seen
    equally often, and step 1,000 can be drawn without the 999 before it.

    Raises:
        DataError: no examples, or an empty batch.
    """
    if min(n, batch) < 1:
        raise DataError(f"a batch needs examples, got {n} examples and a batch of {batch}")
    positions = np.arange(step * batch, (step + 1) * batch)
    first, last = positions[0] // n, positions[-1] // n
    orders = [_permutation(n, seed, epoch) for epoch in range(first, last + 1)]
    chosen: IntArray = np.concatenate(orders)[positions - first * n]
    return chosen


def even_slices(n: int, most: int = EVALUATION_BATCH) -> Iterator[slice]:
    """Slices of at most ``most`` that cover ``n`` examples; sizes differ by one, larger first."""
    count = -(-n // most)
    start = 0
    for at in range(count):
        stop = start + n // count + (at < n % count)
        yield slice(start, stop)
        start = stop


@lru_cache(maxsize=4)
def _permutation(n: int, seed: int, epoch: int) -> IntArray:
    order = np.random.default_rng([seed, _BATCH_STREAM, epoch]).permutation(n)
    order.setflags(write=False)
    return order
