"""Latencies of a search space's networks on a V100 that is not here."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, cached_property
from math import hypot

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.costs import AdditiveCost, nearest_sum
from hwnas.errors import OptionError
from hwnas.kernels import FusedKernel, fused_graph
from hwnas.latency_tables import Estimate, LatencyTable, Measurement, Provenance, SpaceRecord
from hwnas.ops import Workload
from hwnas.predictors.additive import AdditivePredictor
from hwnas.predictors.calibrated import Calibration
from hwnas.predictors.parts import SlotLatency
from hwnas.predictors.tensorrt.cells import FusedCells
from hwnas.predictors.tensorrt.convolutions import ConvolutionTimes
from hwnas.predictors.tensorrt.engines import SOURCE, Engine
from hwnas.predictors.tensorrt.networks import (
    PUBLISHED_COUNT,
    PUBLISHED_SPREAD,
    EngineTimes,
    KernelTime,
    relative_spread,
)
from hwnas.spaces import SearchSpace
from hwnas.version import __version__

__all__ = ["EnginePredictor", "engine_table", "engine_times"]

#: Whole networks that are fused: sums of workloads are exact where each reads the one before it,
#: and are corrected elsewhere, since sums and activations between workloads are fused as well.
_CHECKED, _CORRECTED = 3, 24
#: A call of the runtime costs nothing: launches are in the times of kernels.
_NOTHING_MS = 1e-9


@cache
def engine_times(engine: Engine) -> EngineTimes:
    """The times of an engine whose convolutions ship."""
    return EngineTimes(engine, ConvolutionTimes.load(engine.precision))


def engine_table(space: SearchSpace, times: EngineTimes) -> LatencyTable:
    """The workloads of a space as estimates, none of them measured.

    Its networks, of which calibrations and transfers learn how far sums are off, are whole networks
    as `fused_graph` fuses them.

    Raises:
        OptionError: the space has few-bit weights, and the engine no integers.
    """
    engine = times.engine
    if space.quantised and engine.precision != "int8":
        raise OptionError(
            f"{space.name} has weights and activations of 1 to 4 bits, which run as int8 kernels: "
            f"take {replace(engine, precision='int8').name}, got {engine.name}"
        )
    parts = {w: fused_graph(w.graph()).kernels for w in space.distinct_workloads}
    archs = _some(space)
    wholes = [fused_graph(space.graph(arch)).kernels for arch in archs]
    times([kernel for kernels in (*parts.values(), *wholes) for kernel in kernels])  # all at once
    networks = {
        space.format(arch): _exactly(_total_ms(times(kernels)))
        for arch, kernels in zip(archs, wholes, strict=True)
    }
    estimates = {}
    for workload, kernels in parts.items():
        known = times(kernels)
        estimates[workload.key] = Estimate(
            max(_total_ms(known), _NOTHING_MS), relative_spread(known)
        )
    return LatencyTable(
        engine.target,
        SpaceRecord(space.name, dict(space.arguments)),
        next(iter(networks.values())).latency_ms,
        (next(iter(networks.values())).latency_ms,),
        _exactly(_NOTHING_MS),
        {},
        networks,
        Provenance(__version__, "", 0.0, SOURCE, ""),
        estimates,
    )


class EnginePredictor(AdditivePredictor):
    """Predicts networks of a space on a V100 through TensorRT, from measurements of others.

    A network is the sum of its workloads, each the sum of the kernels that TensorRT makes of it.
    Where each workload reads the one before it, sums are exact: what `hwnas predict` says of the
    network's ONNX model. Cells fuse sums and activations across workloads. Those whose edges are
    the decisions are fused whole (`FusedCells`); for others a scale and factors of groups are
    fitted to some whole networks. Intervals hold how far whole networks that others published are
    off, see `PUBLISHED_SPREAD`.

    Args:
        times: of the engine.
        space: whose architectures are predicted.
    """

    def __init__(self, times: EngineTimes, space: SearchSpace):
        self.times = times
        self.name = times.engine.name
        super().__init__(engine_table(space, times), space)

    def _calibrate_by(self, known: Calibration) -> None:
        whole = self.space.may_be_cut  # networks are then fused whole
        residual = hypot(0.0 if whole else known.residual, PUBLISHED_SPREAD)
        super()._calibrate_by(replace(known, residual=residual, count=PUBLISHED_COUNT))
        if whole:
            self._sums_of_operators = self._ms
            self._ms = FusedCells(self.space, self.times)

    @cached_property
    def cost(self) -> AdditiveCost:
        """The prediction in ms as a sum over decisions; a sum near to it where it is not additive.

        Of cells of edges it is the one nearest to the sums of operators, which take no time.
        """
        if not self.space.may_be_cut:
            return super().cost
        return nearest_sum(self._sums_of_operators, self.space.n_choices).cost

    def by_slot(self, arch: npt.ArrayLike) -> list[SlotLatency | None]:
        """See `AdditivePredictor.by_slot`; a kernel that sums are fused into is its operator's."""
        if not self.space.may_be_cut:
            return super().by_slot(arch)
        names = [slot.name for slot in self.space.layout.slots]
        kernels: dict[str, list[FusedKernel]] = {}
        for kernel in fused_graph(self.space.graph(self.space.live(arch))).kernels:
            slot = next((name for name in names if kernel.name.startswith(f"{name}.")), "")
            kernels.setdefault(slot, []).append(kernel)
        return [_together(self.times(kernels.get(name, []))) for name in names]

    @property
    def notes(self) -> Mapping[str, str]:  # type: ignore[override] # read, never written
        """What a reader should know: the target, where times come from, and what is a guess."""
        notes = {"target": str(self.target), "source": SOURCE}
        reasons = self.unmeasured
        if reasons:
            count = sum(reasons.values())
            some = "; ".join(f"{reason} ({n})" for reason, n in reasons.most_common(3))
            notes["not measured there"] = (
                f"{count} kernels of the space's {len(self.space.distinct_workloads)} workloads: "
                f"{some}"
            )
        return notes

    @cached_property
    def unmeasured(self) -> Counter[str]:
        """Why kernels of the space are less sure than others -> how many are."""
        found: Counter[str] = Counter()
        for workload in self.space.distinct_workloads:
            found.update(time.note for time in self.times(_kernels(workload)) if time.note)
        return found


def _kernels(workload: Workload) -> tuple[FusedKernel, ...]:
    return fused_graph(workload.graph()).kernels


def _some(space: SearchSpace) -> IntArray:
    """Different architectures that are connected, without what no runtime runs."""
    wanted = _CHECKED if space.layout.sequential else _CORRECTED
    archs = space.sample(8 * wanted, seed=0)
    archs = space.live(archs[space.connected(archs)])
    _, first = np.unique(archs, axis=0, return_index=True)
    some: IntArray = archs[np.sort(first)[:wanted]]
    return some


def _total_ms(times: list[KernelTime]) -> float:
    return sum(time.ms for time in times if time.ms is not None)


def _together(times: list[KernelTime]) -> SlotLatency | None:
    ms = _total_ms(times)
    return SlotLatency(ms, ms * relative_spread(times), measured=False) if times else None


def _exactly(ms: float) -> Measurement:
    return Measurement(ms, 0.0, ms, ms, 1)
