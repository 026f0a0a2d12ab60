"""Gradient boosting on what a person would put into a spreadsheet."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import GradientBoostingRegressor

from hwnas.arrays import FloatArray, IntArray
from hwnas.predictors.regression.terms import table_sums
from hwnas.predictors.regression.views import Batch

__all__ = ["BoostingFit", "fit_boosting"]

_DEPTH = 4
#: Rows predicted at once, so that they stay in the cache.
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class BoostingFit:
    """Boosted trees for log ms, as arrays that can be stored.

    All trees are complete: the nodes of each lie in a row (n_trees, 2^depth - 1), behind node i
    come 2i + 1, where its ``feature`` is at most the ``threshold``, and 2i + 2. The ``value``
    (n_trees, 2^depth) of the leaf that a sample ends in is added to ``start``.
    """

    start: float
    feature: IntArray
    threshold: FloatArray
    value: FloatArray

    def __call__(self, batch: Batch) -> FloatArray:
        """Predictions in ms, (n,)."""
        total = np.full(len(batch), self.start)
        for first in range(0, len(batch), _CHUNK):
            rows = slice(first, first + _CHUNK)
            table = _table(batch.take(rows)).T.copy()
            part, every = total[rows], np.arange(table.shape[1])
            flat = self.feature * table.shape[1]
            for feature, threshold, value in zip(flat, self.threshold, self.value, strict=True):
                node = np.zeros(len(every), np.int64)
                for _ in range(_DEPTH):
                    high = table.take(feature.take(node) + every) > threshold.take(node)
                    node = 2 * node + 1 + high
                part += value.take(node - len(feature))
        return np.asarray(np.exp(total))


def fit_boosting(train: Batch, ms: FloatArray, seed: int) -> BoostingFit:
    """Fit on n architectures and their latencies (n,)."""
    boosted = GradientBoostingRegressor(
        n_estimators=150,
        max_depth=_DEPTH,
        min_samples_leaf=10,
        subsample=0.7,
        max_features=0.5,
        random_state=seed,
    )
    boosted.fit(_table(train), np.log(ms))
    trees = [_complete(stage[0].tree_) for stage in boosted.estimators_]
    feature, threshold, value = (np.stack(part) for part in zip(*trees, strict=True))
    return BoostingFit(float(np.log(ms).mean()), feature, threshold, boosted.learning_rate * value)


def _complete(tree: Any) -> tuple[IntArray, FloatArray, FloatArray]:
    """Feature, threshold and leaf values of a `BoostingFit`; early leaves lead down to the left."""
    inner = 2**_DEPTH - 1
    feature, threshold = np.zeros(inner, np.int64), np.full(inner, np.inf)
    value = np.zeros(inner + 1)
    ends = [(0, 0)]
    while ends:
        node, place = ends.pop()
        split = tree.children_left[node] >= 0
        if place >= inner:
            value[place - inner] = tree.value[node, 0, 0]
        elif split:
            feature[place], threshold[place] = tree.feature[node], tree.threshold[node]
            ends += [(tree.children_left[node], 2 * place + 1)]
            ends += [(tree.children_right[node], 2 * place + 2)]
        else:
            ends += [(node, 2 * place + 1)]
    return feature, threshold, value


def _table(batch: Batch) -> npt.NDArray[np.float32]:
    """Indices of the choices in their columns' order, quantities, and operator counts."""
    columns = [batch.codes, batch.numbers]
    for name in ("decisions", "live"):
        if name in batch.views:
            operators = batch.views[name].operators()
            columns.append(table_sums(operators, batch.entries(name)))
    return np.concatenate(columns, axis=1, dtype=np.float32)
