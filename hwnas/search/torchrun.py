"""The processes that ``torchrun`` starts: rank 0 does the search, the others help it to train."""

from hwnas.errors import OptionError
from hwnas.supernet.ranks import torchrun_ranks

__all__ = ["leads", "refuse_several", "world_size"]


def world_size() -> int:
    """How many processes torchrun started; 1 without it.

    Raises:
        OptionError: as `torchrun_ranks`.
    """
    return torchrun_ranks().count


def leads() -> bool:
    """Whether this is the process that searches, writes and prints.

    Raises:
        OptionError: as `torchrun_ranks`.
    """
    return torchrun_ranks().leads


def refuse_several(what: str) -> None:
    """Raise `OptionError` where torchrun started several processes of what runs in one."""
    if world_size() > 1:
        raise OptionError(f"{what} trains in one process: leave out torchrun")
