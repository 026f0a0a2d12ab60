"""What weighs the expected costs in the loss of the architecture parameters (BetaNAS, eq. 6).

The loss is cross-entropy plus ``sum_i beta_i E[cost_i]``. A beta is in nats per unit of its cost:
per millisecond, per MAC. Either it is fixed, as in the paper, or a `PIController` moves it so that
the search ends at a wanted cost.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from hwnas.errors import OptionError

__all__ = ["CostWeights", "FixedWeights", "PIController"]

#: Share that a step's norms have in their running means.
_FORGET = 0.05


class CostWeights(Protocol):
    """Gives the betas of each step of the architecture parameters."""

    @property
    def state(self) -> dict[str, Tensor]:
        """Tensors that a resumed search must find again; loaded by copying into them."""
        ...

    def __call__(
        self,
        share: float,
        expected: Sequence[float],
        chosen: Sequence[float],
        gradient_norms: Tensor,
    ) -> Tensor:
        """The betas (n_costs,) of a step, float64.

        Args:
            share: of the search that is done, 0 to 1.
            expected: each cost's mean under the probabilities (eq. 6).
            chosen: each cost of the most probable architecture.
            gradient_norms: of the cross-entropy and of each expected cost by alpha, (1 + n_costs,).
        """
        ...


class FixedWeights:
    """Constant betas: the plain eq. 6.

    Args:
        betas: one a cost, nats per unit, not below 0.

    Raises:
        OptionError: a beta below 0 rewards cost, or is not finite.
    """

    def __init__(self, betas: Sequence[float]):
        for beta in betas:
            if not 0 <= beta < float("inf"):
                raise OptionError(
                    "a beta weighs a cost in the loss and is a finite number of at least 0 (below "
                    f"0, dearer networks would be rewarded), got {beta:g}"
                )
        self._betas = torch.tensor(list(betas), dtype=torch.float64)

    @property
    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def __call__(
        self,
        share: float,
        expected: Sequence[float],
        chosen: Sequence[float],
        gradient_norms: Tensor,
    ) -> Tensor:
        """The constants."""
        return self._betas


class PIController:
    """Moves each beta so that costs end just below their limits: proportional-integral control.

    The law, for each cost i and each step:

    - what is controlled, ``c_i = (1 - w) E_i + w C_i``, goes over from the expected cost to that of
      the most probable architecture, which the search will return: w = min(1, 2 share);
    - the error is ``e_i = c_i / (goal * limit_i) - 1``;
    - ``I_i <- clip(I_i + integral * e_i)``, and ``u_i = clip(I_i + proportional * e_i)``;
    - ``beta_i = u_i * |dCE/dalpha| / |dE_i/dalpha|`` with running means of the norms, so that at
      u = 1 the cost moves alpha as much as the cross-entropy does, whatever the data and units.

    The bounds are ``[0, most]``, and ``[-1, most]`` for the cost that is nearest its limit (or
    farthest above it). Below 0, beta asks for larger networks: that is right only while there is
    room under every limit, and never by more than the cross-entropy moves alpha.

    Args:
        limits: one a cost, in its unit.
        goal: the share of the limit to end at.
        proportional, integral: gains.
        most: bound of u.
    """

    def __init__(
        self,
        limits: Sequence[float],
        *,
        goal: float = 0.98,
        proportional: float = 20.0,
        integral: float = 0.5,
        most: float = 20.0,
    ):
        self._goals = goal * torch.tensor(list(limits), dtype=torch.float64)
        self._proportional, self._integral, self._most = proportional, integral, most
        self._sum = torch.zeros(len(limits), dtype=torch.float64)
        self._norms = torch.zeros(1 + len(limits), dtype=torch.float64)

    @property
    def state(self) -> dict[str, Tensor]:
        """The integrals, and the running means of the norms; file names of the first version."""
        return {"beta integral": self._sum, "beta pulls": self._norms}

    def __call__(
        self,
        share: float,
        expected: Sequence[float],
        chosen: Sequence[float],
        gradient_norms: Tensor,
    ) -> Tensor:
        """The betas of a step; the integral moves on."""
        mean, end = (torch.tensor(list(c), dtype=torch.float64) for c in (expected, chosen))
        end = torch.where(end.isfinite(), end, mean)  # a cell without a path costs infinitely much
        error = torch.lerp(mean, end, min(1.0, 2 * share)) / self._goals - 1
        most = torch.full_like(error, self._most)
        least = torch.zeros_like(error)
        least[error.argmax()] = -1.0
        first = not self._norms.any()
        self._norms.lerp_(gradient_norms, 1.0 if first else _FORGET)
        self._sum += self._integral * error
        self._sum.clamp_(least, most)
        strength = (self._sum + self._proportional * error).clamp(least, most)
        return strength * self._norms[0] / self._norms[1:].clamp(min=1e-30)
