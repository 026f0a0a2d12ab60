"""Training in half precision: which layers take it, and gradients that would vanish in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hwnas.search.retraining.settings import Autocast

__all__ = ["LossScale", "half_precision"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class LossScale(nn.Module):
    """Keeps small float16 gradients from vanishing; a buffer, so that a checkpoint holds it.

    The factor is halved when a gradient overflows, and the step is left out; it doubles after 200
    steps without (as in mixed precision training, Micikevicius et al., 2018).
    """

    factor: Tensor
    calm: Tensor

    def __init__(self, wanted: bool):
        super().__init__()
        self.wanted = wanted
        self.register_buffer("factor", torch.tensor(2.0**14 if wanted else 1.0))
        self.register_buffer("calm", torch.tensor(0))

    def unscale(self, network: nn.Module) -> bool:
        """Divide the gradients; returns whether all of them are finite."""
        if not self.wanted:
            return True
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        finite = True
        for gradient in gradients:
            gradient /= self.factor
            finite = finite and bool(gradient.isfinite().all())
        self.calm += 1
        if not finite:
            self.calm.zero_()
            self.factor /= 2
        elif self.calm >= 200:
            self.calm.zero_()
            self.factor *= 2
        return finite


@contextmanager
def half_precision(device: torch.device, kind: Autocast) -> Iterator[None]:
    """Where layers that gain by it compute in half precision."""
    if kind == "none":
        yield
    else:
        with torch.autocast(device.type, _DTYPES[kind]):
            yield
