"""The processes that ``torchrun`` starts: rank 0 does the search, the others help it to train."""

import os

__all__ = ["leads", "world_size"]


def world_size() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this is the process that searches, writes and prints."""
    return os.environ.get("RANK", "0") == "0"
