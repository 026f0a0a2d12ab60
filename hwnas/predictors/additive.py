"""Latency as a sum of table entries, corrected by a few whole networks."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import AdditiveCost, nearest_sum
from hwnas.errors import ArchitectureError, OptionError, TableTargetError
from hwnas.latency_tables import LatencyTable, Target
from hwnas.ops import Workload
from hwnas.predictors.calibrated import Calibration, calibrate, workload_groups
from hwnas.predictors.expectation import sampled_expectation
from hwnas.predictors.intervals import student_quantile
from hwnas.predictors.workload_sums import WorkloadSums
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    import torch

__all__ = ["AdditivePredictor"]

_LEAST_NETWORKS = 3


class AdditivePredictor:
    """Predicts the latency of architectures as a sum over their workloads.

    A network is one runtime call and its workloads, each the measured median of the workload alone
    less a call, times a factor that is estimated on the table's whole networks: one scale for all,
    and where they tell more, one for each kernel size, expansion, resolution (`calibrate`). The
    isolated timings are the prior, so that ten networks are enough. Entries are
    rounded to a power of two (below a thousandth of a millisecond), so that minima, counts, samples
    and expectations agree to the last digit with `predict`. Where the space's workloads are no sums
    over decisions, `predict` sums those of each architecture, and `cost` is the nearest sum.

    Where entries of the table are estimated, intervals are wider by what these are uncertain, as if
    all were wrong in the same direction.

    Attributes:
        name: what messages call it.
        additive: whether `cost` is the prediction itself, as in every space whose workloads are
            sums over decisions.
        estimated: how many of the space's workloads are estimated, not measured.

    Args:
        table: holds every workload of the space.
        space: whose architectures are predicted.
        origin: the space that the table's whole networks belong to; ``space`` if it is the same.

    Raises:
        WorkloadNotInTableError: an entry is missing.
        TableTargetError: the table has no whole networks, or they are of another space.
    """

    name = "the table's predictor"

    def __init__(self, table: LatencyTable, space: SearchSpace, origin: SearchSpace | None = None):
        self.table = table
        self.space = space
        self.calibration = _calibrate(table, space if origin is None else origin)
        self.additive: bool = getattr(space, "additive", True)
        call_ms = table.call.latency_ms
        self._ms: AdditiveCost | WorkloadSums
        if self.additive:
            fixed, entries = _entries(table, space, self.calibration, _alone)
            self._ms = AdditiveCost.from_floats(call_ms + fixed, entries)
        else:
            self._ms = WorkloadSums.of(space, call_ms, self._within(_alone))
        self.estimated = sum(table.spread(w) > 0 for w in space.distinct_workloads)

    @property
    def target(self) -> Target:
        """What the table was measured on."""
        return self.table.target

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the ``target`` that the table was measured on, and such."""
        notes = {"target": str(self.target)}
        if self.estimated:
            notes["estimated"] = f"{self.estimated} of the space's workloads, not measured"
        return notes

    @cached_property
    def cost(self) -> AdditiveCost:
        """The prediction in ms as a sum over decisions; the nearest one if it is not additive."""
        if isinstance(self._ms, AdditiveCost):
            return self._ms
        return nearest_sum(self._ms, self.space.n_choices).cost

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions); fastest of uint8.

        Raises:
            ArchitectureError: they do not belong to the space.
        """
        rows = self.space.rows(archs)
        try:
            return self._ms(rows)
        except IndexError:
            self.space.check(rows)  # says which
            raise

    def predict_interval(self, archs: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Interval (n, 2) in ms that holds the measured latency with this confidence.

        From the spread of the table's whole networks around their predictions (Student's t).

        Raises:
            OptionError: the confidence is not between 0 and 1.
        """
        quantile = self._quantile(confidence)
        ms = self.predict(archs)
        spread_ms = self._spread_of(self.space.check(archs))
        spread = quantile * np.hypot(self._residual, spread_ms / ms)
        return np.stack([ms * np.exp(-spread), ms * np.exp(spread)], axis=1)

    def upper_cost(self, confidence: float) -> AdditiveCost:
        """A cost in ms that no architecture's upper end of `predict_interval` exceeds.

        Equal to the upper end where nothing is estimated, otherwise somewhat above it: what
        estimates are uncertain is added up over decisions.

        Raises:
            OptionError: the confidence is not between 0 and 1, or the prediction is no sum over
                decisions.
        """
        quantile = self._quantile(confidence)
        self._check_additive()
        fixed, spreads = self._spreads
        # hypot(a, b) <= a + b, and exp(q x) <= 1 + steepness x for 0 <= x <= most
        most = max((self.table.spread(w) for w in self.space.distinct_workloads), default=0.0)
        steepness = np.expm1(quantile * most) / most if most > 0 else 0.0
        factor = float(np.exp(quantile * self._residual))
        cost = self.cost
        whole = cost.fixed * cost.unit + steepness * fixed
        rows = [
            steps * cost.unit + steepness * row
            for steps, row in zip(cost.entries, spreads, strict=True)
        ]
        return AdditiveCost.from_floats(factor * whole, [factor * row for row in rows])

    def lower_cost(self, confidence: float) -> AdditiveCost:
        """The lower end of `predict_interval` in ms, as if nothing were estimated.

        Raises:
            OptionError: the confidence is not between 0 and 1, or the prediction is no sum over
                decisions.
        """
        self._check_additive()
        factor = math.exp(-self._quantile(confidence) * self._residual)
        return replace(self.cost, unit=self.cost.unit * factor)

    @property
    def _residual(self) -> float:
        return self.calibration.residual * math.sqrt(1 + 1 / self.calibration.count)

    def _quantile(self, confidence: float) -> float:
        return student_quantile(confidence, self.calibration.count)

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean latency in ms if each decision is drawn from its own distribution; differentiable.

        Sampled where the prediction is no sum over decisions, see `sampled_expectation`.

        Args:
            probabilities: one tensor (n_choices,) a decision.

        Raises:
            OptionError: another number of decisions or choices.
        """
        shapes = [tuple(p.shape) for p in probabilities]
        wanted = [(n,) for n in self.space.n_choices]
        if shapes != wanted:
            raise OptionError(
                f"one tensor of {', '.join(str(n) for (n,) in wanted)} probabilities is needed for "
                f"the {len(wanted)} decisions, got shapes {shapes}"
            )
        if not self.additive:
            return sampled_expectation(self, self.space.n_choices, probabilities)
        return self.cost.expected(probabilities)

    @cached_property
    def _spreads(self) -> tuple[float, list[FloatArray]]:
        return _entries(self.table, self.space, self.calibration, _spread_ms)

    def _spread_of(self, archs: IntArray) -> FloatArray:
        """What the estimates in architectures (n, n_decisions) are uncertain, in ms (n,)."""
        if not self.additive:
            return WorkloadSums.of(self.space, 0.0, self._within(_spread_ms))(archs)
        fixed, entries = self._spreads
        return np.asarray(fixed + sum(row[c] for row, c in zip(entries, archs.T, strict=True)))

    def _within(self, value: Callable[[LatencyTable, Workload], float]) -> Callable[..., float]:
        """A value of a workload alone as within a network."""
        return lambda w: value(self.table, w) * self.calibration.factor(workload_groups(w))

    def _check_additive(self) -> None:
        if not self.additive:
            raise OptionError(
                f"latencies of {self.space.name} are no sums over its decisions, so that no sum "
                "bounds them: take predict_interval"
            )


def _alone(table: LatencyTable, workload: Workload) -> float:
    """Milliseconds of a workload alone, the runtime's call taken off."""
    if workload.op.no_op:
        return 0.0
    return max(table.latency_ms(workload) - table.call.latency_ms, 0.0)


