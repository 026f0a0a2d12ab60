"""The processor that this process runs on, as runtimes of CPUs tell and bound it."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from hwnas.errors import OptionError
from hwnas.latency_tables import Target
from hwnas.profilers.host import cpu_cores, cpu_name, machine_digest
from hwnas.profilers.protocol import Job

__all__ = ["check_threads", "cpu_target", "warmed"]


def check_threads(threads: int) -> int:
    """The number of threads, if this process has so many cores.

    Raises:
        OptionError: fewer than one thread, or more than this process has cores.
    """
    if not 1 <= threads <= cpu_cores():
        raise OptionError(f"threads are 1 to {cpu_cores()} (cores here), got {threads}")
    return threads


def cpu_target(
    runtime: str, runtime_version: str, precision: str, batch: int, threads: int
) -> Target:
    """This machine's processor with a runtime."""
    return Target(
        kind="cpu",
        device=cpu_name(),
        device_id=machine_digest(),
        runtime=runtime,
        runtime_version=runtime_version,
        precision=precision,  # type: ignore[arg-type]
        batch=batch,
        threads=threads,
    )


def warmed(job: Job, arrays: Iterable[npt.NDArray[np.generic]]) -> Job:
    """A job that touches the arrays it reads and writes, untimed, before each run.

    A kernel then finds its input in the cache, where a network's kernel before it would have left
    it, and its weights where they were.

    Args:
        job: what runs.
        arrays: each without gaps in memory; their values stay.
    """
    memory = [array.reshape(-1).view(np.uint8) for array in arrays]

    def warm() -> float:
        for values in memory:
            values |= 0
        return job()

    return warm
