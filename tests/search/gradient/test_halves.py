"""Halves of the training images: disjoint, whole, alike for every kind of data."""

import numpy as np
import pytest

from hwnas.data import from_arrays
from hwnas.errors import OptionError
from hwnas.search.gradient.halves import check_halves, halves


@pytest.fixture(scope="module")
def data():
    """Images that are told apart by their grey level, and 21 of them to be halved."""
    images = np.repeat(np.arange(21, dtype=np.float32), 3 * 4).reshape(21, 3, 2, 2)
    few = images[:2], np.array([0, 1])
    return from_arrays((images, np.arange(21) % 3), few, few, name="levels")


class Plain:
    """The same images as a person's own data set: batches alone."""

    def __init__(self, data):
        self.train_count, self.train_batch = data.train_count, data.train_batch


def levels(half, steps, size):
    found = []
    for step in range(steps):
        images, labels = half.batch(step, size)
        assert images.shape == (size, 3, 2, 2)
        found += images[:, 0, 0, 0].astype(int).tolist()
        np.testing.assert_array_equal(labels, images[:, 0, 0, 0] % 3)
    return found


@pytest.mark.parametrize("kind", [lambda data: data, Plain])
def test_two_halves_are_all_images_once(data, kind):
    first, second = halves(kind(data), seed=3)
    assert (first.count, second.count) == (10, 11)
    mine, other = levels(first, 5, 2), levels(second, 11, 1)
    assert sorted(mine + other) == list(range(21))
    # and over again, in another order
    again = levels(first, 10, 2)[10:]
    assert sorted(again) == sorted(mine)
    assert again != mine


def test_a_persons_own_data_are_halved_alike(data):
    for half, other in zip(halves(data, seed=5), halves(Plain(data), seed=5), strict=True):
        for step in range(7):
            for a, b in zip(half.batch(step, 4), other.batch(step, 4), strict=True):
                np.testing.assert_array_equal(a, b)


def test_the_seed_says_which(data):
    members = [frozenset(levels(halves(data, seed=seed)[0], 5, 2)) for seed in range(4)]
    assert len(set(members)) > 1
    assert members[0] == frozenset(levels(halves(data, seed=0)[0], 5, 2))


def test_too_few_images_are_refused(data):
    check_halves(data, 10, 10)
    for batches in ((11, 2), (2, 11)):
        with pytest.raises(OptionError, match="levels has 21, so 10 a half, got batches of"):
            check_halves(data, *batches)
