"""Gradients of gates (BetaNAS, eq. 4; ProxylessNAS, section 3.2) with the memory of one path.

A slot that follows a decision is ``sum_j g_j o_j(x)`` with one gate at 1 and the others at 0, so a
forward pass runs one path. The gradient of a gate is ``dL/dg_j = sum(o_j(x) * dL/dO)`` over all
elements. Only ``x``, the sampled output and ``dL/dO`` are needed for it. The backward pass computes
the other outputs one after another, without a graph, and frees each at once. The gradients of slots
that follow one decision add up.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from hwnas.data import CLASSIFICATION, Task
from hwnas.errors import OptionError
from hwnas.spaces.layout import unfollowed
from hwnas.supernet.network import Supernet, used

__all__ = ["alpha_gradient", "gated", "gates_of", "probabilities_of"]

#: Which choices are active, (n_decisions, most choices); those that do not exist are not.
Active = npt.NDArray[np.bool_]


class _Gate(torch.autograd.Function):
    """Hands the sampled output on; its backward pass gives each gate its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        output: Tensor,
        gates: Tensor,
        chosen: int,
        active: Sequence[int],
        run: Callable[[Tensor, int], Tensor],
    ) -> Tensor:
        ctx.save_for_backward(x, output)
        ctx.block = chosen, active, run, gates.shape, gates.dtype
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, output = ctx.saved_tensors
        chosen, active, run, shape, dtype = ctx.block
        gradient = torch.zeros(shape, dtype=dtype)
        with torch.no_grad():
            for choice in active:
                other = output if choice == chosen else run(x, choice)
                gradient[choice] = torch.dot(other.reshape(-1), grad.reshape(-1))
        # x gets its gradient through the sampled output alone: the other gates are 0
        return None, grad, gradient, None, None, None


def gated(
    supernet: Supernet, images: Tensor, arch: npt.NDArray[np.int64], gates: Tensor, active: Active
) -> Tensor:
    """Logits (n, classes) of one path, whose gates get the gradient of every active choice.

    Args:
        supernet: its parameters get no gradient; see `alpha_gradient` for its mode.
        images: (n, channels, height, width).
        arch: the path, one active choice a decision.
        gates: (n_decisions, most choices), one-hot in the value, to be differentiated.
        active: bool, of the same shape.

    Raises:
        OptionError: no slot follows one of the decisions.
    """
    slots = supernet.space.layout.slots
    if any(slot.picks is not None for slot in slots):
        raise OptionError(
            f"gates need slots whose candidates are the choices of a decision, and choices of "
            f"{supernet.space.name} say which slots are used as well: train it by another method"
        )
    if idle := unfollowed(supernet.space.layout):
        raise OptionError(
            f"gates need slots that follow each decision, {supernet.space.name} has none for "
            f"decision {idle[0]}: train it by another method"
        )
    path = supernet.path(arch)

    def run(at: int, x: Tensor) -> Tensor:
        choice, decision = used(path[at]), slots[at].decision
        output = supernet.run_block(at, x, choice)
        if decision is None:
            return output

        def other(x: Tensor, choice: int) -> Tensor:
            return supernet.run_block(at, x, choice)

        others = np.flatnonzero(active[decision]).tolist()
        result: Tensor = _Gate.apply(x, output, gates[decision], choice, others, other)  # type: ignore[no-untyped-call]
        return result

    return supernet.wire(path, images, run)


def probabilities_of(alpha: Tensor, active: Active) -> Tensor:
    """Softmax over the active choices of each decision; 0 for the others (eq. 2 and 3).

    Args:
        alpha: (n_decisions, most choices).
        active: bool, of the same shape; at least one a row.
    """
    return alpha.masked_fill(~torch.from_numpy(active), -torch.inf).softmax(1)


def gates_of(probabilities: Tensor, arch: npt.NDArray[np.int64]) -> Tensor:
    """One-hot gates of a path that pass their gradient on to the probabilities.

    That is ``dg_j / dp_j = 1``, the approximation behind eq. 4.
    """
    one_hot = F.one_hot(torch.from_numpy(arch), probabilities.shape[1]).to(probabilities.dtype)
    return one_hot + probabilities - probabilities.detach()


def alpha_gradient(
    supernet: Supernet,
    images: Tensor,
    labels: Any,
    arch: npt.NDArray[np.int64],
    alpha: Tensor,
    active: Active,
    task: Task = CLASSIFICATION,
) -> tuple[Tensor, float]:
    """The gradient of the cross-entropy of one path by eq. 4, and that cross-entropy in nats.

    Batch-norms use the statistics of the batch, as they do while weights are trained; running
    statistics, which training does not read, change. No parameter changes or gets a gradient.

    Args:
        supernet: left in training mode.
        images, labels: a batch, (n, channels, height, width) and int64 (n,), or what an own loss
            reads.
        arch: the sampled path.
        alpha: (n_decisions, most choices), not touched.
        active: bool, of the same shape.
        task: whose loss stands in the place of the cross-entropy.

    Returns:
        ``dL/dalpha_m = sum_j dL/dg_j p_j (delta_mj - p_m)``, 0 where not active; and the loss.
    """
    if not supernet.training:
        supernet.train()
    leaf = alpha.detach().requires_grad_()
    gates = gates_of(probabilities_of(leaf, active), arch)
    with _fixed_parameters(supernet):
        loss = task.loss_of(gated(supernet, images, arch, gates, active), labels)
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient, loss.item()


@contextmanager
def _fixed_parameters(supernet: Supernet) -> Iterator[None]:
    """No parameter takes part in the graph meanwhile."""
    supernet.requires_grad_(False)
    try:
        yield
    finally:
        supernet.requires_grad_(True)
