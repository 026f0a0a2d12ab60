"""Which single path the supernet trains at a step.

A sampler keeps no state: the path of a step follows from its seed and the step alone, so that a
resumed training draws what an undisturbed one would have drawn.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwnas.costs import FeasibleSet
from hwnas.spaces import SearchSpace

__all__ = ["FeasibleSampler", "PathSampler", "UniformSampler"]

_STREAM = 3  # keeps these draws apart from others of the same seed


class PathSampler(Protocol):
    """Chooses the architecture that a training step runs."""

    def sample(self, step: int) -> npt.NDArray[np.int64]:
        """The path of a step, int64 (n_decisions,); the same for the same step, always."""
        ...


class UniformSampler:
    """Every choice of every decision with equal probability (Single Path One-Shot, section 3.2)."""

    def __init__(self, space: SearchSpace, *, seed: int):
        self.space = space
        self.seed = seed

    def sample(self, step: int) -> npt.NDArray[np.int64]:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, _STREAM, step])
        return self.space.sample(1, seed=rng).reshape(-1)


class FeasibleSampler:
    """Every architecture that keeps the budgets with equal probability."""

    def __init__(self, feasible: FeasibleSet, *, seed: int):
        self.feasible = feasible
        self.seed = seed

    def sample(self, step: int) -> npt.NDArray[np.int64]:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, _STREAM, step])
        return self.feasible.sample(1, rng).reshape(-1)
