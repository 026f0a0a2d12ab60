"""Sums over the workloads of architectures, for spaces where these are no sums over decisions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.ops import Workload
from hwnas.spaces.architectures import checked_rows
from hwnas.spaces.layout import Layout

__all__ = ["WorkloadSums"]


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadSums:
    """``fixed`` and, for each execution of a workload in an architecture, its value.

    Attributes:
        space: the name of the architectures' space, for messages.
        layout: of the space.
        fixed: what every architecture has.
        values: of each candidate of each slot; 0 for what costs nothing.
    """

    space: str
    layout: Layout
    fixed: float
    values: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls, space: str, layout: Layout, fixed: float, of_workload: Mapping[Workload, float]
    ) -> "WorkloadSums":
        """The sums of the values of workloads, 0 for those that have none."""
        values = tuple(
            tuple(of_workload.get(workload, 0.0) for workload in slot.workloads)
            for slot in layout.slots
        )
        return cls(space, layout, fixed, values)

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Sums (n,) of architectures (n, n_decisions)."""
        rows = checked_rows(archs, self.space, self.layout.decisions)
        return np.array([self._sum(arch) for arch in rows.tolist()], np.float64)

    def _sum(self, arch: list[int]) -> float:
        path = self.layout.path(arch)
        used = zip(self.values, path, strict=True)
        return sum((values[at] for values, at in used if at is not None), self.fixed)
