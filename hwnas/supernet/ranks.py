"""Which of the processes that ``torchrun`` started this one is, read without loading torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.errors import OptionError

__all__ = ["Ranks", "torchrun_ranks"]

#: What torchrun sets in each process, with the least value of what is a number.
_NUMBERS = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "MASTER_PORT": 1}
_TEXT = "MASTER_ADDR"
#: The first and last port there may be; more processes than this do not train one network.
_MOST = 65_535
#: Which of them a cluster may have set for something else.
_OF_A_CLUSTER = {"MASTER_PORT", _TEXT}


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together.

    Attributes:
        rank, count: in all.
        local_rank, local_count: on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that searches, writes and prints."""
        return self.rank == 0


def torchrun_ranks(environment: Mapping[str, str] | None = None) -> Ranks:
    """What ``torchrun`` says of this process; one process alone where it started none.

    Args:
        environment: the variables; by default those of this process.

    Raises:
        OptionError: some of torchrun's variables are set and others are not, or one is no number
            that it can be: this process would wait for others, or leave the work to them.
    """
    given = os.environ if environment is None else environment
    found = [name for name in (*_NUMBERS, _TEXT) if given.get(name)]
    if set(found) <= _OF_A_CLUSTER:
        return Ranks()
    numbers = {name: _number(name, given[name]) for name in found if name != _TEXT}
    if numbers.get("WORLD_SIZE") == 1 and not numbers.get("RANK"):
        return Ranks()  # nobody to meet, and so no way there
    lacking = [name for name in (*_NUMBERS, _TEXT) if name not in found]
    if lacking:
        raise OptionError(
            f"{', '.join(f'{name}={given[name]}' for name in found)} of torchrun "
            f"{'is' if len(found) == 1 else 'are'} set without {', '.join(lacking)}: start with "
            "torchrun, which sets all, or unset them"
        )
    for rank, count in (("RANK", "WORLD_SIZE"), ("LOCAL_RANK", "LOCAL_WORLD_SIZE")):
        if numbers[rank] >= numbers[count]:
            raise OptionError(
                f"{rank} is below {count}, got {rank}={numbers[rank]} and {count}={numbers[count]}"
                ": start with torchrun, or unset them"
            )
    return Ranks(*(numbers[name] for name in tuple(_NUMBERS)[:4]))


def _number(name: str, text: str) -> int:
    least = _NUMBERS[name]
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= _MOST):
        raise OptionError(
            f"{name} of torchrun is a whole number from {least} to {_MOST}, got {text!r}: start "
            "with torchrun, or unset it"
        )
    return int(text)
