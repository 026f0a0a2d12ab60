"""What weighs the expected costs in the loss of the architecture parameters (BetaNAS, eq. 6).

The loss is cross-entropy plus ``sum_i beta_i E[cost_i]``. A beta is in nats per unit of its cost:
per millisecond, per MAC. Either it is fixed, as in the paper, or `Steering` moves it so that the
search ends at a wanted cost.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from hwnas.errors import OptionError

__all__ = ["BETA_UNITS", "Beta", "FixedBeta", "Steering", "parse_betas"]

#: What a beta that a person writes is per: the name, and how many of the cost's own unit it is.
BETA_UNITS = {
    "latency": ("ms", 1.0),
    "macs": ("M MACs", 1e6),
    "params": ("M parameters", 1e6),
    "bytes": ("MB", 1e6),
    "bitops": ("G BitOps", 2.0**30),
}

#: Share that a step's norms have in their running means.
_FORGET = 0.05


def parse_betas(texts: Sequence[str]) -> dict[str, float]:
    """Read ``latency=0.1`` and the like: nats per unit of the cost itself, by quantity.

    Raises:
        OptionError: not a quantity and a number of at least 0, or a quantity twice.
    """
    betas: dict[str, float] = {}
    for text in texts:
        quantity, _, number = (part.strip() for part in text.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if quantity not in BETA_UNITS or quantity in betas or not 0 <= value < math.inf:
            units = ", ".join(f"{name}=NATS per {unit}" for name, (unit, _) in BETA_UNITS.items())
            raise OptionError(
                "a beta is written latency=0.1, once for each cost, and is not below 0, where "
                f"dearer networks would be rewarded: {units}; got {text!r}"
            )
        betas[quantity] = value / BETA_UNITS[quantity][1]
    return betas


class Beta(Protocol):
    """Gives the betas of each step of the architecture parameters."""

    @property
    def state(self) -> dict[str, Tensor]:
        """Tensors that a resumed search must find again; loaded by copying into them."""
        ...

    def __call__(
        self, share: float, expected: Sequence[float], likeliest: Sequence[float], pulls: Tensor
    ) -> Tensor:
        """The betas (n_costs,) of a step, float64.

        Args:
            share: of the search that is done, 0 to 1.
            expected: each cost's mean under the probabilities (eq. 6).
            likeliest: each cost of the most probable architecture.
            pulls: norms of the gradients of the cross-entropy and of each expected cost with
                respect to alpha, (1 + n_costs,).
        """
        ...


class FixedBeta:
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
        self, share: float, expected: Sequence[float], likeliest: Sequence[float], pulls: Tensor
    ) -> Tensor:
        """The constants."""
        return self._betas


class Steering:
    """Steers each beta so that costs end just below their limits: proportional-integral control.

    The law, for each cost i and each step:

    - what is steered, ``c_i = (1 - w) E_i + w C_i``, goes over from the expected cost to that of
      the most probable architecture, which the search will return: w = min(1, 2 share);
    - the error is ``e_i = c_i / (goal * limit_i) - 1``;
    - ``I_i <- clip(I_i + integral * e_i)``, and ``u_i = clip(I_i + proportional * e_i)``;
    - ``beta_i = u_i * |dCE/dalpha| / |dE_i/dalpha|`` with running means of the norms, so that at
      u = 1 the cost pulls on alpha as hard as the cross-entropy does, whatever the data and units.

    Clipped is to ``[0, most]``, but to ``[-1, most]`` for the cost that is nearest its limit (or
    farthest above it): below 0, beta asks for larger networks, which is right only as long as there
    is room under every limit, and never harder than the cross-entropy pulls.

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
        self._pulls = torch.zeros(1 + len(limits), dtype=torch.float64)

    @property
    def state(self) -> dict[str, Tensor]:
        """The integrals, and the running means of the norms."""
        return {"beta integral": self._sum, "beta pulls": self._pulls}

    def __call__(
        self, share: float, expected: Sequence[float], likeliest: Sequence[float], pulls: Tensor
    ) -> Tensor:
        """The betas of a step; the integral moves on."""
        mean, chosen = (torch.tensor(list(c), dtype=torch.float64) for c in (expected, likeliest))
        error = torch.lerp(mean, chosen, min(1.0, 2 * share)) / self._goals - 1
        most = torch.full_like(error, self._most)
        least = torch.zeros_like(error)
        least[error.argmax()] = -1.0
        first = not self._pulls.any()
        self._pulls.lerp_(pulls, 1.0 if first else _FORGET)
        self._sum += self._integral * error
        self._sum.clamp_(least, most)
        strength = (self._sum + self._proportional * error).clamp(least, most)
        return strength * self._pulls[0] / self._pulls[1:].clamp(min=1e-30)
