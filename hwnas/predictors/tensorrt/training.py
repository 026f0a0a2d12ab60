"""Fits `Perceptrons`; the only part that needs torch."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.predictors.tensorrt.perceptrons import Perceptrons
from hwnas.progress import Progress, silent

if TYPE_CHECKING:
    import torch

__all__ = ["fit_perceptrons", "laplace", "relative_error"]

_BATCH = 256
_LR = 4e-3
_DECAY = 1e-2
#: Logarithms that are too high by more than this pull no harder.
_HIGH = 1.0


def relative_error(predicted: "torch.Tensor", true: "torch.Tensor") -> "torch.Tensor":
    """abs(p / t - 1) of numbers p and t whose logarithms are given; linear where p is e t or more."""
    off = predicted - true
    return off.clamp(max=_HIGH).expm1().abs() + math.exp(_HIGH) * (off - _HIGH).clamp(min=0)


def laplace(predicted: "torch.Tensor", size: "torch.Tensor") -> "torch.Tensor":
    """What errors of a size cost where their usual size was predicted, as a logarithm.

    Least where exp(predicted) is their mean: minus the logarithm of Laplace's density.
    """
    return predicted + size * (-predicted).exp()


def fit_perceptrons(
    columns: npt.NDArray[np.float32],
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
    x = torch.from_numpy((columns - centre) / scale)
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
                optimizer, _LR, total_steps=epochs * steps, pct_start=0.1
            )
            for epoch in range(epochs):
                for rows in torch.randperm(len(y))[: steps * batch].split(batch):
                    predicted = middle + spread * network(x[rows])[:, 0]
                    optimizer.zero_grad()
                    loss(predicted, y[rows]).mean().backward()
                    optimizer.step()
                    schedule.step()
                progress("fitting", (member + (epoch + 1) / epochs) / networks, "")
        members.append([parameter.detach().numpy().T for parameter in network.parameters()])
        members[-1][-2] *= spread
        members[-1][-1] = members[-1][-1] * spread + middle
    layers = [np.stack(layer).astype(np.float16) for layer in zip(*members, strict=True)]
    return Perceptrons(
        *(np.asarray(line, np.float64) for line in (low, high, centre, scale)),
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
