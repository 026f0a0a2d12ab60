"""A data set of a person's own: which way stripes run, and how wide they are."""

import numpy as np

from hwnas.data import Dataset, from_arrays


def stripes(input_shape: tuple[int, int, int]) -> Dataset:
    """Four classes of noisy stripes, 240 images."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 4
    rows, columns = np.indices(input_shape[1:])
    lines = np.stack([(lines // width) % 2 for width in (1, 2) for lines in (rows, columns)])
    images = lines[labels][:, None] + rng.normal(0, 0.3, (240, *input_shape))
    images = images.astype(np.float32)
    parts = [(images[at], labels[at]) for at in np.split(np.arange(240), [144, 192])]
    return from_arrays(*parts, name="stripes")
