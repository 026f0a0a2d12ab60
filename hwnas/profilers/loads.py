"""Models that are loaded anew while they are measured.

Where a load puts a model in memory makes it faster or slower for as long as it lies there: a block
by one percent or so, a network by half of that. More runs do not average this, more loads do.
"""

from collections.abc import Callable

from hwnas.profilers.protocol import Job

__all__ = ["loaded_anew"]


def loaded_anew(load: Callable[[], Job], every: int, offset: int = 0) -> Job:
    """A job whose model is loaded, and run once untimed, again after so many runs.

    Args:
        load: loads the model.
        every: runs that a load makes.
        offset: runs by which the first load makes fewer, so that not all models load at once.
    """
    job, runs = load(), offset % every

    def run() -> float:
        nonlocal job, runs
        ms = job()
        runs += 1
        if runs == every:
            job, runs = load(), 0  # the old one goes after it, so that the new one lies elsewhere
            job()
        return ms

    return run
