"""The gradient of architecture parameters, amended (Amended-DARTS, section 3.3 and 3.4).

What is wanted is ``g = d L_val(w*(alpha), alpha) / d alpha = g1 + g2`` (eq. 3 and 6) with

- ``g1 = d L_val / d alpha`` at fixed weights: first-order DARTS;
- ``g2 = -M H^-1 v``, where ``M = d2 L_train / d alpha d w`` (n_alpha, n_weights), ``H = d2 L_train
  / d w2`` and ``v = d L_val / d w``. It follows from ``d L_train / d w = 0`` at ``w*(alpha)``.

``H^-1`` is out of reach. The terms in its place, both at the present weights:

- ``g2' = -eta M H v`` (eq. 7), the amendment;
- ``g2'' = -eta M v``, identity in place of ``H``: what second-order DARTS comes to.

Neither holds a matrix. ``u = H v`` and ``M u`` are derivatives of ``<d L_train / d w, .>``, taken
exactly by a second backward pass, or from differences of gradients at moved weights. Differences
are good for smooth networks alone: where a ReLU bends between two weights its gradient leaps, and
over a batch the leaps outweigh what is looked for (docs/amended-darts.md).

A loss is a function without arguments that runs a forward pass with the present weights and alpha.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hwnas.supernet import twice_differentiable

__all__ = ["AlphaGradient", "Loss", "Order", "Products", "amended_gradient", "hessian_product"]

#: A forward pass with the present weights and alpha, as a scalar.
Loss = Callable[[], Tensor]
#: Which second term is added: none, ``g2''`` or ``g2'``.
Order = Literal["first", "second", "amended"]
#: How products with second derivatives are taken.
Products = Literal["exact", "finite"]

#: Length of the move of all weights in a difference (DARTS, section 2.3).
_MOVE = 0.01


@dataclass(frozen=True, eq=False)
class AlphaGradient:
    """The gradient of alpha in its two terms.

    Attributes:
        first: ``g1``, in the shape of alpha.
        second: ``g2'`` or ``g2''``, with its sign and eta; zeros for first order.
        loss: ``L_val``, nats.
    """

    first: Tensor
    second: Tensor
    loss: float

    @property
    def total(self) -> Tensor:
        """What alpha goes against."""
        return self.first + self.second


def amended_gradient(
    train_loss: Loss,
    val_loss: Loss,
    weights: Sequence[Tensor],
    alpha: Tensor,
    *,
    eta: float,
    order: Order = "amended",
    products: Products = "exact",
) -> AlphaGradient:
    """``g1`` and the second term, at the present weights and alpha, which stay as they are.

    Args:
        train_loss: on images that weights are trained on.
        val_loss: on images that alpha is trained on.
        weights: leaves that both losses depend on.
        alpha: a leaf, likewise.
        eta: the amending coefficient, 0 or more; 0 is first order.
        order: which second term.
        products: ``exact`` keeps the graph of a gradient and goes through it again; ``finite``
            needs no more memory than a training step.
    """
    loss = val_loss()
    if order == "first" or eta == 0:
        (first,) = _grad(loss, [alpha])
        return AlphaGradient(first, torch.zeros_like(first), loss.item())
    *direction, first = _grad(loss, [*weights, alpha])
    value = loss.item()
    del loss  # and its graph, before the next is made
    if products == "exact":
        with twice_differentiable():
            loss = train_loss()
        slope = torch.autograd.grad(
            loss, weights, create_graph=True, allow_unused=True, materialize_grads=True
        )
        if order == "amended":
            direction = hessian_product(slope, weights, direction)
        (mixed,) = _grad(slope, [alpha], direction)
    else:
        mixed = _differences(train_loss, weights, alpha, direction, twice=order == "amended")
    return AlphaGradient(first, -eta * mixed, value)


def hessian_product(
    slope: Sequence[Tensor], weights: Sequence[Tensor], vector: Sequence[Tensor]
) -> list[Tensor]:
    """``H v`` for a gradient ``slope`` by the weights that has a graph, which is kept."""
    return _grad(slope, weights, vector, keep=True)


def _grad(
    of: Tensor | Sequence[Tensor],
    by: Sequence[Tensor],
    along: Sequence[Tensor] | None = None,
    *,
    keep: bool = False,
) -> list[Tensor]:
    """Gradients, zeros where nothing depends on a leaf."""
    return list(
        torch.autograd.grad(
            of, by, along, retain_graph=keep, allow_unused=True, materialize_grads=True
        )
    )


def _differences(
    loss: Loss,
    weights: Sequence[Tensor],
    alpha: Tensor,
    direction: Sequence[Tensor],
    *,
    twice: bool,
) -> Tensor:
    """``M v``, or ``M H v`` if twice: how gradients change where the weights move along ``v``."""
    *here, of_alpha = _grad(loss(), [*weights, alpha] if twice else [alpha])
    if twice:
        with _moved(weights, direction) as by:
            there = _grad(loss(), weights)
        direction = [(a - b) / by for a, b in zip(there, here, strict=True)]
    with _moved(weights, direction) as by:
        (there_of_alpha,) = _grad(loss(), [alpha])
    return (there_of_alpha - of_alpha) / by


@contextmanager
def _moved(weights: Sequence[Tensor], direction: Sequence[Tensor]) -> Iterator[float]:
    """The weights, moved a little along a direction meanwhile; gives how far, as its multiple.

    Afterwards they are what they were, bit for bit.
    """
    length = float(torch.stack([part.norm() for part in direction]).norm())
    by = _MOVE / max(length, torch.finfo(torch.float32).tiny)
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        torch._foreach_add_(list(weights), list(direction), alpha=by)
    try:
        yield by
    finally:
        with torch.no_grad():
            torch._foreach_copy_(list(weights), before)
