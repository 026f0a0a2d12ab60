"""What the runs of a model say: its latency in several words, and how sure each is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.predictors.intervals import student_quantile
from hwnas.profilers.protocol import Samples, median_error

__all__ = ["Comparison", "Latency", "compare", "latency_of", "relative_error"]

#: The median of fewer loads than this says nothing of how far loads differ.
_FEWEST_LOADS = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency of one model, ms.

    Attributes:
        steady_ms: as it is while nothing else slows the device: the median quotient with the
            reference, times the lower quartile of the reference.
        steady_error: half the width of its 95 % interval, relative, the reference apart.
        median_ms, p90_ms, p99_ms: by the clock, slow spells and all.
        median_error: half the width of the median's 95 % interval, relative.
        runs: that were timed.
    """

    steady_ms: float
    steady_error: float
    median_ms: float
    median_error: float
    p90_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models that were measured together.

    Attributes:
        one, other: their names.
        change: latency of the other over that of the one, less 1: -0.08 is 8 % less time.
        error: half the width of its 95 % interval.
    """

    one: str
    other: str
    change: float
    error: float

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out that they are the same."""
        return abs(self.change) > self.error


def latency_of(loads: Sequence[str], samples: Samples) -> Latency:
    """The latency of a model whose runs are those of several loads.

    Args:
        loads: names of its jobs; each loaded the model anew.
        samples: of all jobs.
    """
    runs = [samples.runs_ms[key] for key in loads]
    quotients = [samples.quotients[key] for key in loads]
    pooled_ms = np.concatenate(runs)
    p90_ms, p99_ms = (float(v) for v in np.quantile(pooled_ms, (0.9, 0.99)))
    median = float(np.median(np.concatenate(quotients)))
    return Latency(
        steady_ms=median * samples.steady_reference_ms,
        steady_error=relative_error(quotients),
        median_ms=float(np.median(pooled_ms)),
        median_error=relative_error(runs),
        p90_ms=p90_ms,
        p99_ms=p99_ms,
        runs=len(pooled_ms),
    )


def relative_error(loads: Sequence[Sequence[float]]) -> float:
    """Half the width of the 95 % interval of the median of all runs, relative to it.

    The wider of two: that of order statistics, and Student's t on the medians of the loads. A model
    lies elsewhere in memory after each load, and stays there for all runs of that load, so the runs
    of one load do not show the difference (Kalibera and Jones 2013, "Rigorous benchmarking in
    reasonable time").

    Args:
        loads: the runs of each load.
    """
    pooled = [value for runs in loads for value in runs]
    within = median_error(pooled)
    if len(loads) < _FEWEST_LOADS:
        return within
    medians = [float(np.median(runs)) for runs in loads]
    half = student_quantile(0.95, len(loads)) * float(np.std(medians, ddof=1))
    return max(within, half / math.sqrt(len(loads)) / float(np.median(pooled)))


def compare(one: str, other: str, latencies: Mapping[str, Latency]) -> Comparison:
    """How two models differ in steady latency; their reference is the same and cancels."""
    first, second = latencies[one], latencies[other]
    ratio = second.steady_ms / first.steady_ms
    error = ratio * math.hypot(first.steady_error, second.steady_error)
    return Comparison(one, other, ratio - 1, error)
