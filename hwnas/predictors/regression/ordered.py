"""A Gaussian process over the logarithms of numbers: widths, kernels, resolutions have an order.

Other models take each value of a column for itself, which is right for codes of operators and
wastes samples on numbers. Here a column of numbers is its logarithm, with a length of its own;
columns of codes stay one feature a value. What is modelled is the logarithm of the latency.
"""

from dataclasses import dataclass

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.predictors.gaussian_process import GaussianProcess
from hwnas.predictors.regression.columns import Columns
from hwnas.predictors.regression.views import Batch

__all__ = ["Numbers", "OrderedFit", "fit_ordered", "numbers_of"]


@dataclass(frozen=True, eq=False)
class Numbers:
    """What the process sees of rows.

    Attributes:
        logs: columns of the input that are numbers, as their logarithms.
        least: smallest number that a logarithm is taken of, of each of those; new numbers below
            count as this.
        codes: of the other columns, which of `Columns.chosen` they are.
        sizes: how many values each of these has.
    """

    logs: tuple[int, ...]
    least: FloatArray
    codes: tuple[int, ...]
    sizes: tuple[int, ...]

    def __call__(self, batch: Batch) -> FloatArray:
        """Features (n, n_features)."""
        numbers = np.maximum(batch.rows[:, list(self.logs)], self.least)
        parts = [np.log(numbers)]
        for column, size in zip(self.codes, self.sizes, strict=True):
            parts.append((batch.codes[:, column, None] == np.arange(size)).astype(np.float64))
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True, eq=False)
class OrderedFit:
    """A fitted process, for log ms."""

    numbers: Numbers
    process: GaussianProcess

    def __call__(self, batch: Batch) -> FloatArray:
        """Predictions in ms, (n,)."""
        return np.asarray(np.exp(np.minimum(self.process.predict(self.numbers(batch)), 700.0)))


def numbers_of(columns: Columns, rows: FloatArray) -> Numbers | None:
    """The numbers among the columns of training rows; None where all columns are codes."""
    logs = [*columns.numbers]
    logs += [column for column in columns.quantities if rows[:, column].min() > 0]
    if not logs:
        return None
    codes = tuple(at for at, c in enumerate(columns.chosen) if c not in logs)
    sizes = tuple(len(columns.values[at]) for at in codes)
    least = [0.5 * np.min(rows[:, column][rows[:, column] > 0]) for column in logs]
    return Numbers(tuple(logs), np.array(least), codes, sizes)


def fit_ordered(
    numbers: Numbers, train: Batch, ms: FloatArray, like: OrderedFit | None = None
) -> OrderedFit:
    """Fit on n architectures and their latencies (n,); with the lengths and noise of another."""
    known = None if like is None else like.process
    return OrderedFit(numbers, GaussianProcess.fit(numbers(train), np.log(ms), known))
