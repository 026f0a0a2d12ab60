"""Latency as a sum of non-negative prices: what to believe when there are ten samples."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from hwnas.arrays import FloatArray
from hwnas.predictors.regression.terms import Linear, table_sums
from hwnas.predictors.regression.views import Batch

__all__ = ["Prices", "fit_prices"]

#: Reweighting as for Student's t noise: rounds, degrees of freedom, the standard deviation of a
#: normal distribution over its median absolute value, and an error that is no outlier.
_ROUNDS, _FREEDOM, _SIGMA, _LEAST_ERROR = 3, 4.0, 1.4826, 1e-3


@dataclass(frozen=True, eq=False)
class Prices:
    """Features that are sums over a view's entries, each with a price of at least 0.

    Attributes:
        view: of which view.
        table: features of each entry, (size, n_features), not negative.
        constant: whether every architecture also pays a fixed price.
        ridge: pull of all prices towards one common price, relative to the mean latency.
    """

    view: str
    table: FloatArray
    constant: bool
    ridge: float

    def features(self, batch: Batch) -> FloatArray:
        """Sums over the slots, (n, n_features + constant)."""
        entries = batch.entries(self.view)
        sums = table_sums(self.table, entries)
        if self.constant:
            sums = np.concatenate([sums, np.full((len(sums), 1), float(entries.shape[1]))], axis=1)
        return sums


def fit_prices(model: Prices, features: FloatArray, ms: FloatArray) -> Linear:
    """Prices that minimise squared relative errors plus the ridge; outliers weigh less.

    Args:
        model: what ``features`` (n, n_features) were computed by.
        features: of the training samples.
        ms: their latencies, (n,).
    """
    common = float(ms.mean()) / max(float(features.sum(axis=1).mean()), 1e-12)
    size = features.shape[1]
    shares = features * (common / ms[:, None])  # of the latency, if all prices were the common one
    pull = np.full(size, model.ridge)
    weights = np.ones(len(ms))
    for _ in range(_ROUNDS):
        rows = np.concatenate([shares * weights[:, None], np.diag(pull)])
        prices = nnls(rows, np.concatenate([weights, pull]))[0]
        errors = np.abs(shares @ prices - 1)
        usual = max(_SIGMA * float(np.median(errors)), _LEAST_ERROR)
        weights = np.sqrt((_FREEDOM + 1) / (_FREEDOM + (errors / usual) ** 2))
    prices = prices * common
    offset = 0.0
    if model.constant:
        # each architecture has the same number of slots, so a price a slot is a fixed price
        offset = float(prices[-1] * features[0, -1])
        prices = prices[:-1]
    return Linear(offset, {(model.view, 0): model.table @ prices}, np.zeros(0))
