"""How far predictions of shapes that were never seen are off, and intervals from that."""

from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.predictors.intervals import check_confidence
from hwnas.predictors.tensorrt.perceptrons import Perceptrons

__all__ = ["Uncertainty", "score_range"]


def score_range(scores: FloatArray, confidence: float) -> FloatArray:
    """The lowest and the highest of the middle scores that are this share of all, (2,).

    0 always lies between them: an interval holds its prediction.

    Raises:
        OptionError: the confidence is not between 0 and 1.
    """
    check_confidence(confidence)
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return np.array([min(low, 0.0), max(high, 0.0)])


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What held-out convolutions told.

    Attributes:
        size: of the error of a convolution: predicts the logarithm of what
            abs(log(measured / predicted)) usually is there.
        scores: log(measured / predicted) in units of that size, of those held out, in order.
        deviation: of the scores, about 0.
    """

    size: Perceptrons
    scores: FloatArray
    deviation: float

    def log_spread(self, columns: FloatArray) -> FloatArray:
        """Standard deviation of log(predicted / measured), (n,)."""
        return self.deviation * np.exp(self.size(columns))

    def interval_factors(self, columns: FloatArray, confidence: float) -> FloatArray:
        """What predictions are multiplied by at both ends of an interval, (n, 2)."""
        ends = score_range(self.scores, confidence)
        return np.asarray(np.exp(np.exp(self.size(columns))[:, None] * ends))

    def check(self, n_columns: int) -> None:
        """Raise `ValueError` where the parts do not fit each other or the columns."""
        self.size.check(n_columns)
        scores = self.scores
        if scores.ndim != 1 or scores.dtype.kind != "f" or len(scores) < 2:
            raise ValueError("its scores are no row of numbers")
        if not np.isfinite(scores).all() or not (np.diff(scores) >= 0).all():
            raise ValueError("its scores are not in order")
        if not 0 < self.deviation < np.inf:
            raise ValueError("its deviation is not positive")