def _spread_ms(table: LatencyTable, workload: Workload) -> float:
    """Standard deviation of the same, in ms; 0 where it was measured."""
    return _alone(table, workload) * table.spread(workload)


def _entries(
    table: LatencyTable,
    space: SearchSpace,
    known: Calibration,
    value: Callable[[LatencyTable, Workload], float],
) -> tuple[float, list[FloatArray]]:
    """Fixed ms, and one array (n_choices,) of ms a decision, each part as within a network."""

    def ms(workloads: Iterable[Workload]) -> float:
        return sum(value(table, w) * known.factor(workload_groups(w)) for w in workloads)

    rows = [
        np.array([ms(space.choice_workloads(d, c)) for c in range(n)])
        for d, n in enumerate(space.n_choices)
    ]
    return ms(space.fixed_workloads), rows


def _calibrate(table: LatencyTable, origin: SearchSpace) -> Calibration:
    """From sums to wholes, and the leave-one-out error."""
    if len(table.networks) < _LEAST_NETWORKS:
        raise TableTargetError(
            f"a predictor needs {_LEAST_NETWORKS} whole networks in the table to know how far sums "
            f"are off, got {len(table.networks)}: profile the device again"
        )
    try:
        archs = np.stack([origin.parse(text) for text in table.networks])
    except ArchitectureError as error:
        raise TableTargetError(f"the table's networks are of another space: {error}") from None
    parts: list[Mapping[Hashable, float]] = []
    sums = []
    for arch in archs:
        row: Counter[Hashable] = Counter()
        alone = [(workload, _alone(table, workload)) for workload in origin.workloads(arch)]
        for workload, ms in alone:
            row.update(dict.fromkeys(workload_groups(workload), ms))
        parts.append(row)
        sums.append(sum(ms for _, ms in alone))
    call_ms = table.call.latency_ms
    wholes = [entry.latency_ms - call_ms for entry in table.networks.values()]
    known = calibrate(parts, sums, wholes)
    transfer = table.provenance.transfer
    if transfer is None:
        return known
    # the fit has seen these networks; its own error left them out
    return replace(known, residual=max(known.residual, transfer.residual))
