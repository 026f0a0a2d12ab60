"""The processor that this process runs on, as runtimes of CPUs tell and bound it."""

from hwnas.errors import OptionError
from hwnas.latency_tables import Target
from hwnas.profilers.host import cpu_cores, cpu_name, machine_digest

__all__ = ["check_threads", "cpu_target"]


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
