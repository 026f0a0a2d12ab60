"""A split in which every class is in every part, as far as it has images."""

from collections.abc import Sequence

import numpy as np

from hwnas.arrays import IntArray

__all__ = ["apportioned", "stratified"]

_SPLIT_STREAM = 1  # keeps draws of one seed apart


def stratified(labels: IntArray, totals: Sequence[int], seed: int) -> list[IntArray]:
    """Draw parts, class by class.

    Args:
        labels: int64 (n,), from 0.
        totals: examples of each part that is drawn. A part may become larger or smaller by some,
            since a class with an example for every part, and one that is left, is in all of them.
        seed: of the order in which examples are drawn.

    Returns:
        Rows of what is left, and then of each part, in random order, every row once.
    """
    order = np.random.default_rng([seed, _SPLIT_STREAM]).permutation(len(labels))
    sizes = np.bincount(labels)
    parts = np.zeros(len(labels), np.int64)  # of each place in the order
    shares = [apportioned(sizes, total).tolist() for total in totals]
    for label, size in enumerate(sizes.tolist()):
        if size > len(totals):
            most = (size - 1) // max(1, len(totals))
            counts = [max(1, min(share[label], most)) for share in shares]
            drawn = np.repeat(np.arange(1, len(totals) + 1), counts)
        else:  # too few for every part: one stays, the others take turns
            drawn = (label + np.arange(max(0, size - 1))) % len(totals) + 1
        places = np.flatnonzero(labels[order] == label)
        parts[places[: len(drawn)]] = drawn
    return [order[parts == part] for part in range(len(totals) + 1)]


def apportioned(sizes: IntArray, total: int) -> IntArray:
    """``total`` seats for classes of these sizes (n,), by the method of largest remainders."""
    seats, remainders = np.divmod(sizes * total, max(1, int(sizes.sum())))
    largest = np.argsort(-remainders, kind="stable")[: total - seats.sum()]
    seats[largest] += 1
    return seats
