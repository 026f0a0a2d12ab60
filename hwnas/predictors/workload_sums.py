"""Sums over the workloads of architectures, for spaces where these are no sums over decisions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.ops import Workload
from hwnas.spaces import SearchSpace

__all__ = ["WorkloadSums"]


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadSums:
    """``fixed`` and, for each execution of a workload in an architecture, its value.

    Attributes:
        space: of the architectures.
        fixed: what every architecture has.
        values: of every workload of the space that costs time.
    """

    space: SearchSpace
    fixed: float
    values: Mapping[Workload, float]

    @classmethod
    def of(
        cls, space: SearchSpace, fixed: float, value: Callable[[Workload], float]
    ) -> "WorkloadSums":
        """The sums of a function of workloads, asked once for each of the space."""
        return cls(space, fixed, {w: value(w) for w in space.distinct_workloads})

    def __call__(self, archs: npt.ArrayLike) -> FloatArray:
        """Sums (n,) of architectures (n, n_decisions)."""
        return np.array(
            [
                self.fixed + sum(self.values.get(w, 0.0) for w in self.space.workloads(arch))
                for arch in np.asarray(archs)
            ],
            np.float64,
        )
