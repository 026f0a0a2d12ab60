"""What models of accuracy learn: a scale on which differences among the best stay apart."""

import numpy as np

from hwnas.arrays import FloatArray

__all__ = ["accuracies_of", "are_shares", "log_worth", "worth"]

#: Above the highest accuracy, so that the logarithm is finite.
_ABOVE = 1.01


def are_shares(scores: FloatArray) -> bool:
    """Whether scores (n,) may be accuracies; those of another metric may be any numbers."""
    return bool(((scores >= 0) & (scores <= 1)).all())


def worth(scores: FloatArray) -> FloatArray:
    """`log_worth` of accuracies; other scores (n,) as they are."""
    return log_worth(scores) if are_shares(scores) else scores


def log_worth(accuracies: FloatArray) -> FloatArray:
    """Minus the logarithm of (error + 0.01): to halve an error counts alike, whatever its size.

    Args:
        accuracies: (n,), 0 to 1.
    """
    worth: FloatArray = -np.log(_ABOVE - accuracies)
    return worth


def accuracies_of(worth: FloatArray) -> FloatArray:
    """The accuracies, 0 to 1, whose `log_worth` this is."""
    accuracies: FloatArray = _ABOVE - np.exp(-worth)
    return accuracies
