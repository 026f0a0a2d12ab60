"""Latency as a sum of table entries, corrected by a few whole networks."""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import AdditiveCost, nearest_sum
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable, Target, percentile_factor
from hwnas.ops import Workload
from hwnas.predictors.calibrated import Calibration, calibrate, calibrate_without_each
from hwnas.predictors.expectation import sampled_expectation
from hwnas.predictors.intervals import student_quantile
from hwnas.predictors.joins import JOINS, MAPS, JoinedBytes
from hwnas.predictors.live_sums import LiveSums
from hwnas.predictors.parts import Alone, Networks, Part, SlotLatency
from hwnas.spaces import SearchSpace
from hwnas.spaces.workload_sums import WorkloadSums

if TYPE_CHECKING:
    import torch

__all__ = ["AdditivePredictor"]

#: Architectures whose intervals are computed at once.
_ROWS = 2**17


class AdditivePredictor:
    """Predicts the latency of architectures as a sum over their workloads.

    A network is one runtime call and its workloads, each the measured median of the workload alone
    less a call, times a factor that is estimated on the table's whole networks: one scale for all,
    and where they tell more, one for each kernel size, expansion, resolution (`calibrate`). The
    isolated timings are the prior, so that ten networks are enough. Entries are
    rounded to a power of two (below a thousandth of a millisecond), so that minima, counts, samples
    and expectations agree to the last digit with `predict`. Where the space's workloads are no sums
    over decisions, `predict` sums those of each architecture, and `cost` is the nearest sum; so it
    is in cells of edges, where dead and repeated operators cost nothing. Sums and concatenations
    between workloads (`JoinedBytes`) have factors of their own, 0 unless the networks say
    otherwise.

    Where entries of the table are estimated, intervals are wider by what these are uncertain, as if
    all were wrong in the same direction.

    Attributes:
        name: what messages call it.
        additive: whether `cost` is the prediction itself, as in every space whose workloads are
            sums over decisions and all run.
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
        self.additive: bool = space.additive and not space.may_be_cut
        self._alone = Alone(table)
        self._joined = JoinedBytes(space)
        self._networks = Networks.of(self._alone, space if origin is None else origin)
        known = self._networks
        self._calibrate_by(calibrate(known.parts, known.sums, known.wholes))
        self.estimated = sum(table.spread(w) > 0 for w in space.distinct_workloads)

    def without_each_network(self) -> Iterator["AdditivePredictor"]:
        """Predictors of the table without its first network, without its second, and so on."""
        known = self._networks
        for calibration in calibrate_without_each(known.parts, known.sums, known.wholes):
            other = copy(self)
            other.__dict__.pop("cost", None)
            other.__dict__.pop("_spreads", None)
            other._calibrate_by(calibration)
            yield other

    def _calibrate_by(self, known: Calibration) -> None:
        transfer = self.table.provenance.transfer
        if transfer is not None:
            # the fit has seen these networks; its own error left them out
            known = replace(known, residual=max(known.residual, transfer.residual))
        self.calibration = known
        fixed = self.table.call.latency_ms
        self._ms: Callable[[npt.ArrayLike], FloatArray]
        if self.space.may_be_cut:
            within, entries = self._entries(_ms)
            cost = AdditiveCost.from_floats(fixed + within, entries)
            self._ms = LiveSums(self.space, cost, self._joins)
        elif self.additive:
            within, entries = self._entries(_ms)
            self._ms = AdditiveCost.from_floats(fixed + within + self._joined_always(), entries)
        else:
            self._ms = self._sums(fixed + self._joined_always(), _ms)

    def _joins(self, archs: IntArray) -> FloatArray:
        """What the joins of architectures (n, n_decisions) take, in ms (n,)."""
        deltas, join_ms = self.calibration.deltas, self._networks.join_ms
        per_byte = [deltas.get(group, 0.0) * join_ms.get(group, 0.0) for group in (JOINS, MAPS)]
        ms: FloatArray = self.calibration.scale * (self._joined(archs) @ np.array(per_byte))
        return ms

    def _joined_always(self) -> float:
        """The same of any architecture, where all join as much."""
        return float(self._joins(np.zeros((1, len(self.space.n_choices)), np.int64))[0])

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
        rows = self.space.rows(archs)
        interval = np.empty((len(rows), 2))
        for start in range(0, len(rows), _ROWS):  # as integers of 8 bytes, all are many times more
            part = rows[start : start + _ROWS]
            ms = self.predict(part)
            spread_ms = self._spread_of(self.space.check(part))
            spread = quantile * np.hypot(self._residual, spread_ms / ms)
            interval[start : start + _ROWS, 0] = ms * np.exp(-spread)
            interval[start : start + _ROWS, 1] = ms * np.exp(spread)
        return interval

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

    def percentile_factor(self, percentile: float) -> float:
        """A percentile of runs by the clock, over the predicted latency.

        As the table's whole networks spread within their profile; what slows the machine as a whole
        for seconds is not in it.
        """
        return percentile_factor(self.table.networks.values(), percentile)

    def by_slot(self, arch: npt.ArrayLike) -> list[SlotLatency | None]:
        """What one architecture runs in each slot of its layout; None where it runs nothing.

        The rest of `predict` is the runtime's call, and what joins slots.
        """
        (row,) = self.space.executed(arch).tolist()
        slots, path = self.space.layout.slots, self.space.layout.path(row)
        return [
            None if at is None else self._alone.in_slot(slot.workloads[at], self.calibration)
            for slot, at in zip(slots, path, strict=True)
        ]

    @property
    def _residual(self) -> float:
        return self.calibration.residual * math.sqrt(1 + 1 / self.calibration.count)

    def _quantile(self, confidence: float) -> float:
        return student_quantile(confidence, self.calibration.count)

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean latency in ms if each decision is drawn from its own distribution; differentiable.

        Sampled where the prediction is no sum over decisions, see `sampled_expectation`.

        Args:
            probabilities: one tensor (n_choices,) a decision, not negative, each with sum 1.

        Raises:
            OptionError: another number of decisions or choices, or no probabilities.
        """
        if not self.additive:
            return sampled_expectation(self, self.space.n_choices, probabilities)
        return self.cost.expected(probabilities)

    @cached_property
    def _spreads(self) -> tuple[float, list[FloatArray]]:
        return self._entries(_spread_ms)

    def _spread_of(self, archs: IntArray) -> FloatArray:
        """What the estimates in architectures (n, n_decisions) are uncertain, in ms (n,)."""
        if not self.estimated:
            return np.zeros(len(archs))
        if not self.space.additive:
            return self._sums(0.0, _spread_ms)(archs)
        fixed, entries = self._spreads
        columns = self.space.executed(archs).T
        return np.asarray(fixed + sum(row[c] for row, c in zip(entries, columns, strict=True)))

    def _sums(self, fixed: float, value: Callable[[Part], float]) -> WorkloadSums:
        """Sums over the workloads of architectures, each as within a network."""
        space, within = self.space, self._within(value)
        return WorkloadSums.of(space.name, space.layout, space.distinct_workloads, fixed, within)

    def _within(self, value: Callable[[Part], float]) -> Callable[[Workload], float]:
        """A value of a workload alone as within a network."""

        def within(workload: Workload) -> float:
            part = self._alone[workload]
            return value(part) * self.calibration.factor(part.groups)

        return within

    def _entries(self, value: Callable[[Part], float]) -> tuple[float, list[FloatArray]]:
        """Fixed ms, and one array (n_choices,) of ms a decision, each part as within a network."""
        fixed, rows = self.space.sums_of(self._within(value))
        return fixed, [np.array(row, np.float64) for row in rows]

    def _check_additive(self) -> None:
        if not self.additive:
            raise OptionError(
                f"latencies of {self.space.name} are no sums over its decisions, so that no sum "
                "bounds them: take predict_interval"
            )


def _ms(part: Part) -> float:
    return part.ms


def _spread_ms(part: Part) -> float:
    return part.spread_ms
