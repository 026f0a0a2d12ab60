"""Mixup and CutMix: what is seen and what is to be answered stay in proportion."""

import pytest
import torch

from hwnas.errors import OptionError
from hwnas.search.mixing import mixed
from hwnas.search.shared_settings import AugmentationSettings

N = 8
IMAGES = torch.arange(float(N))[:, None, None, None].expand(N, 3, 10, 6)  # image i is all i
LABELS = torch.arange(N)


def mix(draw=0, done=0.0, seed=1, **settings):
    how = AugmentationSettings(**settings)
    return mixed(IMAGES, LABELS, how, classes=N + 1, seed=seed, draw=draw, done=done)


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_labels_are_shares_of_what_is_seen(settings):
    for draw in range(20):
        images, shares = mix(draw, **settings)
        assert shares.shape == (N, N + 1)
        assert torch.allclose(shares.sum(1), torch.ones(N))
        seen = images.mean((1, 2, 3))  # the mean number that stands in an image
        assert torch.allclose(seen, shares @ torch.arange(float(N + 1)), atol=1e-5)
        assert len(shares[0].unique()) <= 3


def test_mixup_blends_everywhere_and_cutmix_pastes_a_rectangle():
    blended = [mix(draw, mixup=1.0)[0] for draw in range(20)]
    assert all((images == images[:, :1, :1, :1]).all() for images in blended)
    pasted = [mix(draw, cutmix=1.0)[0] for draw in range(20)]
    assert all(set(images.unique().tolist()) <= set(range(N)) for images in pasted)
    assert any((images != images[:, :1, :1, :1]).any() for images in pasted)


def test_both_take_turns_at_random():
    kinds = [mix(draw, mixup=1.0, cutmix=1.0)[0] for draw in range(60)]
    whole = sum(set(images.unique().tolist()) <= set(range(N)) for images in kinds)
    assert 15 < whole < 45


def test_it_follows_from_seed_and_draw():
    first, again, other = (mix(draw, mixup=1.0)[0] for draw in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, mix(3, seed=2, mixup=1.0)[0])


@pytest.mark.parametrize(
    ("settings", "done"), [({}, 0.0), ({"mixup": 1.0, "plain_end": 0.25}, 0.75)]
)
def test_without_it_and_at_the_end_batches_are_as_they_are(settings, done):
    images, labels = mix(done=done, **settings)
    assert images is IMAGES
    assert labels is LABELS


def test_what_is_no_image_with_a_label_is_refused():
    how = AugmentationSettings(mixup=1.0)
    with pytest.raises(
        OptionError, match=r"mixup and cutmix mix images .* got \(8, 3\) and \(8,\)"
    ):
        mixed(IMAGES[:, :, 0, 0], LABELS, how, classes=N, seed=0, draw=0, done=0.0)
