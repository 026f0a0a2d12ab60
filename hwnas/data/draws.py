"""What a person's own code draws while it makes a batch: from seeds, and nobody else's draws."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from hwnas.ops.module import seeded

__all__ = ["drawing_from"]


@contextmanager
def drawing_from(*seeds: int) -> Iterator[None]:
    """Torch's, numpy's and Python's own generators draw from seeds; they are as before behind it.

    So a batch of random crops or of a shuffled loader follows from what it is, whatever was drawn
    before, and in whichever process it is made.
    """
    words = np.random.SeedSequence(seeds).generate_state(4)
    ours, theirs = random.getstate(), np.random.get_state()  # noqa: NPY002 - what others draw from
    random.seed(words.tobytes())
    np.random.seed(words)  # noqa: NPY002
    try:
        with seeded(*seeds):
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)  # noqa: NPY002
