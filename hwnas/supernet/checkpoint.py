"""The state of a training in one safetensors file, from which it goes on bit for bit."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hwnas.errors import CheckpointError
from hwnas.files import write_atomically
from hwnas.supernet.network import Supernet

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(
    path: Path, supernet: Supernet, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Write weights, optimizer state and step; the old file stays until the new one is whole."""
    tensors = {f"weight {name}": tensor for name, tensor in supernet.state_dict().items()}
    for at, parameter in _parameters(optimizer):
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer {at} {key}"] = value
    contents = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    about = {"step": step, "kind": type(optimizer).__name__, **_identity(supernet)}
    write_atomically(path, save(contents, {"hwnas": json.dumps(about)}))


def load_checkpoint(path: Path, supernet: Supernet, optimizer: torch.optim.Optimizer) -> int:
    """Read what `save_checkpoint` wrote into a fresh supernet and optimizer; returns the step.

    Memory formats stay those of the supernet, so that training goes on with the same kernels.

    Raises:
        CheckpointError: the file is damaged, or of another space, sharing or optimizer.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["hwnas"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        step = int(about.pop("step"))
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read ({error}): remove it to train anew"
        ) from None
    expected = {"kind": type(optimizer).__name__, **_identity(supernet)}
    if about != expected:
        raise CheckpointError(
            f"{path} holds a training of {about}, not of {expected}: give another --out"
        )
    with torch.no_grad():
        for name, tensor in supernet.state_dict().items():
            tensor.copy_(tensors[f"weight {name}"])
        for at, parameter in _parameters(optimizer):
            prefix = f"optimizer {at} "
            for name, value in tensors.items():
                if name.startswith(prefix):
                    like = torch.empty_like(parameter) if value.shape == parameter.shape else value
                    optimizer.state[parameter][name.removeprefix(prefix)] = like.copy_(value)
    return step


def _identity(supernet: Supernet) -> dict[str, str]:
    return {"space": supernet.space.identifier, "sharing": supernet.sharing}


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[int, Tensor]]:
    return enumerate(p for group in optimizer.param_groups for p in group["params"])
