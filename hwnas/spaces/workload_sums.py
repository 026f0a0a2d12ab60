"""Sums over the workloads of architectures, for spaces where these are no sums over decisions."""

from collections.abc import Callable, Iterable
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
        space: its name, for messages.
        layout: of the architectures.
        fixed: what every architecture has.
        values: of each candidate of each slot; 0 for what costs nothing.
    """

    space: str
    layout: Layout
    fixed: float
    values: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls,
        space: str,
        layout: Layout,
        workloads: Iterable[Workload],
        fixed: float,
        value: Callable[[Workload], float],
    ) -> "WorkloadSums":
        """The sums of a function of workloads, asked once for each of those that cost time."""
        known = {workload: value(workload) for workload in workloads}
        return cls(
            space,
            layout,
            fixed,
            tuple(tuple(known.get(w, 0.0) for w in slot.workloads) for slot in layout.slots),
        )

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Sums (n,) of architectures (n, n_decisions).

        Raises:
            ArchitectureError: they do not belong to the space.
        """
        rows = checked_rows(archs, self.space, self.layout.decisions)
        return np.array([self._sum(arch) for arch in rows.tolist()], np.float64)

    def _sum(self, arch: list[int]) -> float:
        used = zip(self.values, self.layout.path(arch), strict=True)
        return sum((values[at] for values, at in used if at is not None), self.fixed)
