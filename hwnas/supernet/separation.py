"""How far a candidate's features tell classes apart, whatever its last layer makes of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["separation"]


def separation(features: Tensor, labels: Tensor) -> float:
    """The share of a feature's variance that lies between classes, mean of all features, 0 to 1.

    Of each feature it is the square of Pearson's correlation ratio (1905): 0 where all classes have
    one mean, 1 where the class says all. A feature that never changes counts 0.

    Args:
        features: of some images, (n, n_features).
        labels: of these images, int64 (n,).
    """
    around = features.double() - features.double().mean(0)
    members = F.one_hot(labels).double()
    sums = members.T @ around  # of each class, (classes, n_features)
    between = (sums**2 / members.sum(0).clamp_min(1)[:, None]).sum(0)
    total = (around**2).sum(0)
    least = len(features) * 1e-12
    shares = torch.where(total > least, between / total.clamp_min(least), 0.0)
    return float(shares.clamp_max(1).mean())
