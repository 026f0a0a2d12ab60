"""A table for a device that gave time for a few whole networks only, shaped by a similar device's.

The model: a workload that takes ``t`` ms on the similar device takes

    common x weight[height] x t + block_ms

on the new one, without the runtime's call. ``common`` is one scale. ``weight`` depends on the
height of the workload's input, since with it changes how much is bound by memory, how much by
arithmetic, and how much more threads can share. ``block_ms`` is an extra cost of every workload.
Weights and ``block_ms`` are not negative, and shrunk towards 1 and 0 (ridge regression on relative
errors); leaving networks out decides how strongly.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.errors import OptionError
from hwnas.latency_tables import Estimate, LatencyTable, Measurement, Transfer
from hwnas.ops import Op, Workload, parse_workload
from hwnas.spaces import SearchSpace

__all__ = ["Fit", "fit_transfer", "transferred", "transferred_estimates"]

LEAST_NETWORKS = 5
_STRENGTHS = (
    0.0001,
    0.001,
    0.003,
    0.01,
    0.03,
    0.1,
    0.3,
    1.0,
    1e6,
)  # the last: one scale, nothing else


@dataclass(frozen=True)
class Fit:
    """How a similar device's entries become this one's.

    Attributes:
        common: scale of all entries.
        weights: height of a workload's input -> factor beside the scale.
        block_ms: what every workload costs more.
        strength: of the pull of weights to 1 and ``block_ms`` to 0.
        residual: standard deviation of log(predicted / measured) of networks that neither the fit
            nor the choice of its strength has seen.
    """

    common: float
    weights: dict[int, float]
    block_ms: float
    strength: float
    residual: float

    def factor(self, workload: Workload) -> float:
        """What an entry is multiplied with."""
        return self.common * self.weights.get(workload.height, 1.0)


def fit_transfer(
    source: LatencyTable,
    space: SearchSpace,
    archs: npt.ArrayLike,
    ms: npt.ArrayLike,
    call_ms: float,
) -> Fit:
    """Fit the entries of a similar device to whole networks of this one.

    Args:
        source: the similar device's table; holds every workload of the space.
        space: whose architectures were measured.
        archs: integer array (n, n_decisions).
        ms: measured latencies (n,).
        call_ms: what a runtime call costs on this device.

    Raises:
        OptionError: fewer than five networks.
        WorkloadNotInTableError: the table lacks a workload.
    """
    rows = space.check(archs)
    wholes = np.asarray(ms, np.float64) - call_ms
    if len(rows) < LEAST_NETWORKS or len(wholes) != len(rows):
        raise OptionError(
            f"a transfer takes at least {LEAST_NETWORKS} measured networks, got {len(wholes)} for "
            f"{len(rows)} architectures"
        )
    if not (wholes > 0).all():
        raise OptionError(
            f"networks take longer than the runtime call of {call_ms} ms, got {min(wholes)} ms less"
        )
    used = [[w for w in space.workloads(arch) if not w.op.no_op] for arch in rows]
    heights = sorted({w.height for workloads in used for w in workloads})
    sums = np.array([[_sum(source, ws, height) for height in heights] for ws in used])
    counts = np.array([len(workloads) for workloads in used], np.float64)
    data = np.column_stack([sums, counts])
    everything = np.arange(len(rows))
    residuals = []
    for left in everything:
        others = np.delete(everything, left)
        strength = _best_strength(data, wholes, others)
        predicted = data[left] @ _solve(data[others], wholes[others], strength)
        residuals.append(_log_error(predicted, wholes[left]))
    strength = _best_strength(data, wholes, everything)
    solution = _solve(data, wholes, strength)
    common = _scale(data, wholes)
    return Fit(
        common=common,
        weights={h: float(v / common) for h, v in zip(heights, solution[:-1], strict=True)},
        block_ms=float(solution[-1]),
        strength=strength,
        residual=float(np.sqrt(np.mean(np.square(residuals)))),
    )


def transferred(
    source: LatencyTable,
    fit: Fit,
    call: Measurement,
    own: Mapping[str, type[Op]] = MappingProxyType({}),
) -> tuple[dict[str, Measurement], Transfer]:
    """The entries of this device, and the record that they were not measured on it.

    Args:
        source: the similar device's table.
        fit: from `fit_transfer`.
        call: the almost empty model, measured on this device.
        own: operator families that do not ship, by name, such as `SearchSpace.families`.
    """
    entries = {
        key: replace(
            entry.scaled(_there(fit, source, key, entry.latency_ms, call, own) / entry.latency_ms),
            relative_error=fit.residual,
        )
        for key, entry in source.workloads.items()
    }
    digest = hashlib.sha256(source.to_json().encode()).hexdigest()[:12]
    return entries, Transfer(str(source.target), digest, 0, fit.residual)


def transferred_estimates(
    source: LatencyTable,
    fit: Fit,
    call: Measurement,
    own: Mapping[str, type[Op]] = MappingProxyType({}),
) -> dict[str, Estimate]:
    """The source's own estimates as estimates of this device; arguments as of `transferred`."""
    return {
        key: Estimate(_there(fit, source, key, entry.latency_ms, call, own), fit.residual)
        for key, entry in source.estimates.items()
    }


def _there(
    fit: Fit,
    source: LatencyTable,
    key: str,
    ms: float,
    call: Measurement,
    own: Mapping[str, type[Op]],
) -> float:
    """What an entry of the similar device takes on this one, its call included."""
    alone = max(ms - source.call.latency_ms, 0.0)
    return fit.factor(parse_workload(key, own)) * alone + fit.block_ms + call.latency_ms


def _sum(source: LatencyTable, workloads: Iterable[Workload], height: int) -> float:
    """Ms of the workloads of one height on the similar device, runtime calls taken off."""
    call_ms = source.call.latency_ms
    return sum(max(source.latency_ms(w) - call_ms, 0.0) for w in workloads if w.height == height)


def _solve(data: FloatArray, wholes: FloatArray, strength: float) -> FloatArray:
    """Coefficients (n_heights + 1,) of least relative error, pulled towards one scale."""
    from scipy.optimize import nnls

    sums, counts = data[:, :-1], data[:, -1:]
    scale = _scale(data, wholes)
    block = float(np.mean(wholes / counts[:, 0]))  # the pull on block_ms is in this unit
    columns = np.hstack([sums * scale, counts * block]) / wholes[:, None]
    pull = np.sqrt(strength) * np.eye(columns.shape[1])
    towards = np.sqrt(strength) * np.r_[np.ones(sums.shape[1]), 0.0]
    found, _ = nnls(np.vstack([columns, pull]), np.r_[np.ones(len(wholes)), towards])
    coefficients: FloatArray = found * np.r_[np.full(sums.shape[1], scale), block]
    return coefficients


def _scale(data: FloatArray, wholes: FloatArray) -> float:
    return float(np.mean(wholes / data[:, :-1].sum(1)))


def _log_error(predicted: float, whole: float) -> float:
    return float(np.log(max(predicted, 1e-3 * whole) / whole))  # a fit may predict nothing at all


def _best_strength(data: FloatArray, wholes: FloatArray, chosen: npt.NDArray[np.int64]) -> float:
    """The strength whose predictions of networks left out are best."""

    def error(strength: float) -> float:
        total = 0.0
        for left in chosen:
            others = chosen[chosen != left]
            predicted = data[left] @ _solve(data[others], wholes[others], strength)
            total += _log_error(predicted, wholes[left]) ** 2
        return total

    return min(_STRENGTHS, key=error)
