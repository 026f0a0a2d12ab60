"""A linear classifier of a candidate's own, fitted in closed form to what its last layer reads."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["expected_accuracy"]

#: Weight of the diagonal in the covariance: some hundred images say little of the rest.
_SHRINKAGE = 0.5
#: Of a feature, of all that it has: where its classes do not vary at all.
_LEAST_VARIANCE = 1e-4


def expected_accuracy(
    features: Tensor, labels: Tensor, new_features: Tensor, new_labels: Tensor
) -> float:
    """How often a Gaussian classifier is right if it answers by its own probabilities, 0 to 1.

    Linear discriminant analysis: each class is normal around its own mean, all with one covariance,
    which is shrunk half way to its diagonal (Hastie, Tibshirani and Friedman, The Elements of
    Statistical Learning, 4.3.1). The mean probability of the right label tells candidates apart
    where their accuracies on the same few images are equal.

    Args:
        features: of the images that the classifier is fitted to, (n, n_features).
        labels: of these images, int64 (n,).
        new_features: of other images, (m, n_features).
        new_labels: int64 (m,).
    """
    features, new_features = features.double(), new_features.double()
    classes = int(max(labels.max(), new_labels.max())) + 1
    members = F.one_hot(labels, classes).double()
    counts = members.sum(0)
    means = (members.T @ features) / counts.clamp_min(1)[:, None]
    around = features - means[labels]
    covariance = around.T @ around / len(features)
    spread = features.var(0, correction=0)
    least = torch.where(
        spread > 0, _LEAST_VARIANCE * spread, 1.0
    )  # what never changes says nothing
    diagonal = torch.diag(_SHRINKAGE * covariance.diagonal() + least)
    covariance = (1 - _SHRINKAGE) * covariance + diagonal
    weights = torch.linalg.solve(covariance, means.T)
    scores = (
        new_features @ weights - 0.5 * (means * weights.T).sum(1) + torch.log(counts / len(labels))
    )
    return float(scores.softmax(1).gather(1, new_labels[:, None]).mean())
