"""How long work tells where it stands, and what it has to say."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hwnas.visible import console

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["LOG", "Progress", "named", "progress_bars", "say", "silent", "stderr"]

#: Called while something lasts: what it is, the share that is done (0 to 1), and a short remark.
Progress = Callable[[str, float, str], None]

#: What `say` says; the command line prints it, a program may listen to it.
LOG = logging.getLogger("hwnas")


def silent(task: str, share: float, remark: str) -> None:
    """Tell nobody."""


def named(progress: Progress, name: str) -> Progress:
    """The same with a name behind each task, so that it has a bar of its own."""
    return lambda task, share, remark: progress(f"{task}, {name}", share, remark)


def say(text: str, *, warning: str = "") -> None:
    """One line of words for a person, a warning first."""
    level = logging.WARNING if warning else logging.INFO
    LOG.log(level, " ".join(filter(None, (warning, text))), extra={"line": (warning, text)})


@lru_cache(maxsize=1)
def stderr() -> "Console":
    """Where bars are drawn and words are printed, so that neither overwrites the other."""
    return console(stderr=True)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Progress bars with the time left, one a task; a line at each end where stderr is a file."""
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
        console=stderr(),
        transient=True,
        disable=not (stderr().is_terminal or stderr().is_jupyter),
    )
    tasks: dict[str, Any] = {}
    ended: set[str] = set()
    with bars:

        def tell(task: str, share: float, remark: str) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=1.0, remark=remark)
            bars.update(tasks[task], completed=share, remark=remark)
            if bars.disable and share >= 1 and task not in ended:
                ended.add(task)
                say(f"{task}: done {remark}".rstrip())

        yield tell
