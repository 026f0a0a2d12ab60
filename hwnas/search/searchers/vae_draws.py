"""Architectures that a VAE draws, within the budgets."""

import numpy as np

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs import FeasibleSet, decode
from hwnas.search.searchers.vae import ArchitectureVAE, draw_scores

__all__ = ["VAEDraws"]

#: Draws in place of those that the exact budgets refuse, before the feasible set is drawn from.
_REDRAWS = 10


class VAEDraws:
    """Draws of a VAE choice by choice, among the choices from which the budgets can be kept.

    Where masking is not exact (several budgets, or costs that are no sums), what breaks a budget is
    drawn again, 10 times at most, and then uniformly from the feasible set.

    Args:
        feasible: what may be drawn.
    """

    def __init__(self, feasible: FeasibleSet):
        self.feasible = feasible

    def __call__(
        self, model: ArchitectureVAE, count: int, rng: np.random.Generator
    ) -> tuple[IntArray, BoolArray]:
        """Feasible architectures (count, n_decisions), and which the budgets changed, (count,)."""
        archs, limited = self._decoded(model, count, rng)
        for _ in range(_REDRAWS):
            wrong = np.flatnonzero(~self.feasible.contains(archs))
            if not len(wrong):
                return archs, limited
            archs[wrong], _ = self._decoded(model, len(wrong), rng)
            limited[wrong] = True
        wrong = np.flatnonzero(~self.feasible.contains(archs))
        archs[wrong] = self.feasible.sample(len(wrong), rng)
        return archs, limited

    def _decoded(
        self, model: ArchitectureVAE, count: int, rng: np.random.Generator
    ) -> tuple[IntArray, BoolArray]:
        drawn = draw_scores(model, count, rng)

        def scores(decided: IntArray) -> FloatArray:
            at = decided.shape[1]
            values: FloatArray = drawn[:, at, : model.n_choices[at]]
            return values

        return decode(self.feasible, scores, count, rng)
