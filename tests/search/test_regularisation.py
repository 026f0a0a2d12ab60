"""Cutout and drop path: what they take away, how much of it, and that a seed repeats it."""

import pytest
import torch

from hwnas.search.regularisation import cutout, drop_path


def test_a_square_of_each_image_is_hidden():
    images = torch.ones(400, 3, 12, 12)
    hidden = cutout(images, 5, seed=0, step=1) == 0
    assert (hidden == hidden[:, :1]).all()  # in all channels alike
    for image in hidden[:, 0]:
        rows, columns = image.any(1), image.any(0)
        assert torch.equal(image, rows[:, None] & columns[None])
        assert 1 <= rows.sum() <= 5
        assert 1 <= columns.sum() <= 5
    sizes = hidden[:, 0].flatten(1).sum(1)
    assert sizes.max() == 25
    assert (sizes == 25).float().mean() == pytest.approx((8 / 12) ** 2, abs=0.08)
    assert (images == 1).all()


def test_draws_follow_seed_and_step():
    images = torch.ones(8, 1, 9, 9)
    first = cutout(images, 3, seed=0, step=1)
    assert torch.equal(first, cutout(images, 3, seed=0, step=1))
    assert not torch.equal(first, cutout(images, 3, seed=0, step=2))
    assert not torch.equal(first, cutout(images, 3, seed=1, step=1))
    assert cutout(images, 0, seed=0, step=1) is images


def test_edges_are_dropped_for_some_images_and_kept_in_the_mean():
    drop = drop_path(0.25, seed=0, step=0)
    x = torch.ones(4000, 2, 3, 3)
    kept = drop(x)
    values = kept.flatten(1)
    assert ((values == 0).all(1) | torch.isclose(values, torch.tensor(4 / 3)).all(1)).all()
    assert kept.mean() == pytest.approx(1, abs=0.03)
    another = drop(x)
    assert not torch.equal(kept, another)  # another edge of the same pass
    again = drop_path(0.25, seed=0, step=0)
    assert torch.equal(kept, again(x))
    assert torch.equal(another, again(x))
    assert drop_path(0.0, seed=0, step=0) is None
