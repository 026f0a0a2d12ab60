"""Which single path the supernet trains at a step.

A sampler keeps no state: the path of a step follows from its seed and the step alone, so that a
resumed training draws what an undisturbed one would have drawn.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from hwnas.costs import AdditiveCost, Constraint, FeasibleRegion, FeasibleSet
from hwnas.errors import InfeasibleBudgetError, OptionError
from hwnas.spaces import SearchSpace

__all__ = [
    "SAMPLERS",
    "BalancedSampler",
    "ConstraintSampler",
    "FeasibleSampler",
    "PathSampler",
    "ProbabilitySampler",
    "SamplerKind",
    "UniformSampler",
    "make_sampler",
]

SamplerKind = Literal["uniform", "constraint"]
SAMPLERS: tuple[SamplerKind, ...] = ("uniform", "constraint")

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


class ConstraintSampler:
    """Uniform over a constraint: a bin of a cost, then a path in it (Single Path One-Shot, 3.2).

    Uniform paths crowd around the middle of a cost; this trains cheap and dear ones as often. Both
    draws are exactly uniform, without rejection where the cost is exact (`FeasibleRegion.exact`).

    Args:
        cost: what is constrained, such as ``space.cost("macs")`` or a predictor's ``cost``.
        edges: of the bins, rising, in the unit of the cost; a bin holds what costs more than its
            lower and at most its upper edge. Bins in which there is no architecture are left out.
        seed: of the draws.

    Attributes:
        bins: the (lower, upper) edges that are drawn from.

    Raises:
        OptionError: the edges do not rise.
        InfeasibleBudgetError: no bin holds an architecture.
    """

    def __init__(self, cost: AdditiveCost, edges: Sequence[float], *, seed: int):
        if len(edges) < 2 or any(not low < high for low, high in pairwise(edges)):
            raise OptionError(f"bins need two edges or more that rise, got {list(edges)}")
        self.seed = seed
        self.bins: list[tuple[float, float]] = []
        self._bands: list[FeasibleRegion] = []
        whole = cost.within(edges[-1])
        for low, high in pairwise(edges):
            try:
                self._bands.append(whole.band(low, high))
                self.bins.append((low, high))
            except InfeasibleBudgetError:
                continue
        if not self.bins:
            raise InfeasibleBudgetError(
                f"no architecture costs between {edges[0]:g} and {edges[-1]:g}: the least is "
                f"{cost.minimum()[1]:g} and the most {cost.maximum()[1]:g}; give bins, or a "
                "budget, between them"
            )

    def sample(self, step: int) -> npt.NDArray[np.int64]:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, _STREAM, step])
        return self._bands[rng.integers(len(self._bands))].sample(1, rng).reshape(-1)


def make_sampler(
    kind: SamplerKind,
    space: SearchSpace,
    constraint: Constraint,
    edges: Sequence[float] | None = None,
    *,
    seed: int,
) -> PathSampler:
    """The sampler of a search's supernet.

    Args:
        kind: ``uniform`` over the choices, or over bins of a ``constraint``.
        space: what paths belong to.
        constraint: a budget and its cost, which bins are of.
        edges: of the bins, in the unit of the cost; by default the paper's 290 to 360 in steps of
            10, where its budget of 330 is this budget.
        seed: of the draws.

    Raises:
        OptionError: unknown kind, or edges that do not rise.
        InfeasibleBudgetError: no bin holds an architecture.
    """
    if kind not in SAMPLERS:
        raise OptionError(f"a path sampler is one of {', '.join(SAMPLERS)}, got {kind!r}")
    if kind == "uniform":
        return UniformSampler(space, seed=seed)
    if edges is None:
        edges = [constraint.budget.limit * edge / 330 for edge in range(290, 361, 10)]
    return ConstraintSampler(constraint.cost, edges, seed=seed)


class BalancedSampler:
    """Every active choice of every decision equally often (BetaNAS, eq. 2).

    Each decision goes through its active choices in an order that is shuffled anew each time round,
    independently of the others: each draw is uniform, and counts never differ by more than one
    until another choice dies.

    Args:
        active: bool (n_decisions, most choices), at least one a row.
        seed: of the orders.
    """

    def __init__(self, active: npt.NDArray[np.bool_], *, seed: int):
        self.seed = seed
        self._living = [np.flatnonzero(row) for row in active]

    def sample(self, step: int) -> npt.NDArray[np.int64]:
        """The path of a step, int64 (n_decisions,)."""
        return np.array([self._choice(d, step) for d in range(len(self._living))], np.int64)

    def _choice(self, decision: int, step: int) -> int:
        active = self._living[decision]
        turn, position = divmod(step, len(active))
        rng = np.random.default_rng([self.seed, _STREAM, decision, turn])
        return int(rng.permutation(active)[position])


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
