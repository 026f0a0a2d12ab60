"""Small fully connected networks as plain matrices; predicting with them needs numpy alone."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray

__all__ = ["Perceptrons"]

#: Rows computed at once, so that what they need stays in the cache.
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class Perceptrons:
    """The mean of several networks of the same layers.

    Columns are kept within the range of those that it was fitted on, and standardised. Every layer
    but the last ends in x * sigmoid(x).

    Attributes:
        low, high: range of each column, (n_columns,).
        centre, scale: what is subtracted, and then divided by, (n_columns,).
        weights: of each layer, (n_networks, n_in, n_out); the last one has one output.
        biases: of each layer, (n_networks, 1, n_out).
    """

    low: FloatArray
    high: FloatArray
    centre: FloatArray
    scale: FloatArray
    weights: tuple[npt.NDArray[np.floating[Any]], ...]
    biases: tuple[npt.NDArray[np.floating[Any]], ...]

    def __call__(self, columns: FloatArray) -> FloatArray:
        """One number for each row of columns, (n,)."""
        within = np.clip(columns, self.low, self.high)
        rows = ((within - self.centre) / self.scale).astype(np.float32)
        layers = [
            (weight.astype(np.float32), bias.astype(np.float32))
            for weight, bias in zip(self.weights, self.biases, strict=True)
        ]
        found = np.empty(len(rows))
        for first in range(0, len(rows), _CHUNK):
            part = slice(first, first + _CHUNK)
            found[part] = _mean_output(rows[part], layers)
        return found

    def check(self, n_columns: int) -> None:
        """Raise `ValueError` where the arrays do not fit each other or the columns."""
        lines = (self.low, self.high, self.centre, self.scale)
        if any(np.shape(line) != (n_columns,) for line in lines):
            raise ValueError(f"its networks do not read {n_columns} columns")
        widths = [n_columns, *(np.shape(bias)[-1] for bias in self.biases)]
        networks = len(self.weights[0]) if self.weights else 0
        expected = [(networks, *pair) for pair in pairwise(widths)]
        if networks < 1 or widths[-1] != 1:
            raise ValueError("its networks have no single output")
        if [np.shape(weight) for weight in self.weights] != expected:
            raise ValueError("its networks' layers do not fit each other")
        if [np.shape(bias) for bias in self.biases] != [(networks, 1, n) for n in widths[1:]]:
            raise ValueError("its networks' biases do not fit their layers")
        numbers = (*lines, *self.weights, *self.biases)
        if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in numbers):
            raise ValueError("its networks hold something else than finite numbers")
        if not (self.scale > 0).all() or not (self.low <= self.high).all():
            raise ValueError("its networks' columns have no range")


def _mean_output(
    rows: npt.NDArray[np.float32],
    layers: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]],
) -> FloatArray:
    values = rows[None]
    for weight, bias in layers[:-1]:
        values = values @ weight + bias
        values *= 0.5 + 0.5 * np.tanh(0.5 * values)
    weight, bias = layers[-1]
    return np.asarray((values @ weight + bias).mean(axis=0)[:, 0], np.float64)
