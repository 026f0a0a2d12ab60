"""Mixup and CutMix: pairs of training images, and of their labels, become one.

Both are drawn by seed and step. What they make of labels are shares of classes, which
cross-entropy reads as it reads labels.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hwnas.errors import OptionError
from hwnas.search.shared_settings import AugmentationSettings

__all__ = ["mixed"]

_STREAM = 0x313  # keeps draws of one seed apart


def mixed(
    images: Tensor,
    labels: Tensor,
    settings: AugmentationSettings,
    *,
    classes: int,
    seed: int,
    draw: int,
    done: float,
) -> tuple[Tensor, Tensor]:
    """A batch whose images are mixed in pairs, or the batch itself.

    Where both are asked for, each batch gets one of them, at random.

    Args:
        images: (n, channels, height, width).
        labels: int64 (n,).
        settings: ``mixup``, ``cutmix`` and ``plain_end``.
        classes: outputs of the network.
        seed, draw: of what is drawn; a batch has a number of its own.
        done: share of the training, 0 to 1, that is behind it.

    Returns:
        Images, and float (n, classes) shares of classes that add up to 1; with labels as they were
        where nothing is mixed.

    Raises:
        OptionError: the data are no images with labels.
    """
    ways = [(_blended, settings.mixup), (_pasted, settings.cutmix)]
    asked = [(way, alpha) for way, alpha in ways if alpha]
    if not asked or done >= 1 - settings.plain_end:
        return images, labels
    if images.ndim != 4 or labels.ndim != 1:
        raise OptionError(
            "mixup and cutmix mix images (n, channels, height, width) with one label each, got "
            f"{tuple(images.shape)} and {tuple(labels.shape)}: leave them out"
        )
    rng = np.random.default_rng([seed, _STREAM, draw])
    way, alpha = asked[rng.integers(len(asked))]
    partners = torch.from_numpy(rng.permutation(len(images)))
    images, kept = way(images, images[partners], rng.beta(alpha, alpha), rng)
    shares = F.one_hot(labels, classes).float()
    return images, shares.lerp(shares[partners], 1 - kept)


def _blended(
    images: Tensor, others: Tensor, kept: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Mixup: weighted means of the pixels (Zhang et al., 2018)."""
    return images.lerp(others, 1 - kept), kept


def _pasted(
    images: Tensor, others: Tensor, kept: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """CutMix: a rectangle of the other image in its place (Yun et al., 2019); what was kept.

    Its sides are a share of the image's, its centre may lie anywhere, and what reaches over the
    border is cut off.
    """
    spans = []
    for size in images.shape[2:]:
        length = round(size * (1 - kept) ** 0.5)
        start = int(rng.integers(size)) - length // 2
        spans.append(slice(max(0, start), max(0, min(size, start + length))))
    result = images.clone()
    result[:, :, spans[0], spans[1]] = others[:, :, spans[0], spans[1]]
    height, width = images.shape[2:]
    pasted = (spans[0].stop - spans[0].start) * (spans[1].stop - spans[1].start)
    return result, 1 - pasted / (height * width)
