"""How far predictions are from measurements, in numbers that a person can read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.errors import DataError
from hwnas.predictors.intervals import NORMAL_95
from hwnas.spaces import Choice, SearchSpace
from hwnas.spaces.readings import Reading

__all__ = [
    "OperatorError",
    "PredictionReport",
    "checked_ms",
    "noise_floor_of_errors",
    "noise_floor_of_passes",
    "operator_counts",
    "operator_errors",
    "prediction_report",
    "spearman",
]


@dataclass(frozen=True, slots=True)
class PredictionReport:
    """Predictions against measurements. All errors are shares: 0.05 is 5 %.

    Attributes:
        count: networks.
        mean_error, median_error, worst_error: of ``|predicted / measured - 1|``.
        within_5, within_10: share of the networks whose error is at most 5 and 10 %.
        spearman: rank correlation; None where one side is constant.
        bias: geometric mean of predicted / measured, less 1: what all predictions have in common.
        shape_error: mean error once that common factor is taken off.
        noise_floor: mean difference of two measurements of one network, if known. A perfect
            predictor is 0.71 of it off single measurements, and half of it off means of two.
        confidence, coverage: share of the intervals that hold the measurement, and the share that
            was promised; None without intervals.
    """

    count: int
    mean_error: float
    median_error: float
    worst_error: float
    within_5: float
    within_10: float
    spearman: float | None
    bias: float
    shape_error: float
    noise_floor: float | None
    confidence: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class OperatorError:
    """Whether networks with more of an operator are predicted otherwise than the rest.

    Attributes:
        operator: its token.
        more, rest: networks that hold more of it than the median network, and the others; where
            hardly any holds more, those that hold as much count as more.
        difference: predicted / measured of the former over that of the latter (geometric means),
            less 1: above 0 where the operator is predicted too slow.
        standard_error: of the difference.
    """

    operator: str
    more: int
    rest: int
    difference: float
    standard_error: float

    @property
    def clear(self) -> bool:
        """Whether the difference is more than twice its standard error."""
        return abs(self.difference) > 2 * self.standard_error


def prediction_report(
    measured_ms: npt.ArrayLike,
    predicted_ms: npt.ArrayLike,
    *,
    interval_ms: npt.ArrayLike | None = None,
    confidence: float | None = None,
    noise_floor: float | None = None,
) -> PredictionReport:
    """Compare predictions (n,) with measurements (n,), both in ms.

    Args:
        measured_ms: the truth.
        predicted_ms: by a model that has not seen these measurements.
        interval_ms: (n, 2), lower and upper ends, of this ``confidence``.
        confidence: what the intervals promise.
        noise_floor: see `noise_floor_of_passes`.

    Raises:
        DataError: nothing to compare, different lengths, or latencies that are not positive.
    """
    measured, predicted = checked_ms("measured", measured_ms), checked_ms("predicted", predicted_ms)
    if measured.shape != predicted.shape:
        raise DataError(
            f"one prediction for each measurement is needed, got {len(predicted)} for "
            f"{len(measured)}"
        )
    coverage = None
    if interval_ms is not None:
        ends = np.asarray(interval_ms, np.float64)
        if ends.shape != (len(measured), 2) or confidence is None:
            raise DataError(
                f"intervals are an array ({len(measured)}, 2) with a confidence, got shape "
                f"{ends.shape} and confidence {confidence}"
            )
        coverage = float(np.mean((ends[:, 0] <= measured) & (measured <= ends[:, 1])))
    error, rank = np.abs(predicted / measured - 1), spearman(measured, predicted)
    factor = math.exp(float(np.mean(np.log(predicted / measured))))
    return PredictionReport(
        count=len(measured),
        mean_error=float(error.mean()),
        median_error=float(np.median(error)),
        worst_error=float(error.max()),
        within_5=float(np.mean(error <= 0.05)),
        within_10=float(np.mean(error <= 0.10)),
        spearman=None if math.isnan(rank) else rank,
        bias=factor - 1,
        shape_error=float(np.abs(predicted / factor / measured - 1).mean()),
        noise_floor=noise_floor,
        confidence=confidence if coverage is not None else None,
        coverage=coverage,
    )


def noise_floor_of_passes(first_ms: npt.ArrayLike, second_ms: npt.ArrayLike) -> float:
    """Mean of ``|first / second - 1|`` of two measurements of the same networks, each (n,)."""
    first, second = checked_ms("measured", first_ms), checked_ms("measured", second_ms)
    return float(np.abs(first / second - 1).mean())


def noise_floor_of_errors(relative_errors: npt.ArrayLike) -> float:
    """What `noise_floor_of_passes` is to be expected from the intervals of single measurements.

    Two measurements with normal errors of standard deviation s differ by 2 s / sqrt(pi) on average.

    Args:
        relative_errors: half the widths of 95 % intervals, relative, as in
            `hwnas.latency_tables.Measurement`.
    """
    deviations = np.asarray(relative_errors, np.float64) / NORMAL_95
    return float(deviations.mean() * 2 / math.sqrt(math.pi))


def operator_counts(space: SearchSpace, archs: IntArray) -> tuple[list[str], IntArray]:
    """Tokens of a space's operators, and how often each architecture holds them, (n, tokens)."""
    told = [[_tokens(choice) for choice in d.choices] for d in space.decisions]
    tokens = list(dict.fromkeys(t for choices in told for choice in choices for t in choice))
    counts = np.zeros((len(archs), len(tokens)), np.int64)
    for choices, column in zip(told, archs.T, strict=True):
        held = np.array([[choice.count(token) for token in tokens] for choice in choices])
        counts += held[column]
    return tokens, counts


