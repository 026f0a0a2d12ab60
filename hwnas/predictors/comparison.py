"""Whole networks beside what a table predicts for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas import spaces
from hwnas.arrays import FloatArray, IntArray
from hwnas.errors import TableTargetError
from hwnas.latency_tables import LatencyTable
from hwnas.predictors.additive import AdditivePredictor
from hwnas.predictors.additivity import AdditivityReport, additivity_report
from hwnas.predictors.report import (
    OperatorError,
    PredictionReport,
    noise_floor_of_errors,
    noise_floor_of_passes,
    operator_counts,
    operator_errors,
    prediction_report,
)
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace

__all__ = ["Comparison", "compare", "leave_out"]

_LEAST_NETWORKS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Measurements of n networks and predictions by a model that has seen none of them.

    Attributes:
        space: whose architectures.
        archs: (n, n_decisions).
        measured_ms: (n,).
        predicted_ms: (n,).
        interval_ms: (n, 2), of this ``confidence``.
        confidence: what the intervals promise.
        noise_floor: mean difference of two measurements of one network, relative.
        sums_ms: what the table's entries add up to, (n,), right up to a factor.
    """

    space: SearchSpace
    archs: IntArray
    measured_ms: FloatArray
    predicted_ms: FloatArray
    interval_ms: FloatArray
    confidence: float
    noise_floor: float
    sums_ms: FloatArray

    def report(self) -> PredictionReport:
        """The errors, see `prediction_report`."""
        return prediction_report(
            self.measured_ms,
            self.predicted_ms,
            interval_ms=self.interval_ms,
            confidence=self.confidence,
            noise_floor=self.noise_floor,
        )

    def operators(self) -> list[OperatorError]:
        """The errors by operator, see `operator_errors`."""
        tokens, counts = operator_counts(self.space, self.archs)
        return operator_errors(tokens, counts, self.measured_ms, self.predicted_ms)

    def additivity(self) -> AdditivityReport:
        """Which parts add up to these networks, see `additivity_report`."""
        return additivity_report(
            self.archs,
            self.measured_ms,
            self.space.n_choices,
            operator_counts(self.space, self.archs)[1],
            table_ms=self.sums_ms,
            noise_floor=self.noise_floor,
        )


def leave_out(
    table: LatencyTable, confidence: float = 0.95, progress: Progress = silent
) -> Comparison:
    """A table's own whole networks, each predicted from the table without it.

    They were measured together with the entries: the drift of the machine between two sessions is
    not in these errors, nor in the noise floor, which comes from the spread of their runs.

    Raises:
        TableTargetError: fewer than 4 networks, or networks of another space.
    """
    if len(table.networks) < _LEAST_NETWORKS:
        raise TableTargetError(
            f"a report needs {_LEAST_NETWORKS} whole networks in the table, got "
            f"{len(table.networks)}: profile the device again"
        )
    space = spaces.space(table.space.name, **table.space.arguments)
    everything = AdditivePredictor(table, space)
    archs = np.stack([space.parse(name) for name in table.networks])
    predicted, intervals = [], []
    for at, (arch, predictor) in enumerate(
        zip(archs, everything.without_each_network(), strict=True), start=1
    ):
        predicted.append(predictor.predict(arch)[0])
        intervals.append(predictor.predict_interval(arch, confidence)[0])
        progress("predicting each network from the others", at / len(archs), "")
    entries = table.networks.values()
    return Comparison(
        space=space,
        archs=archs,
        measured_ms=np.array([entry.latency_ms for entry in entries]),
        predicted_ms=np.array(predicted),
        interval_ms=np.array(intervals),
        confidence=confidence,
        noise_floor=noise_floor_of_errors([entry.relative_error for entry in entries]),
        sums_ms=everything.predict(archs),
    )


def compare(
    predictor: AdditivePredictor,
    archs: IntArray,
    passes_ms: Sequence[FloatArray],
    confidence: float = 0.95,
) -> Comparison:
    """Networks that a predictor has not seen, measured twice.

    Args:
        predictor: of the table.
        archs: (n, n_decisions).
        passes_ms: two measurements (n,) of them; their mean is the truth, their difference the
            noise floor.
        confidence: of the intervals.
    """
    first, second = passes_ms
    ms = predictor.predict(archs)
    return Comparison(
        space=predictor.space,
        archs=archs,
        measured_ms=(first + second) / 2,
        predicted_ms=ms,
        interval_ms=predictor.predict_interval(archs, confidence),
        confidence=confidence,
        noise_floor=noise_floor_of_passes(first, second),
        sums_ms=ms,
    )
