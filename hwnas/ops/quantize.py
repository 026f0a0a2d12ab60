"""Few-bit weights and activations in torch: DoReFa and PACT, with straight-through gradients."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.ops.graph import INITIAL_ALPHA, LEAST_ALPHA

__all__ = ["Pact", "QuantizedConv2d", "dorefa", "pact"]


# Both are one function each, not a composition: that takes a quarter of the passes over memory.


class _Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, levels: int) -> Tensor:
        bound = max(alpha.item(), LEAST_ALPHA)
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(0.0, bound).mul_(levels / bound).round_().mul_(bound / levels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (x,), (grad,) = ctx.saved_tensors, grads
        inside: Tensor = torch.ops.aten.hardtanh_backward(grad, x, 0.0, ctx.bound)
        below = float(np.nextafter(np.float32(ctx.bound), np.float32(0)))  # so that > means >=
        above: Tensor = torch.ops.aten.threshold_backward(grad, x, below)
        return inside, above.sum().reshape(1), None


class _DoReFa(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, levels: int) -> Tensor:
        squashed = weight.tanh()
        largest = torch.stack(squashed.aminmax()).abs().max()
        nothing = largest <= levels / torch.finfo(largest.dtype).max  # all weights are zero
        largest = torch.where(nothing, torch.ones_like(largest), largest)
        ctx.save_for_backward(squashed, largest)
        scaled = squashed * (levels / (2 * largest))
        return scaled.add_(levels / 2).round_().mul_(2 / levels).sub_(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        squashed, largest = ctx.saved_tensors
        slope: Tensor = torch.ops.aten.tanh_backward(grads[0], squashed)
        return slope.div_(largest), None


def pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """Parameterised clipping activation (PACT, Choi et al. 2018, eq. 1 to 3).

    ``round(clamp(x, 0, alpha) * s) / s`` with ``s = (2**bits - 1) / alpha``. The gradient is handed
    on where ``0 < x < alpha``, and to ``alpha`` where ``x >= alpha``.

    Args:
        x: any shape.
        alpha: the learned bound, (1,); below 0.01 it counts as 0.01.
        bits: of the result.
    """
    result: Tensor = _Pact.apply(x, alpha, 2**bits - 1)  # type: ignore[no-untyped-call]
    return result


def dorefa(weight: Tensor, bits: int) -> Tensor:
    """Weights of ``2**bits`` values between -1 and 1 (DoReFa-Net, Zhou et al. 2016, eq. 9).

    ``2 * round(n * s) / s - 1`` with ``n = tanh(w) / (2 max |tanh(w)|) + 1/2`` and
    ``s = 2**bits - 1``; 1 bit gives -1 and 1. Where all weights are zero, ``n`` is 1/2. The
    rounding and the maximum count as constant in the gradient.

    Args:
        weight: any shape.
        bits: of the result.
    """
    low: Tensor = _DoReFa.apply(weight, 2**bits - 1)  # type: ignore[no-untyped-call]
    return low


class Pact(nn.Module):
    """`pact` with its own bound.

    Args:
        bits: of the activations.
    """

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits
        self.alpha = nn.Parameter(torch.full((1,), INITIAL_ALPHA))

    def forward(self, x: Tensor) -> Tensor:
        """Clamp and round."""
        return pact(x, self.alpha, self.bits)

    def extra_repr(self) -> str:
        """What printing shows."""
        return f"bits={self.bits}"


class QuantizedConv2d(nn.Conv2d):
    """A convolution by `dorefa` weights; the stored ones are the floats that are trained.

    Args:
        bits: of the weights.
        *args, **options: of `torch.nn.Conv2d`.
    """

    def __init__(self, bits: int, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.bits = bits

    def forward(self, input: Tensor) -> Tensor:
        """Run with rounded weights."""
        result: Tensor = self._conv_forward(input, dorefa(self.weight, self.bits), self.bias)
        return result
