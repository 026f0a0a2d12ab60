"""A table's workloads, and its whole networks as sums of them: what is calibrated."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hwnas.arrays import IntArray
from hwnas.errors import ArchitectureError, TableTargetError
from hwnas.latency_tables import LatencyTable
from hwnas.ops import Workload
from hwnas.predictors.calibrated import Calibration, workload_groups
from hwnas.predictors.intervals import NORMAL_95
from hwnas.predictors.joins import JOINS, MAPS, JoinedBytes
from hwnas.spaces import SearchSpace

__all__ = ["Alone", "Networks", "Part", "SlotLatency"]

_LEAST_NETWORKS = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One workload alone.

    Attributes:
        ms: milliseconds, the runtime's call taken off.
        spread_ms: standard deviation of the same; 0 where it was measured.
        groups: what it shares with others.
    """

    ms: float
    spread_ms: float
    groups: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class SlotLatency:
    """What runs in one slot of a network.

    Attributes:
        ms: milliseconds within the network.
        spread_ms: standard deviation of the same, from the table's entry alone.
        measured: whether that entry was measured; it is estimated else.
    """

    ms: float
    spread_ms: float
    measured: bool


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """The workloads of a table, each looked up once: networks share most of theirs."""

    table: LatencyTable
    _known: dict[Workload, Part] = field(default_factory=dict)

    def __getitem__(self, workload: Workload) -> Part:
        """The workload alone.

        Raises:
            WorkloadNotInTableError: it is neither measured nor estimated.
        """
        found = self._known.get(workload)
        if found is None:
            found = self._known[workload] = _part(self.table, workload)
        return found

    def in_slot(self, workload: Workload, calibration: Calibration) -> SlotLatency | None:
        """The workload within a network; None where no kernel runs for it.

        Raises:
            WorkloadNotInTableError: it is neither measured nor estimated.
        """
        if workload.op.no_op:
            return None
        part = self[workload]
        ms = part.ms * calibration.factor(part.groups)
        entry = self.table.workloads.get(workload.key)
        if entry is None:
            return SlotLatency(ms, ms * self.table.spread(workload), measured=False)
        return SlotLatency(ms, ms * entry.relative_error / NORMAL_95, measured=True)


def _part(table: LatencyTable, workload: Workload) -> Part:
    groups = tuple(dict.fromkeys(workload_groups(workload)))
    if workload.op.no_op:
        return Part(0.0, 0.0, groups)
    ms = max(table.latency_ms(workload) - table.call.latency_ms, 0.0)
    return Part(ms, ms * table.spread(workload), groups)


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The whole networks of a table beside their workloads.

    Attributes:
        archs: (n, n_decisions).
        parts: for each network its milliseconds by group; a workload counts in all its groups.
        sums: ms, (n,), each workload counted once.
        wholes: ms, (n,), measured, the runtime's call taken off.
        join_ms: of a byte that the joins of each group move, by group, so that they take as long
            as all workloads: what the factor of the group, whose prior is 0, is to be multiplied
            by. Without a group that nothing is joined in.
    """

    archs: IntArray
    parts: list[Mapping[Hashable, float]]
    sums: list[float]
    wholes: list[float]
    join_ms: Mapping[Hashable, float]

    @classmethod
    def of(cls, alone: Alone, origin: SearchSpace) -> "Networks":
        """Those of a table that was profiled with the space ``origin``.

        Raises:
            TableTargetError: too few, or of another space.
            WorkloadNotInTableError: they have workloads that the table lacks.
        """
        table = alone.table
        if len(table.networks) < _LEAST_NETWORKS:
            raise TableTargetError(
                f"a predictor needs {_LEAST_NETWORKS} whole networks in the table to know how far "
                f"sums are off, got {len(table.networks)}: profile the device again"
            )
        try:
            archs = np.stack([origin.parse(text) for text in table.networks])
        except ArchitectureError as error:
            raise TableTargetError(f"the table's networks are of another space: {error}") from None
        rows: list[Mapping[Hashable, float]] = []
        sums = []
        for arch in origin.executed(archs):
            row: dict[Hashable, float] = {}
            found = [alone[workload] for workload in origin.workloads(arch)]
            for part in found:
                for group in part.groups:
                    row[group] = row.get(group, 0.0) + part.ms
            rows.append(row)
            sums.append(sum(part.ms for part in found))
        call_ms = table.call.latency_ms
        wholes = [m.latency_ms - call_ms for m in table.networks.values()]
        join_ms: dict[Hashable, float] = {}
        for group, joined in zip((JOINS, MAPS), JoinedBytes(origin)(archs).T, strict=True):
            per_byte = float(np.mean(sums) / joined.mean()) if joined.any() else 0.0
            if per_byte > 0:
                join_ms[group] = per_byte
                every = zip(rows, joined, strict=True)
                rows = [{**row, group: per_byte * float(moved)} for row, moved in every]
        return cls(archs, rows, sums, wholes, join_ms)
