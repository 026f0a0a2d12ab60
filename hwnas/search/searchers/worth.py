"""What models of accuracy learn: a scale on which differences among the best stay apart."""

import numpy as np

from hwnas.arrays import FloatArray

__all__ = ["accuracies_of", "log_worth"]

#: Above the highest accuracy, so that the logarithm is finite.
_ABOVE = 1.01


def log_worth(accuracies: FloatArray) -> FloatArray:
    """Minus the logarithm of errors, to which 0.01 is added: one that is halved counts alike.

    Args:
        accuracies: (n,), 0 to 1.
    """
    worth: FloatArray = -np.log(_ABOVE - accuracies)
    return worth


def accuracies_of(worth: FloatArray) -> FloatArray:
    """The accuracies, 0 to 1, whose `log_worth` this is."""
    accuracies: FloatArray = _ABOVE - np.exp(-worth)
    return accuracies
