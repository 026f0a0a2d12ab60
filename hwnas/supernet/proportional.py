"""Paths drawn in proportion to the size of their networks."""

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.spaces import SearchSpace

__all__ = ["ProportionalSampler"]

_STREAM = 3  # as of the other samplers
#: Of a space whose sizes are no sums: architectures that the bound is the largest of, and draws.
_BOUND_OF = 256
_REDRAWS = 256


class ProportionalSampler:
    """Every architecture in proportion to its parameters (Balanced NAO, eq. 3).

    Where parameters are sums over decisions the draw is exact, over the whole space, and is a
    mixture: a decision, or what is fixed, in proportion to its share of the mean size; that
    decision's choice in proportion to its parameters, all others uniformly. Elsewhere uniform draws
    are accepted in proportion to their size; one as large as the largest of 256 that were drawn
    before the first step always is, so that what is still larger is drawn as often as that.

    Args:
        space: what is trained; its sizes count.
        seed: of the draws.
    """

    def __init__(self, space: SearchSpace, *, seed: int):
        self.space = space
        self.seed = seed
        self._shares: FloatArray | None = None
        self._choices: list[FloatArray] = []
        self._bound = 0.0
        if space.additive:
            cost = space.cost("params")
            means = np.array([cost.fixed, *(entry.mean() for entry in cost.entries)])
            self._shares = means / means.sum()
            self._choices = [entry / max(1, entry.sum()) for entry in cost.entries]
        else:
            archs = space.sample(_BOUND_OF, seed=np.random.default_rng([seed, _STREAM]))
            self._bound = float(space.params(archs).max())

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,)."""
        rng = np.random.default_rng([self.seed, _STREAM, step])
        if self._shares is None:
            return self._accepted(rng)
        path = self.space.sample(1, seed=rng).reshape(-1)
        part = rng.choice(len(self._shares), p=self._shares)
        if part:
            chances = self._choices[part - 1]
            path[part - 1] = rng.choice(len(chances), p=chances)
        return path

    def _accepted(self, rng: np.random.Generator) -> IntArray:
        for _ in range(_REDRAWS):
            path = self.space.sample(1, seed=rng).reshape(-1)
            if rng.random() * self._bound < self.space.params(path)[0]:
                break
        return path
