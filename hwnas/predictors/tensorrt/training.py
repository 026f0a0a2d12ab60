"""Fits `Perceptrons`; the only part that needs torch."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.predictors.tensorrt.perceptrons import Perceptrons
from hwnas.progress import Progress, silent

if TYPE_CHECKING:
    import torch

__all__ = ["distance", "fit_perceptrons", "laplace"]

_BATCH = 128
_LR = 8e-3
_DECAY = 1e-3
#: Torch cannot divide a shorter cycle.
_LEAST_STEPS = 20


def distance(predicted: "torch.Tensor", true: "torch.Tensor") -> "torch.Tensor":
    """How far apart two numbers are; least where half of the true ones are larger."""
    return (predicted - true).abs()


def laplace(predicted: "torch.Tensor", size: "torch.Tensor") -> "torch.Tensor":
    """What errors of a size cost where their usual size was predicted, as a logarithm.

    Least where exp(predicted) is their mean: minus the logarithm of Laplace's density.
    """
    return predicted + size * (-predicted).exp()


def fit_perceptrons(
    columns: FloatArray,
    true: FloatArray,
    loss: "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]",
    *,
    networks: int,
    width: int,
    epochs: int,
    seed: int = 0,
    progress: Progress = silent,
) -> Perceptrons:
    """Networks whose outputs lose least.

    Adam with decoupled decay, one cycle of its step size; every network starts elsewhere and sees
    the rows in another order.

    Args:
        columns: what describes n rows, (n, n_columns).
        true: what to predict, (n,).
        loss: of each row, of what is predicted and what is true.
        networks: how many are averaged.
        width: of each of the three hidden layers.
        epochs: how often every row is seen.
        seed: of starts and orders.
        progress: told after every epoch.
    """
    import torch

    low, high = columns.min(axis=0), columns.max(axis=0)
    centre, scale = columns.mean(axis=0), columns.std(axis=0)
    scale[scale <= 1e-6 * (1 + np.abs(centre))] = 1.0
    middle, spread = float(np.mean(true)), float(np.std(true)) or 1.0
    x = torch.from_numpy(((columns - centre) / scale).astype(np.float32))
    y = torch.from_numpy(true.astype(np.float32))
    batch = min(_BATCH, len(y))
    steps = len(y) // batch
    members = []
    for member in range(networks):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * seed + member)
            network = _network(x.shape[1], width)
            optimizer = torch.optim.AdamW(network.parameters(), weight_decay=_DECAY)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, _LR, total_steps=max(epochs * steps, _LEAST_STEPS), pct_start=0.1
            )
            for epoch in range(epochs):
                for rows in torch.randperm(len(y))[: steps * batch].view(steps, batch):
                    predicted = middle + spread * network(x[rows])[:, 0]
                    optimizer.zero_grad()
                    loss(predicted, y[rows]).mean().backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    schedule.step()
                progress("fitting", (member + (epoch + 1) / epochs) / networks, "")
        members.append([parameter.detach().numpy().T for parameter in network.parameters()])
        members[-1][-2] *= spread
        members[-1][-1] = members[-1][-1] * spread + middle
    layers = [np.stack(layer).astype(np.float16) for layer in zip(*members, strict=True)]
    return Perceptrons(
        low=low,
        high=high,
        centre=centre,
        scale=scale,
        weights=tuple(layers[::2]),
        biases=tuple(bias[:, None] for bias in layers[1::2]),
    )


def _network(columns: int, width: int) -> "torch.nn.Sequential":
    from torch import nn

    return nn.Sequential(
        *(nn.Linear(columns, width), nn.SiLU()),
        *(nn.Linear(width, width), nn.SiLU()),
        *(nn.Linear(width, width), nn.SiLU()),
        nn.Linear(width, 1),
    )