def _tokens(choice: Choice) -> list[str]:
    """The tokens of the operators that a choice puts into a network."""
    return [op.token for op in choice.ops] if isinstance(choice, Reading) else [choice.token]


def operator_errors(
    tokens: Sequence[str], counts: IntArray, measured_ms: FloatArray, predicted_ms: FloatArray
) -> list[OperatorError]:
    """Error by operator, the largest difference first; operators that split nothing are left out.

    Args:
        tokens: names of the operators.
        counts: (n, tokens), see `operator_counts`.
        measured_ms: (n,).
        predicted_ms: (n,).
    """
    logs = np.log(np.asarray(predicted_ms) / np.asarray(measured_ms))
    found = []
    for token, column in zip(tokens, counts.T, strict=True):
        middle = np.median(column)
        more = min(column > middle, column >= middle, key=lambda m: abs(m.mean() - 0.5))
        if min(more.sum(), (~more).sum()) < 2:
            continue
        difference = math.expm1(float(logs[more].mean() - logs[~more].mean()))
        variances = [float(part.var(ddof=1) / len(part)) for part in (logs[more], logs[~more])]
        found.append(
            OperatorError(
                token, int(more.sum()), int((~more).sum()), difference, math.sqrt(sum(variances))
            )
        )
    return sorted(found, key=lambda entry: -abs(entry.difference))


def spearman(first: FloatArray, second: FloatArray) -> float:
    """Spearman's rank correlation of two arrays (n,); nan where one of them is level."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (first, second)]
    if any(np.ptp(values) == 0 for values in ranks):
        return math.nan
    return float(np.corrcoef(*ranks)[0, 1])


def checked_ms(what: str, values: npt.ArrayLike) -> FloatArray:
    """Latencies as an array (n,), or a `DataError` that says ``what`` latencies are wrong."""
    ms = np.asarray(values, np.float64)
    if ms.ndim != 1 or not len(ms):
        raise DataError(f"{what} latencies are a list of ms, got an array of shape {ms.shape}")
    if not np.all(np.isfinite(ms) & (ms > 0)):
        wrong = ms[~(np.isfinite(ms) & (ms > 0))][0]
        raise DataError(f"{what} latencies are positive milliseconds, got {wrong:g}")
    return ms
