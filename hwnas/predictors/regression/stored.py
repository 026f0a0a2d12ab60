"""Fitted regressors as files: what may be in one."""

from hwnas.predictors.gaussian_process import GaussianProcess
from hwnas.predictors.npz_format import NpzFormat
from hwnas.predictors.regression.boosting import BoostingFit
from hwnas.predictors.regression.choice import Choice
from hwnas.predictors.regression.columns import Columns
from hwnas.predictors.regression.gaussian import GaussianFit
from hwnas.predictors.regression.ordered import Numbers, OrderedFit
from hwnas.predictors.regression.terms import Linear, Near, PlacedNear, Smooth
from hwnas.predictors.regression.views import View
from hwnas.spaces import Cell

__all__ = ["read", "write"]

_FORMAT = NpzFormat(
    "hwnas-predictor-1",
    (
        BoostingFit,
        Cell,
        Choice,
        Columns,
        GaussianFit,
        GaussianProcess,
        Linear,
        Near,
        Numbers,
        OrderedFit,
        PlacedNear,
        Smooth,
        View,
    ),
    "LatencyRegressor.save",
)
read = _FORMAT.read
write = _FORMAT.write
