"""`LatencyRegressor`: from measured architectures to the model that predicts others best.

`columns` reads the rows, `views` turns them into entries, `terms` and `gaussian`, `nonnegative` and
`boosting` are the models, `candidates` the list of them, `choice` compares, `stored` keeps.
"""

from hwnas.predictors.regression.regressor import LatencyRegressor

__all__ = ["LatencyRegressor"]
