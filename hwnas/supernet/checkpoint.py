"""The state of a training in one safetensors file, from which it goes on bit for bit."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hwnas.errors import CheckpointError
from hwnas.files import open_regular, parse_json, write_atomically
from hwnas.supernet.network import Supernet

__all__ = ["load_checkpoint", "load_weights", "save_checkpoint"]


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    metadata: Mapping[str, str] | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> None:
    """Write weights, optimizer state and step; the old file stays until the new one is whole.

    Args:
        path: the file; a missing folder is made.
        network: a supernet, or one network; its parameters and batch-norm statistics are stored.
        optimizer: of the network's parameters. Its options are not stored: the learning rate
            follows from the step, the others from how it is made.
        step: training steps done.
        metadata: what else a training must agree on to go on from this file.
        extra: what else the training changes.
    """
    tensors = {f"weight {name}": tensor for name, tensor in network.state_dict().items()}
    for at, parameter in _parameters(optimizer):
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is not None:  # SGD keeps None for what was never trained
                tensors[f"optimizer {at} {key}"] = value
    tensors |= {f"extra {name}": tensor for name, tensor in (extra or {}).items()}
    contents = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    about = {"step": step, **_identity(network, optimizer, metadata)}
    write_atomically(path, save(contents, {"hwnas": json.dumps(about)}))


def load_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    metadata: Mapping[str, str] | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> int:
    """Read what `save_checkpoint` wrote into a fresh network and optimizer; returns the step.

    What was saved as ``extra`` is copied into the tensors of the same names. Memory formats stay
    those of the network, so that training goes on with the same kernels.

    Raises:
        CheckpointError: the file is damaged, or of another space, sharing, optimizer or metadata;
            network, optimizer and ``extra`` are then as before.
    """
    about, step, tensors = _read(path)
    expected = _identity(network, optimizer, metadata)
    if about != expected:
        raise CheckpointError(
            f"{path} holds a training of {about}, not of {expected}: give another --out"
        )
    weights = {key: t for key, t in tensors.items() if key.startswith("weight ")}
    others = {key: t for key, t in tensors.items() if key.startswith("extra ")}
    kept = {f"extra {name}": t.shape for name, t in (extra or {}).items()}
    parameters = dict(_parameters(optimizer))
    rest = tensors.keys() - weights.keys() - others.keys()
    states = [(key, _owner(key, parameters), tensors[key]) for key in rest]
    fits = _fits(network, weights) and {key: t.shape for key, t in others.items()} == kept
    if not fits or any(
        owner is None or (value.ndim and value.shape != owner.shape) for _, owner, value in states
    ):
        raise CheckpointError(
            f"the tensors of {path} do not fit this version of hwnas: remove it to train anew"
        )
    network.load_state_dict({key.removeprefix("weight "): t for key, t in weights.items()})
    for name, tensor in (extra or {}).items():
        tensor.data.copy_(others[f"extra {name}"])
    for key, owner, value in states:
        assert owner is not None
        like = torch.empty_like(owner if value.shape == owner.shape else value, device=owner.device)
        optimizer.state[owner][key.split(" ")[2]] = like.copy_(value)
    return step


def load_weights(path: Path, supernet: Supernet) -> int:
    """Read the weights alone, to search with them; returns the step they were saved at.

    Raises:
        CheckpointError: the file is damaged, or of another space or sharing.
    """
    about, step, tensors = _read(path)
    of = {key: about.get(key) for key in ("space", "sharing")}
    expected = {"space": supernet.space.identifier, "sharing": supernet.sharing}
    weights = {key: t for key, t in tensors.items() if key.startswith("weight ")}
    if of != expected or not _fits(supernet, weights):
        raise CheckpointError(f"{path} holds the supernet of {of}, not of {expected}")
    supernet.load_state_dict({key.removeprefix("weight "): t for key, t in weights.items()})
    return step


def _read(path: Path) -> tuple[dict[str, str], int, dict[str, Tensor]]:
    """What a checkpoint says of itself, its step, and its tensors."""
    try:
        open_regular(path).close()
        with safe_open(path, framework="pt") as file:
            about = parse_json(file.metadata()["hwnas"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return about, int(about.pop("step")), tensors
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read ({reason}): remove it to train anew"
        ) from None


def _fits(network: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are those of the network, by name and shape."""
    expected = {f"weight {name}": t.shape for name, t in network.state_dict().items()}
    return {key: t.shape for key, t in weights.items()} == expected


def _identity(
    network: nn.Module, optimizer: torch.optim.Optimizer, metadata: Mapping[str, str] | None
) -> dict[str, str]:
    """What must be equal for a training to go on."""
    about = {**(metadata or {}), "kind": type(optimizer).__name__}
    if isinstance(network, Supernet):
        about |= {"space": network.space.identifier, "sharing": network.sharing}
    return about


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[int, Tensor]]:
    return enumerate(p for group in optimizer.param_groups for p in group["params"])


def _owner(key: str, parameters: Mapping[int, Tensor]) -> Tensor | None:
    """The parameter that ``optimizer 12 exp_avg`` belongs to; None where the key is another."""
    match = re.fullmatch(r"optimizer (\d+) \w+", key)
    return parameters.get(int(match[1])) if match else None
