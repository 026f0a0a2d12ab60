"""Latencies that are looked up: those of a benchmark's file, with the noise of its measurements."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.costs import AdditiveCost
from hwnas.errors import DataError, OptionError
from hwnas.predictors.expectation import sampled_expectation
from hwnas.predictors.intervals import check_confidence
from hwnas.spaces import SearchSpace
from hwnas.spaces.tabulated import ArchitectureTable

if TYPE_CHECKING:
    import torch

__all__ = ["LookedUpLatency", "UnknownLatency"]

#: Fewer pairs of twins than this say nothing about the noise.
_LEAST_TWINS = 20


class LookedUpLatency:
    """The measured latency of each architecture of a table, ms.

    How noisy the measurements are is told by twins, where a space's cells have such: networks that
    are equal and are written differently (`Cell.canonical`) were measured independently. An
    interval then reaches from the value as far, relative to it, as this share of twins lie apart;
    it holds what a second measurement of the same network gives. Without twins there is no
    ``predict_interval``, and without a row for each architecture no ``expected``.

    Args:
        table: latencies in ms, above 0.

    Attributes:
        table: the argument.
        space: whose architectures are looked up.
        name: of the table.
        twins: relative differences of twins, sorted (n,).

    Raises:
        DataError: a latency is not above 0.
    """

    #: Only where there are twins.
    predict_interval: Callable[..., FloatArray]
    #: Only where all architectures have a row.
    expected: Callable[[Sequence["torch.Tensor"]], "torch.Tensor"]
    #: `cost` is the nearest sum, not the latency.
    additive = False

    def __init__(self, table: ArchitectureTable):
        if len(wrong := np.flatnonzero(table.values <= 0)):
            raise DataError(
                f"latencies are ms above 0, got {table.values[wrong[0]]:g} of "
                f"{table.space.format(table.archs[wrong[0]])} in {table.name}"
            )
        self.table = table
        self.space: SearchSpace = table.space
        self.name = table.name
        self.twins = _twin_differences(table)
        if len(self.twins) >= _LEAST_TWINS:
            self.predict_interval = self._interval
        if len(table) == math.prod(self.space.n_choices):
            self.expected = self._expected

    @property
    def target(self) -> str:
        """Where the latencies were measured is not known, only where they are looked up."""
        return f"{self.name}, looked up"

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the ``target``."""
        return {"target": self.target}

    @property
    def digest(self) -> str:
        """Of the table."""
        return self.table.digest

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions).

        Raises:
            ArchitectureError: one has no row, or does not belong to the space.
        """
        return self.table(archs)

    @cached_property
    def cost(self) -> AdditiveCost:
        """The nearest sum over decisions, in ms, by least squares over the table's rows."""
        counts = self.space.n_choices
        starts = np.cumsum([0, *counts[:-1]])
        columns = np.zeros((len(self.table), sum(counts)))
        columns[np.arange(len(self.table))[:, None], self.table.archs + starts] = 1
        shares, centre = columns.mean(axis=0), float(self.table.values.mean())
        effects = np.linalg.lstsq(columns - shares, self.table.values - centre, rcond=1e-10)[0]
        rows = np.split(effects, starts[1:])
        least = [float(row.min()) for row in rows]
        fixed = centre - float(shares @ effects) + sum(least)
        return AdditiveCost.from_floats(
            fixed, [row - low for row, low in zip(rows, least, strict=True)]
        )

    def interval_factor(self, confidence: float) -> float:
        """What an interval's upper end is, times the latency; its lower end is divided by it.

        Raises:
            OptionError: the confidence is none, or needs more twins than there are.
        """
        check_confidence(confidence)
        place = math.ceil((len(self.twins) + 1) * confidence) - 1
        if place >= len(self.twins):
            raise OptionError(
                f"the noise of {self.name} is known from {len(self.twins)} pairs of equal "
                f"networks, too few for a confidence of {confidence:g}: give a lower one"
            )
        return math.exp(self.twins[place])

    def _interval(self, archs: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Interval (n, 2) in ms that holds a second measurement of the same network."""
        ms, factor = self.predict(archs), self.interval_factor(confidence)
        return np.stack([ms / factor, ms * factor], axis=1)

    def _expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean latency in ms if each decision is drawn from its own distribution; differentiable.

        Estimated from sampled architectures, see `sampled_expectation`.

        Args:
            probabilities: one tensor (n_choices,) a decision.
        """
        return sampled_expectation(self, self.space.n_choices, probabilities)


class UnknownLatency:
    """Stands where no latency is asked for and none is known: all it gives is nan.

    Args:
        space: of the architectures.
    """

    name = "no latencies"
    target = "no device: no latency was asked for"
    additive = False

    def __init__(self, space: SearchSpace):
        self.space = space

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the ``target``."""
        return {"target": self.target}

    @property
    def cost(self) -> AdditiveCost:
        """There is none.

        Raises:
            OptionError: always.
        """
        raise OptionError("no latencies are known here: give --latencies FILE:COLUMN, or a table")

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Nan for each architecture, (n,)."""
        return np.full(len(self.space.check(archs)), math.nan)


def _twin_differences(table: ArchitectureTable) -> FloatArray:
    """How far latencies a and b of equal networks lie apart, abs(log(a / b)), sorted (n,)."""
    cell = table.space.layout.cell
    if cell is None:
        return np.empty(0)
    canonical = cell.canonical(table.archs)
    order = np.lexsort(canonical.T[::-1])
    equal = (canonical[order][1:] == canonical[order][:-1]).all(axis=1)
    logs = np.log(table.values[order])
    apart: FloatArray = np.sort(np.abs(np.diff(logs)[equal]))
    return apart
