"""One training step of a single path, and what it needs; the loop belongs to the recipe."""

from math import cos, pi
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hwnas.data import CLASSIFICATION, Task, length, moved, rows_of, tensors
from hwnas.errors import OptionError
from hwnas.supernet.kinds import OPTIMIZERS, OptimizerKind, Schedule
from hwnas.supernet.network import Supernet
from hwnas.supernet.workers import SINGLE_PROCESS, Workers

__all__ = ["learning_rate", "make_optimizer", "train_step"]


def make_optimizer(
    module: nn.Module, kind: OptimizerKind = "adam", *, weight_decay: float | None = None
) -> torch.optim.Optimizer:
    """An optimizer whose learning rate `train_step` sets.

    Args:
        module: what to train.
        kind: ``adam``, which learns within minutes, or ``sgd`` with momentum 0.9, the choice of
            Single Path One-Shot.
        weight_decay: of all parameters but those of one dimension (batch-norms, biases); by default
            0 for Adam and 4e-5 for SGD.

    Raises:
        OptionError: unknown kind.
    """
    if kind not in OPTIMIZERS:
        raise OptionError(f"an optimizer is one of {', '.join(OPTIMIZERS)}, got {kind!r}")
    decay = weight_decay if weight_decay is not None else {"adam": 0.0, "sgd": 4e-5}[kind]
    parameters = list(module.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if kind == "adam":
        return torch.optim.Adam(groups, lr=0.0, fused=True)
    # not fused: that kernel takes no parameters without momentum yet beside those with one
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, foreach=True)


def learning_rate(
    step: int, steps: int, base: float, warm_up: int = 30, schedule: Schedule = "linear"
) -> float:
    """The learning rate of a step: a linear rise over ``warm_up`` steps, and a fall to zero.

    Args:
        step: 0 to ``steps - 1``.
        steps: length of the training.
        base: the highest rate.
        warm_up: steps.
        schedule: the fall: ``linear``, or half a ``cosine``.
    """
    fall = 1.0 - step / steps if schedule == "linear" else (1 + cos(pi * step / steps)) / 2
    return base * min(1.0, (step + 1) / max(1, warm_up)) * fall


def train_step(
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    images: Any,
    labels: Any,
    arch: npt.NDArray[np.int64],
    *,
    lr: float,
    label_smoothing: float = 0.0,
    max_norm: float | None = 5.0,
    micro_batches: int = 1,
    workers: Workers = SINGLE_PROCESS,
    task: Task = CLASSIFICATION,
    half: bool = False,
    own_share: bool = False,
) -> float:
    """Train the weights of one path, or of several at once, on one batch.

    Args:
        supernet: changed in place; left in training mode.
        optimizer: of the supernet's parameters.
        images: float32 (n, channels, height, width), or what else the networks read; of the whole
            batch, on every worker, or see ``own_share``.
        labels: int64 (n,), or what an own loss reads.
        arch: the path, one index per decision; or several (paths, n_decisions), each of which sees
            the whole batch, and whose gradients are averaged before the weights move.
        lr: learning rate of this step.
        label_smoothing: share of the target spread over all classes.
        max_norm: gradients are scaled down to this norm; None leaves them.
        micro_batches: equal parts of the batch, each normalised with its own statistics, whose
            gradients are averaged; a multiple of the workers.
        workers: the processes that compute the micro-batches.
        task: whose loss is trained.
        half: whether layers that gain by it compute in bfloat16.
        own_share: whether images and labels are those of this worker's micro-batches alone.

    Returns:
        The loss, cross-entropy in nats or a person's own, mean of the paths.

    Raises:
        OptionError: the batch is not divisible by the micro-batches.
    """
    if not supernet.training:
        supernet.train()
    for group in optimizer.param_groups:
        group["lr"] = lr
    count = length(labels) * (workers.count if own_share else 1)
    if count % micro_batches:
        raise OptionError(
            f"a batch of {count} images is not divisible by {micro_batches} micro-batches"
        )
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=workers.device)
    each = count // micro_batches
    paths = np.atleast_2d(arch)
    parts = micro_batches * len(paths)
    shares = workers.own_micro_batches(micro_batches)
    first = shares.start if own_share else 0
    for share in shares:
        rows = slice((share - first) * each, (share - first + 1) * each)
        x, target = (moved(rows_of(one, rows), workers.device) for one in (images, labels))
        for path in paths:
            with torch.autocast(workers.device.partition(":")[0], torch.bfloat16, enabled=half):
                found = supernet(x, path)
            found = tensors(found) if half else found
            loss = task.loss_of(found, target, label_smoothing) / parts
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
    grouped = (p for group in optimizer.param_groups for p in group["params"])
    trained = [p for p in grouped if p.grad is not None]
    mean = workers.add_gradients(trained, total)
    if max_norm is not None:
        nn.utils.clip_grad_norm_(trained, max_norm, foreach=True)
    optimizer.step()
    return mean
