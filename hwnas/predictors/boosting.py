"""Gradient boosting on what a person would put into a spreadsheet."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from hwnas.costs.additive import FloatArray
from hwnas.predictors.terms import table_sums
from hwnas.predictors.views import Batch

__all__ = ["BoostingFit", "fit_boosting"]


@dataclass(frozen=True, eq=False)
class BoostingFit:
    """Boosted trees for log ms."""

    trees: Any

    def __call__(self, batch: Batch) -> FloatArray:
        """Predictions in ms, (n,)."""
        return np.asarray(np.exp(self.trees.predict(_table(batch))))


def fit_boosting(train: Batch, ms: FloatArray, seed: int) -> BoostingFit:
    """Fit on n architectures and their latencies (n,)."""
    trees = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=10, random_state=seed
    )
    return BoostingFit(trees.fit(_table(train), np.log(ms)))


def _table(batch: Batch) -> FloatArray:
    """Indices of the choices in their columns' order, quantities, and operator counts."""
    columns: list[Any] = [batch.codes, batch.numbers]
    for name in ("decisions", "live"):
        if name in batch.views:
            operators = batch.views[name].operators()
            columns.append(table_sums(operators, batch.entries(name)))
    return np.concatenate(columns, axis=1)
