"""The state of a training in one safetensors file, from which it goes on bit for bit."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Ge, Le
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hwnas.documents import Document, check_regular, parse_document
from hwnas.errors import CheckpointError
from hwnas.files import write_atomically
from hwnas.spaces import SearchSpace
from hwnas.supernet.network import Supernet

__all__ = ["check_origin", "load_checkpoint", "load_weights", "save_checkpoint"]

_ADVICE = "remove it to train anew"
#: What optimizers keep of each parameter, beside how many steps it was trained.
_STEP = "step"


@dataclass(frozen=True, kw_only=True)
class _About(Document):
    """What a checkpoint says of itself; the rest is compared."""

    step: Annotated[int, Ge(0), Le(2**63 - 1)]
    kind: str


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
    *,
    steps: int | None = None,
    more: bool = False,
) -> int:
    """Read what `save_checkpoint` wrote into a fresh network and optimizer; returns the step.

    What was saved as ``extra`` is copied into the tensors of the same names. Memory formats stay
    those of the network, so that training goes on with the same kernels.

    Args:
        path: of the file.
        network, optimizer: fresh ones; what the file holds is copied into them.
        metadata: as it was saved.
        extra: as it was saved.
        steps: of the whole training, which the file cannot be beyond.
        more: whether the file may hold what ``extra`` does not ask for.

    Raises:
        CheckpointError: the file is damaged, or of another space, sharing, optimizer or metadata;
            network, optimizer and ``extra`` are then as before.
    """
    about, step, tensors = _read(path, steps)
    expected = _identity(network, optimizer, metadata)
    if about != expected:
        raise CheckpointError(
            f"{path} holds a training of {about}, not of {expected}: give another --out"
        )
    weights = {key: t for key, t in tensors.items() if key.startswith("weight ")}
    others = {key: t for key, t in tensors.items() if key.startswith("extra ")}
    kept = {f"extra {name}": (t.shape, t.dtype) for name, t in (extra or {}).items()}
    parameters = dict(_parameters(optimizer))
    rest = tensors.keys() - weights.keys() - others.keys()
    states = [(key, _owner(key, parameters), tensors[key]) for key in rest]
    fits = _fits(network, weights)
    held = {key: (t.shape, t.dtype) for key, t in others.items()}
    fits = fits and (held.items() >= kept.items() if more else held == kept)
    if not fits or not _is_state({key: (owner, value) for key, owner, value in states}):
        raise CheckpointError(f"the tensors of {path} do not fit this version of hwnas: {_ADVICE}")
    network.load_state_dict({key.removeprefix("weight "): t for key, t in weights.items()})
    for name, tensor in (extra or {}).items():
        tensor.data.copy_(others[f"extra {name}"])
    for key, owner, value in states:
        assert owner is not None
        like = torch.empty_like(owner if value.shape == owner.shape else value, device=owner.device)
        optimizer.state[owner][key.split(" ")[2]] = like.copy_(value)
    return step


def load_weights(path: Path, supernet: Supernet, steps: int | None = None) -> int:
    """Read the weights alone, to search with them; returns the step they were saved at.

    Args:
        path: of the file.
        supernet: gets the weights.
        steps: of the whole training, which the file cannot be beyond.

    Raises:
        CheckpointError: the file is damaged, or of another space or sharing.
    """
    about, step, tensors = _read(path, steps)
    _check_origin(path, about, supernet.space, supernet.sharing)
    weights = {key: t for key, t in tensors.items() if key.startswith("weight ")}
    if not _fits(supernet, weights):
        raise CheckpointError(f"the weights of {path} do not fit this version of hwnas: {_ADVICE}")
    supernet.load_state_dict({key.removeprefix("weight "): t for key, t in weights.items()})
    return step


def check_origin(path: Path, space: SearchSpace, sharing: str) -> None:
    """Whether a file holds the supernet of a space, as far as it says; its tensors are not read.

    Raises:
        CheckpointError: it does not.
    """
    about, _, _ = _read(path, tensors=False)
    _check_origin(path, about, space, sharing)


def _check_origin(
    path: Path, about: Mapping[str, object], space: SearchSpace, sharing: str
) -> None:
    of = {key: about.get(key) for key in ("space", "sharing")}
    expected = {"space": space.identifier, "sharing": sharing}
    if of != expected:
        raise CheckpointError(f"{path} holds the supernet of {of}, not of {expected}")


def _read(
    path: Path, steps: int | None = None, *, tensors: bool = True
) -> tuple[dict[str, object], int, dict[str, Tensor]]:
    """What a checkpoint says of itself, its step, and its tensors."""
    check_regular(path, _ADVICE)
    try:
        with safe_open(path, framework="pt") as file:
            text = file.metadata()["hwnas"].encode()
            names = file.keys() if tensors else []
            found = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read ({error}): {_ADVICE}"
        ) from None
    about = parse_document(text, _About, f"{path}, metadata", _ADVICE)
    step = int(about.pop("step"))
    if steps is not None and step > steps:
        raise CheckpointError(
            f"{path}, metadata: step {step} is beyond the {steps} steps of its training: {_ADVICE}"
        )
    return about, step, found


def _fits(network: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are those of the network, by name and shape."""
    expected = {f"weight {name}": t.shape for name, t in network.state_dict().items()}
    return {key: t.shape for key, t in weights.items()} == expected


def _is_state(states: Mapping[str, tuple[Tensor | None, Tensor]]) -> bool:
    """Whether tensors are what an optimizer keeps, all of it for each of their parameters."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for key, (owner, value) in states.items():
        _, at, kind = (*key.split(" "), "", "")[:3]
        kinds[at].add(kind)
        shape = torch.Size() if kind == _STEP else None if owner is None else owner.shape
        if owner is None or value.shape != shape or not value.is_floating_point():
            return False
        if kind == _STEP and not 0 <= value < torch.inf:
            return False
    return len({frozenset(found) for found in kinds.values()}) <= 1


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
