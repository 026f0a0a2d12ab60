"""The processes that ``torchrun`` starts: rank 0 does the search, the others help it to train."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.data import ArrayDataset

__all__ = ["help_training", "leads", "world_size"]

#: Settings of a search that its training depends on.
_TRAINING = ("seed", "steps", "optimizer", "base_rate", "shares")


def world_size() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this is the process that searches, writes and prints."""
    return os.environ.get("RANK", "0") == "0"


def help_training(
    out: Path, trained: SearchSpace, data: "ArrayDataset", settings: Mapping[str, Any]
) -> None:
    """Take part in the training of the leader's supernet, and be silent."""
    from hwnas.search.spos import train_supernet
    from hwnas.supernet import Supernet, UniformSampler, torchrun_workers

    if (out / "result.json").exists():
        return  # the leader only prints it
    with torchrun_workers() as workers:
        train_supernet(
            None,
            Supernet(trained, sharing=settings["sharing"], seed=settings["seed"]),
            UniformSampler(trained, seed=settings["seed"]),
            data,
            batch=settings["train_batch"],
            workers=workers,
            **{name: settings[name] for name in _TRAINING},
        )
