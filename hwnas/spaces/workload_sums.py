"""Sums over the workloads of architectures, for spaces where these are no sums over decisions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.ops import Workload

if TYPE_CHECKING:
    from hwnas.spaces.space import SearchSpace

__all__ = ["WorkloadSums"]


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadSums:
    """``fixed`` and, for each execution of a workload in an architecture, its value.

    Attributes:
        space: of the architectures.
        fixed: what every architecture has.
        values: of each candidate of each slot; 0 for what costs nothing.
    """

    space: "SearchSpace"
    fixed: float
    values: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls, space: "SearchSpace", fixed: float, value: Callable[[Workload], float]
    ) -> "WorkloadSums":
        """The sums of a function of workloads, asked once for each that costs time."""
        known = {workload: value(workload) for workload in space.distinct_workloads}
        slots = space.layout.slots
        return cls(
            space, fixed, tuple(tuple(known.get(w, 0.0) for w in s.workloads) for s in slots)
        )

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Sums (n,) of architectures (n, n_decisions)."""
        return np.array([self._sum(arch) for arch in self.space.check(archs).tolist()], np.float64)

    def _sum(self, arch: list[int]) -> float:
        path = self.space.layout.path(arch)
        used = zip(self.values, path, strict=True)
        return sum((values[at] for values, at in used if at is not None), self.fixed)
