"""Whether architecture parameters have come to rest, looked at after each epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwnas.search.gradient.alphas import Alphas, constrained_argmax
from hwnas.search.runs.run import Run

__all__ = ["Rest"]

#: A choice that holds half of its decision stays the largest unless alpha turns round.
_SURE = 0.5


class Rest:
    """Follows how far each epoch moves the probabilities.

    They have come to rest when no probability moved by ``bound`` or more in an epoch, and each
    decision is made: one of its choices has a probability of 0.5 or more, which Amended-DARTS calls
    converged (section 4.1.1). Early epochs, where little moves since everything has just begun, are
    no rest. Probabilities are looked at, since alphas never rest: Adam goes on at its rate however
    small gradients are, and a softmax is blind to what all alphas of a decision have in common.

    Args:
        alphas: that are followed.
        bound: of the change; 0 for no rest at all.
    """

    def __init__(self, alphas: Alphas, bound: float):
        self._alphas, self._bound = alphas, bound
        self._before = torch.from_numpy(alphas.probabilities).clone()

    @property
    def state(self) -> dict[str, Tensor]:
        """What a resumed search must find again."""
        return {"epoch began": self._before}

    def after_epoch(self, run: Run, step: int) -> bool:
        """Whether alpha rests after an epoch, which is logged as ``epoch``.

        Args:
            run: its log.
            step: of the weights, done.
        """
        now = torch.from_numpy(self._alphas.probabilities)
        change = float((now - self._before).abs().max())
        self._before.copy_(now)
        converged = change < self._bound and _least_sure(self._alphas) >= _SURE
        best = self._alphas.space.format(constrained_argmax(self._alphas))
        facts = {"change": change, "converged": converged, "most_probable": best}
        run.log("epoch", step=step, **facts)
        return converged

    def report(self, run: Run, steps: int) -> Mapping[str, Any]:
        """How the search ended, for ``result.json``.

        Args:
            run: its log.
            steps: of the weights that were asked for.
        """
        epochs = {entry["step"]: entry for entry in run.logged("epoch")}
        last = epochs[max(epochs)] if epochs else {}
        converged = bool(last.get("converged", False))
        return {
            "converged": converged,
            "trained_steps": last["step"] if converged else steps,
            "last_change": last.get("change"),
            "least_sure": _least_sure(self._alphas),
        }


def _least_sure(alphas: Alphas) -> float:
    """The least, over decisions, of the largest probability."""
    return float(np.min(alphas.probabilities.max(axis=1)))
