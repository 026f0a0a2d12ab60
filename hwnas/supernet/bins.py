"""Paths drawn uniformly over the bins of a cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hwnas.arrays import IntArray
from hwnas.costs import AdditiveCost, Check, FeasibleRegion
from hwnas.errors import InfeasibleBudgetError, OptionError

__all__ = ["ConstraintSampler"]

_STREAM = 3  # as of the other samplers
#: Draws for one path of a bin that an exact check decides about, and how many at once.
_REDRAWS = 1024
_AT_ONCE = 32
#: A bin's guide is widened by so many standard deviations of its error.
_WIDTHS = 3.0


class ConstraintSampler:
    """Uniform over a constraint: a bin of a cost, then a path in it (Single Path One-Shot, 3.2).

    Uniform paths crowd around the middle of a cost; this trains cheap and costly ones as often.
    Both draws are exactly uniform, without rejection where the cost is exact
    (`FeasibleRegion.exact`). With a check, paths are drawn from what the cost, a guide, puts within
    a bin widened by its error, until the check puts one within the bin.

    Args:
        cost: what is constrained, such as ``space.cost("macs")`` or a predictor's ``cost``.
        edges: of the bins, rising, in the unit of the cost; a bin holds what costs more than its
            lower and at most its upper edge. Bins in which there is no architecture, or none was
            found, are left out.
        seed: of the draws.
        check: the exact costs of architectures; None where ``cost`` is exact.

    Attributes:
        bins: the (lower, upper) edges that are drawn from.

    Raises:
        OptionError: the edges do not rise.
        InfeasibleBudgetError: no bin holds an architecture.
    """

    def __init__(
        self,
        cost: AdditiveCost,
        edges: Sequence[float],
        *,
        seed: int,
        check: Check | None = None,
    ):
        if len(edges) < 2 or any(not low < high for low, high in pairwise(edges)):
            raise OptionError(f"bins need two edges or more that rise, got {list(edges)}")
        self.seed = seed
        widening = (1.0, 1.0) if check is None else _widening(cost, check, edges)
        whole = cost.within(edges[-1] * widening[1])
        bins = [_Bin.of(whole, low, high, check, widening) for low, high in pairwise(edges)]
        self._bins = [bin_ for bin_ in bins if bin_ is not None]
        self.bins = [(bin_.low, bin_.high) for bin_ in self._bins]
        if not self.bins:
            raise InfeasibleBudgetError(
                f"no architecture costs between {edges[0]:g} and {edges[-1]:g}: the least is "
                f"{cost.minimum()[1]:g} and the most {cost.maximum()[1]:g}; give bins, or a "
                "budget, between them"
            )

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, _STREAM, step])
        return self._bins[rng.integers(len(self._bins))].sample(rng)


@dataclass(frozen=True, slots=True, eq=False)
class _Bin:
    """The architectures that cost more than ``low`` and at most ``high``.

    Attributes:
        band: those that the cost, exact or a guide, puts there.
        check: the exact costs; None where the band is exact.
        known: an architecture (n_decisions,) of the bin, for when draws fail.
    """

    low: float
    high: float
    band: FeasibleRegion
    check: Check | None
    known: IntArray | None

    @classmethod
    def of(
        cls,
        whole: FeasibleRegion,
        low: float,
        high: float,
        check: Check | None,
        widening: tuple[float, float],
    ) -> "_Bin | None":
        """The bin between two edges; None if it holds no architecture, or none was found.

        Args:
            whole: what the cost puts below the highest edge, widened.
            low, high: the edges.
            check: the exact costs.
            widening: the guide's factors of the lower and upper edge.
        """
        try:
            band = whole.band(low * widening[0], high * widening[1])
        except InfeasibleBudgetError:
            return None
        if check is None:
            return cls(low, high, band, None, None)
        empty = cls(low, high, band, check, None)
        known = empty.drawn(np.random.default_rng(_STREAM))
        return None if known is None else replace(empty, known=known)

    def sample(self, rng: np.random.Generator) -> IntArray:
        """One path (n_decisions,)."""
        if self.check is None:
            return self.band.sample(1, rng).reshape(-1)
        drawn = self.drawn(rng)
        path = self.known if drawn is None else drawn
        assert path is not None
        return path.copy()

    def drawn(self, rng: np.random.Generator) -> IntArray | None:
        """One path (n_decisions,) of the band that the check puts into the bin; None: too rare."""
        assert self.check is not None
        for _ in range(_REDRAWS // _AT_ONCE):
            archs = self.band.sample(_AT_ONCE, rng)
            costs = self.check(archs)
            inside = np.flatnonzero((costs > self.low) & (costs <= self.high))
            if len(inside):
                path: IntArray = archs[inside[0]]
                return path
        return None


def _widening(cost: AdditiveCost, check: Check, edges: Sequence[float]) -> tuple[float, float]:
    """Factors of the lower and upper edges within which a guide puts nearly all of a bin."""
    limit = max(edges[-1], cost.minimum()[1] * (1 + 1e-9))
    archs = cost.within(limit).sample(512, np.random.default_rng(_STREAM))
    exact = check(archs)
    told = (exact > 0) & (exact < np.inf)
    ratio = cost(archs[told]) / exact[told]
    if not len(ratio):
        return 1.0, 1.0
    mean, spread = float(ratio.mean()), _WIDTHS * float(ratio.std())
    return mean - spread, max(mean + spread, cost.minimum()[1] * (1 + 1e-9) / edges[-1])
