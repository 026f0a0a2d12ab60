"""How much memory this machine has, and work that cannot fit into it, refused before it starts."""

import os
from contextlib import suppress
from pathlib import Path

from hwnas.errors import OptionError

__all__ = ["check_memory", "machine_bytes"]

#: Where Linux says how much of the machine's memory this process may use, of both versions.
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_bytes() -> float:
    """The memory that a process may use here; infinite where that cannot be told."""
    known = [float("inf")]
    with suppress(AttributeError, ValueError, OSError):
        known.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    for path in _LIMITS:
        with suppress(OSError, ValueError):  # it says "max" where there is no limit
            known.append(float(path.read_text()))
    return min(known)


def check_memory(needed: float, what: str, advice: str) -> None:
    """Refuse work that needs more memory than the machine has.

    Args:
        needed: bytes, at least.
        what: takes them: ``training this network``.
        advice: what to do.

    Raises:
        OptionError: it cannot fit.
    """
    there = machine_bytes()
    if needed > there:
        raise OptionError(
            f"{what} takes {needed / 1e9:,.0f} GB of memory or more, and this machine has "
            f"{there / 1e9:,.0f}: {advice}"
        )
