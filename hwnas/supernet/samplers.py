"""Which single path the supernet trains at a step.

A sampler keeps no state: the path of a step follows from its seed and the step alone, so that a
resumed training draws what an undisturbed one would have drawn.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwnas.costs import FeasibleSet
from hwnas.spaces import SearchSpace

__all__ = [
    "BalancedSampler",
    "FeasibleSampler",
    "PathSampler",
    "ProbabilitySampler",
    "UniformSampler",
]

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


class BalancedSampler:
    """Every living choice of every decision equally often (BetaNAS, eq. 2).

    Each decision goes through its living choices in an order that is shuffled anew each time round,
    independently of the others: each draw is uniform, and counts never differ by more than one
    until another choice dies.

    Args:
        alive: bool (n_decisions, most choices), at least one a row.
        seed: of the orders.
    """

    def __init__(self, alive: npt.NDArray[np.bool_], *, seed: int):
        self.seed = seed
        self._living = [np.flatnonzero(row) for row in alive]

    def sample(self, step: int) -> npt.NDArray[np.int64]:
        """The path of a step, int64 (n_decisions,)."""
        return np.array([self._choice(d, step) for d in range(len(self._living))], np.int64)

    def _choice(self, decision: int, step: int) -> int:
        living = self._living[decision]
        turn, position = divmod(step, len(living))
        rng = np.random.default_rng([self.seed, _STREAM, decision, turn])
        return int(rng.permutation(living)[position])


class ProbabilitySampler:
    """Every decision drawn from its own distribution (BetaNAS, eq. 3).

    Args:
        probabilities: (n_decisions, most choices), each row adding up to 1.
        seed: of the draws.
        stream: keeps draws of the same seed apart that must not be equal.
    """

    def __init__(self, probabilities: npt.NDArray[np.float64], *, seed: int, stream: int = _STREAM):
        self.seed = seed
        self._stream = stream
        self._below = probabilities.cumsum(axis=1)
        self._below /= self._below[:, -1:]

    def sample(self, step: int) -> npt.NDArray[np.int64]:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, self._stream, step])
        tickets = rng.random((len(self._below), 1))
        path: npt.NDArray[np.int64] = (self._below <= tickets).sum(axis=1)
        return path
