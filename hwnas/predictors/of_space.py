"""A regressor's predictions for the architectures of a search space."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas import spaces
from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import AdditiveCost, Approximation, nearest_sum
from hwnas.errors import OptionError
from hwnas.predictors.expectation import sampled_expectation
from hwnas.predictors.regression import LatencyRegressor
from hwnas.spaces import SearchSpace
from hwnas.spaces.record import Columns

if TYPE_CHECKING:
    import torch

__all__ = ["SpacePredictor"]

#: Architectures predicted at once.
_ROWS = 2**17


class SpacePredictor:
    """Predicts the latency of a space's architectures by a fitted regressor.

    Attributes:
        name: what messages call it.

    Args:
        regressor: fitted with the same space, or on columns that the space can be turned into.
        space: whose architectures are predicted.
        name: for messages, such as the file that it came from.

    Raises:
        OptionError: the regressor was fitted on something else.
    """

    #: `cost` is the nearest sum, not the prediction.
    additive = False

    def __init__(
        self, regressor: LatencyRegressor, space: SearchSpace, name: str = "LatencyRegressor"
    ):
        fitted = regressor.space
        if fitted is None:
            if _columns(space.name) is None:
                able = [name for name in spaces.names() if _columns(name) is not None]
                raise OptionError(
                    f"the predictor was fitted on columns without a space; architectures of "
                    f"{', '.join(able)} can be turned into columns, got {space.name}"
                )
            # the input size is a column of its own
            fitted = spaces.space(space.name, input_size=space.input_shape[1])
        if fitted.name != space.name or _sizes(fitted) != _sizes(space):
            raise OptionError(
                f"the predictor was fitted for {fitted.identifier}, got {space.identifier}: it "
                "knows no network of other sizes"
            )
        self.regressor = regressor
        self.space = space
        self.name = name

    @property
    def target(self) -> str:
        """What the samples were measured on, in the words of the person who saved the regressor."""
        return self.notes.get("target") or f"not said ({self.name})"

    @property
    def notes(self) -> Mapping[str, str]:
        """What a reader should know, such as the ``target`` that the samples were measured on."""
        return getattr(self.regressor, "notes_", {})

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions)."""
        rows = self.space.rows(archs)
        ms = np.empty(len(rows))
        # of equal size, since few rows are computed more exactly than many
        parts = np.linspace(0, len(rows), -(-len(rows) // _ROWS) + 1).astype(int)
        for start, end in pairwise(parts.tolist()):
            part = self.space.check(rows[start:end])
            ms[start:end] = self.regressor.predict(self._columns_of(part))
        return ms

    def predict_interval(self, archs: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Interval (n, 2) in ms, see `LatencyRegressor.predict_interval`."""
        low, high = self.regressor.interval_factors(confidence)
        ms = self.predict(archs)
        interval = np.empty((len(ms), 2))
        np.multiply(ms, low, out=interval[:, 0])
        np.multiply(ms, high, out=interval[:, 1])
        return interval

    @cached_property
    def approximation(self) -> Approximation:
        """The nearest sum over decisions, and how far it is off."""
        return nearest_sum(self.predict, self.space.n_choices)

    @property
    def cost(self) -> AdditiveCost:
        """The nearest sum over decisions, in ms; see `approximation` for its error."""
        return self.approximation.cost

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean latency in ms if each decision is drawn from its own distribution; differentiable.

        Estimated from sampled architectures; the same for the same probabilities, see
        `sampled_expectation`.

        Args:
            probabilities: one tensor (n_choices,) a decision.
        """
        return sampled_expectation(self, self.space.n_choices, probabilities)

    def _columns_of(self, rows: IntArray) -> IntArray:
        columns = _columns(self.space.name)
        if self.regressor.space is not None or columns is None:
            return rows
        return columns(self.space, rows)


def _columns(name: str) -> Columns | None:
    """How architectures of a space become rows of a regressor that was fitted without it."""
    return spaces.entry(name).columns if name in spaces.SPACES else None


def _sizes(space: SearchSpace) -> dict[str, object]:
    """What the latencies of a space depend on; classes are a last layer of hardly any cost."""
    return {name: value for name, value in space.arguments.items() if name != "classes"}
