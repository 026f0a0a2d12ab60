"""The expectation of an additive cost, differentiable in the probabilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwnas.costs import AdditiveCost
from hwnas.errors import OptionError

if TYPE_CHECKING:
    import torch

__all__ = ["expected_cost"]


def expected_cost(cost: AdditiveCost, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
    """Mean cost if each decision is drawn from its own distribution, as a double scalar.

    Linear in the probabilities, so its gradient is exact: the entries of the cost.

    Args:
        cost: in its own unit, such as ms.
        probabilities: one tensor (n_choices,) a decision.

    Raises:
        OptionError: another number of decisions or choices.
    """
    import torch

    shapes = [tuple(p.shape) for p in probabilities]
    if shapes != [entry.shape for entry in cost.entries]:
        raise OptionError(
            f"one tensor of {', '.join(str(len(entry)) for entry in cost.entries)} probabilities "
            f"is needed for the {len(cost.entries)} decisions, got shapes {shapes}"
        )
    total = torch.tensor(cost.fixed * cost.unit, dtype=torch.float64)
    for p, steps in zip(probabilities, cost.entries, strict=True):
        entry = torch.from_numpy(np.asarray(steps * cost.unit)).to(p.device)
        total = total + (p.double() * entry).sum()
    return total
