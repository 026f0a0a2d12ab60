"""Which examples a batch holds."""

import numpy as np
import pytest
import torch

from hwnas.data import batch_indices, even_slices
from hwnas.errors import DataError

# Batches


def test_batches_read_whole_permutations_one_after_another() -> None:
    stream = np.concatenate([batch_indices(10, 4, step, seed=3) for step in range(10)])
    epochs = stream.reshape(4, 10)
    assert (np.sort(epochs, axis=1) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert batch_indices(10, 4, 0, seed=3).dtype == np.int64


def test_a_batch_follows_from_seed_and_step() -> None:
    np.testing.assert_array_equal(batch_indices(50, 8, 7, seed=1), batch_indices(50, 8, 7, seed=1))
    assert not np.array_equal(batch_indices(50, 8, 7, seed=1), batch_indices(50, 8, 7, seed=2))


def test_a_batch_may_exceed_the_set() -> None:
    counts = np.bincount(batch_indices(3, 9, 5, seed=0))
    assert counts.tolist() == [3, 3, 3]


@pytest.mark.parametrize(("n", "batch"), [(0, 4), (4, 0)])
def test_batches_of_nothing_are_refused(n: int, batch: int) -> None:
    with pytest.raises(DataError, match=f"got {n} examples and a batch of {batch}"):
        batch_indices(n, batch, 0, seed=0)


@pytest.mark.parametrize(("n", "most"), [(1, 256), (256, 256), (257, 256), (1000, 256), (7, 3)])
def test_even_slices_are_those_of_tensor_split(n: int, most: int) -> None:
    expected = torch.arange(n).tensor_split(-(-n // most))
    got = [torch.arange(n)[rows] for rows in even_slices(n, most)]
    assert [part.tolist() for part in got] == [part.tolist() for part in expected]


def test_there_are_no_slices_of_nothing() -> None:
    assert list(even_slices(0)) == []
