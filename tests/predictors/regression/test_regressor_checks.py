"""scikit-learn's own checks of the estimator contract."""

from collections.abc import Callable
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from hwnas.predictors.regression.regressor import LatencyRegressor


@parametrize_with_checks([LatencyRegressor()])
def test_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
