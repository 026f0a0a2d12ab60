"""Which single path the supernet trains at a step.

The path of a step follows from the sampler's seed, the step and, where it learns, its state, so
that a resumed training draws what an undisturbed one would have drawn.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs import Constraint, FeasibleSet
from hwnas.errors import OptionError
from hwnas.spaces import SearchSpace
from hwnas.supernet.bins import ConstraintSampler
from hwnas.supernet.kinds import SAMPLERS, SamplerKind
from hwnas.supernet.proportional import ProportionalSampler

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BalancedSampler",
    "ConstraintSampler",
    "FeasibleSampler",
    "LearningSampler",
    "PathSampler",
    "PoolSampler",
    "ProbabilitySampler",
    "UniformSampler",
    "make_sampler",
    "sampler_state",
    "tell_sampler",
]

_STREAM = 3  # keeps these draws apart from others of the same seed


class PathSampler(Protocol):
    """Chooses the architecture that a training step runs.

    The path of a step follows from seed, step and state. Most samplers have no state; one that
    learns is a `LearningSampler`.
    """

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,); the same for the same step and state."""
        ...


@runtime_checkable
class LearningSampler(PathSampler, Protocol):
    """A path sampler whose draws depend on what training told it."""

    @property
    def state(self) -> "Mapping[str, Tensor]":
        """All that draws depend on beside seed and step, by name.

        A checkpoint stores these tensors, and a resumed training copies the stored values into
        them: `sample` reads them at each call, and `update` changes them in place.
        """
        ...

    def update(self, step: int, arch: IntArray, loss: float) -> None:
        """Told after each step: its path (n_decisions,) and its training loss in nats."""
        ...


def sampler_state(sampler: PathSampler) -> "dict[str, Tensor]":
    """The tensors of a sampler that belong into a checkpoint, as ``sampler NAME``; often none."""
    if not isinstance(sampler, LearningSampler):
        return {}
    return {f"sampler {name}": tensor for name, tensor in sampler.state.items()}


def tell_sampler(sampler: PathSampler, step: int, arch: IntArray, loss: float) -> None:
    """Tell a sampler that learns what a step gave; others need not know."""
    if isinstance(sampler, LearningSampler):
        sampler.update(step, arch, loss)


class UniformSampler:
    """Every choice of every decision with equal probability (Single Path One-Shot, section 3.2)."""

    def __init__(self, space: SearchSpace, *, seed: int):
        self.space = space
        self.seed = seed

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, _STREAM, step])
        return self.space.sample(1, seed=rng).reshape(-1)


class FeasibleSampler:
    """Every architecture that keeps the budgets with equal probability."""

    def __init__(self, feasible: FeasibleSet, *, seed: int):
        self.feasible = feasible
        self.seed = seed

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, _STREAM, step])
        return self.feasible.sample(1, rng).reshape(-1)


def make_sampler(
    kind: SamplerKind,
    space: SearchSpace,
    constraint: Constraint,
    edges: Sequence[float] | None = None,
    *,
    seed: int,
    feasible: FeasibleSet | None = None,
) -> PathSampler:
    """The sampler of a search's supernet.

    Args:
        kind: ``uniform`` over the choices; ``balanced``, each choice equally often;
            ``proportional`` to size; uniform over bins of a ``constraint``, or over all that is
            ``feasible``.
        space: what paths belong to.
        constraint: a budget and its cost, which bins are of.
        edges: of the bins, in the unit of the cost; by default the paper's 290 to 360 in steps of
            10, where its budget of 330 is this budget.
        seed: of the draws.
        feasible: what keeps all budgets; by default what keeps the constraint.

    Raises:
        OptionError: unknown kind, or edges that do not rise.
        InfeasibleBudgetError: no bin, or nothing at all, holds an architecture.
    """
    if kind not in SAMPLERS:
        raise OptionError(f"a path sampler is one of {', '.join(SAMPLERS)}, got {kind!r}")
    if kind == "uniform":
        return UniformSampler(space, seed=seed)
    if kind == "balanced":
        most = max(space.n_choices)
        return BalancedSampler(np.arange(most) < np.array(space.n_choices)[:, None], seed=seed)
    if kind == "proportional":
        return ProportionalSampler(space, seed=seed)
    if kind == "feasible":
        return FeasibleSampler(feasible or FeasibleSet([constraint], space.format), seed=seed)
    if edges is None:
        edges = [constraint.budget.limit * edge / 330 for edge in range(290, 361, 10)]
    return ConstraintSampler(constraint.cost, edges, seed=seed, check=constraint.check)


class BalancedSampler:
    """Every active choice of every decision equally often (BetaNAS, eq. 2).

    Each decision goes through its active choices in an order that is shuffled anew each time round,
    independently of the others: each draw is uniform, and counts never differ by more than one
    until another choice is pruned.

    Args:
        active: bool (n_decisions, most choices), at least one a row.
        seed: of the orders.
    """

    def __init__(self, active: BoolArray, *, seed: int):
        self.seed = seed
        self._active = [np.flatnonzero(row) for row in active]

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,)."""
        return np.array([self._choice(d, step) for d in range(len(self._active))], np.int64)

    def _choice(self, decision: int, step: int) -> int:
        active = self._active[decision]
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

    def __init__(self, probabilities: FloatArray, *, seed: int, stream: int = _STREAM):
        self.seed = seed
        self._stream = stream
        self._below = probabilities.cumsum(axis=1)
        self._below /= self._below[:, -1:]

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, self._stream, step])
        tickets = rng.random((len(self._below), 1))
        path: IntArray = (self._below <= tickets).sum(axis=1)
        return path


class PoolSampler:
    """Architectures of a pool, each in proportion to its weight (Balanced NAO, eq. 3).

    Args:
        archs: the pool, (n, n_decisions).
        weights: above 0, (n,), such as parameters of the trained networks; equal ones draw
            uniformly.
        seed: of the draws.

    Raises:
        OptionError: no architecture, another number of weights, or weights that are not finite and
            above 0.
    """

    def __init__(self, archs: IntArray, weights: npt.ArrayLike, *, seed: int):
        shares = np.asarray(weights, np.float64)
        if not len(archs) or shares.shape != (len(archs),):
            raise OptionError(
                f"a pool has 1 or more architectures and a weight for each, got {len(archs)} "
                f"architectures and weights of shape {shares.shape}"
            )
        if not (np.isfinite(shares).all() and (shares > 0).all()):
            raise OptionError(
                f"weights of a pool are finite and above 0, got {shares.min()} to {shares.max()}"
            )
        self.seed = seed
        self._archs = archs
        self._below = shares.cumsum() / shares.sum()

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,)."""
        ticket = np.random.default_rng([self.seed, _STREAM, step]).random()
        at = int(np.searchsorted(self._below[:-1], ticket, side="right"))
        path: IntArray = self._archs[at].copy()
        return path
