"""A training loss that knows the expected latency of what is being searched."""

import math
from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import nn

from hwnas.errors import OptionError, UnknownNameError

__all__ = ["Expecting", "LatencyLoss"]

#: Form -> the arguments it takes.
_FORMS = {
    "additive": ("beta",),
    "multiplicative": ("exponent", "target_ms"),
    "hinge": ("beta", "target_ms"),
}


class Expecting(Protocol):
    """What the loss needs of a predictor."""

    def expected(self, probabilities: Sequence[torch.Tensor]) -> torch.Tensor:
        """Mean latency in ms, a differentiable scalar; one tensor (n_choices,) a decision."""
        ...


class LatencyLoss(nn.Module):
    """Joins a task loss and the expected latency E, in one of three forms.

    * ``additive``: loss + beta E. ProxylessNAS (Cai et al., ICLR 2019), section 3.3.1; beta is its
      lambda_2.
    * ``multiplicative``: loss (E / target)^exponent. MnasNet (Tan et al., CVPR 2019), equation 2,
      with a loss in place of the accuracy, so that the exponent is positive. (FBNet's factor is a
      power of log E instead, whose value depends on the unit of E.)
    * ``hinge``: loss + beta max(0, E / target - 1). A budget: once it is kept, nothing pulls.

    The gradient is exact: that of E is the predictor's (for an additive predictor its entries). At
    the hinge's corner, E = target, it is 0. The multiplicative form is for losses above 0, such as
    cross-entropy: the gradient of the latency shrinks with the loss.

    Args:
        predictor: has ``expected(probabilities)``, such as `hwnas.predictors.AdditivePredictor`.
        form: ``additive``, ``multiplicative`` or ``hinge``.
        beta: at least 0. Additive: loss per ms; hinge: loss per target (with 0.1, a mean latency of
            10 % above the target adds 0.01).
        exponent: at least 0, without a unit; with MnasNet's 0.07, twice the latency is 5 % more
            loss.
        target_ms: above 0, ms.

    Raises:
        UnknownNameError: there is no such form.
        OptionError: an argument has a value that is not allowed, is missing, or is of another form.
    """

    def __init__(
        self,
        predictor: Expecting,
        form: Literal["additive", "multiplicative", "hinge"] = "additive",
        *,
        beta: float | None = None,
        exponent: float | None = None,
        target_ms: float | None = None,
    ):
        super().__init__()
        if form not in _FORMS:
            raise UnknownNameError("form of a latency loss", form, list(_FORMS))
        named = {"beta": beta, "exponent": exponent, "target_ms": target_ms}
        given = {name: value for name, value in named.items() if value is not None}
        if given.keys() != set(_FORMS[form]):
            raise OptionError(
                f"the {form} latency loss takes {' and '.join(_FORMS[form])}, "
                f"got {' and '.join(given) or 'none'}"
            )
        for name, value in given.items():
            _check(name, value)
        self.predictor = predictor
        self.form = form
        self.arguments = given

    def forward(self, loss: torch.Tensor, probabilities: Sequence[torch.Tensor]) -> torch.Tensor:
        """The joint loss, of the shape and type of ``loss``.

        Args:
            loss: of the task; a scalar, or any shape for losses that are reduced later.
            probabilities: one tensor (n_choices,) a decision, each with sum 1.
        """
        known = self.arguments
        expected_ms = self.predictor.expected(probabilities)
        if self.form == "additive":
            return loss + (known["beta"] * expected_ms).to(loss)
        quotient = expected_ms / known["target_ms"]
        if self.form == "multiplicative":
            return loss * (quotient ** known["exponent"]).to(loss)
        return loss + (known["beta"] * torch.relu(quotient - 1)).to(loss)

    def extra_repr(self) -> str:
        """The form and its arguments."""
        return ", ".join([self.form, *(f"{n}={value:g}" for n, value in self.arguments.items())])


def _check(name: str, value: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0 or (name == "target_ms" and value == 0):
        allowed = "above 0" if name == "target_ms" else "of at least 0"
        raise OptionError(f"{name} is a finite number {allowed}, got {value!r}")
