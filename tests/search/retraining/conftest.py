"""A network that trains in a second, and data whose truth is known."""

import numpy as np
import pytest

from hwnas import spaces
from hwnas.data import ArrayDataset


@pytest.fixture(scope="session")
def space():
    return spaces.space(
        "proxyless",
        input_size=8,
        classes=2,
        stage_widths=(8, 8),
        stage_depths=(2, 1),
        stage_strides=(2, 1),
        first_width=8,
        stem_width=8,
        head_width=16,
    )


@pytest.fixture(scope="session")
def data():
    """Two classes that differ in the brightness of their left half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    images = rng.integers(0, 120, (600, 1, 8, 8))
    images[:, :, :, :4] += 30 * labels[:, None, None, None]
    images = images.astype(np.uint8)
    parts = [slice(0, 400), slice(400, 500), slice(500, 600)]
    arrays = [array[part] for part in parts for array in (images, labels)]
    return ArrayDataset("synthetic", 2, *arrays, (70.0,), (35.0,))


@pytest.fixture(scope="session")
def arch(space):
    return space.sample(1, seed=0)[0]
