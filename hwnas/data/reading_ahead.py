"""Batches of pixels that other processes decode before they are asked for.

What is read does not depend on how many processes read it, nor on what was asked for before: a
batch is a list of places, and every image follows from its own place alone.
"""

import os
import signal
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeVar

from hwnas.errors import WorkerLostError

__all__ = ["Ahead", "automatic_workers", "in_order", "needed_workers"]

T = TypeVar("T")
P = TypeVar("P")

#: More processes than these only wait for the disk or the network that is trained.
_MOST_WORKERS = 8
#: Steps that a training may leave to others before it is no sequence any more.
_MOST_STRIDE = 64


def automatic_workers() -> int:
    """How many processes read images where nothing is said: one a core, at most 8."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    return min(cores, _MOST_WORKERS)


def needed_workers(workers: int, plans: Sized) -> int:
    """How many of so many processes have something to do; 0 for a single batch, read here."""
    return min(workers, len(plans)) if len(plans) > 1 else 0


def in_order(read: Callable[[P], T], plans: Iterable[P], workers: int) -> Iterator[T]:
    """``read`` of each plan, in their order, by a number of processes; 0 is this one.

    Args:
        read: a function that can be pickled; of what it returns, tensors are not copied.
        plans: what is read; a generator is asked a few ahead.
        workers: processes, which end with the iterator.

    Raises:
        WorkerLostError: one of them died.
    """
    if not workers:
        yield from map(read, plans)
        return
    import torch
    from torch.utils.data import DataLoader

    with warnings.catch_warnings():
        # more processes than cores may make sense: the disk may be slow
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        # what is forked runs no code of those threads: it reads files into arrays
        warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
        loader: DataLoader[Any] = DataLoader(
            _Reads(read),  # type: ignore[arg-type]
            batch_sampler=_Plans(plans),  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_as_it_is,
            worker_init_fn=_leave_signals,
            generator=torch.Generator(),  # or it would draw from the one that training draws from
        )
        found: Any = iter(loader)
    while True:
        try:
            result = next(found)
        except StopIteration:
            return
        except (RuntimeError, OSError, EOFError) as error:  # it died before or amid handing over
            with suppress(RuntimeError):  # said again while the others are ended
                found._shutdown_workers()
            raise WorkerLostError(
                f"a process that reads images ended ({' '.join(str(error).split())}): start the "
                "same command again, it goes on from the last checkpoint; with fewer "
                "--data-workers it needs less memory"
            ) from None
        yield result


@dataclass(eq=False)
class Ahead(Generic[P, T]):
    """Hands out the batches of steps; those of a sequence of steps are read ahead.

    The first two steps say how far apart steps are. Any other step is read when it is asked for,
    and ends the sequence.

    Attributes:
        read: see `in_order`.
        workers: how many read ahead; 0 for none.
    """

    read: Callable[[P], T]
    workers: int
    _of: Hashable = None
    _last: int = -1
    _stride: int = 0
    _running: Iterator[T] | None = field(default=None, repr=False)

    def batch(self, step: int, of: Hashable, plan: Callable[[int], P]) -> T:
        """What is read for a step.

        Args:
            step: its number.
            of: names the sequence.
            plan: what is to be read for each step of it.

        Raises:
            WorkerLostError: a process that reads ended.
        """
        stride = step - self._last
        goes_on = of == self._of and self._last >= 0
        self._of, self._last = of, step
        if self._running is not None and goes_on and stride == self._stride:
            try:
                return next(self._running)
            except BaseException:
                self._running = None
                raise
        self._running = None
        if not self.workers or not goes_on or not 0 < stride <= _MOST_STRIDE:
            return self.read(plan(step))
        self._stride = stride
        self._running = in_order(self.read, map(plan, count(step, stride)), self.workers)
        return next(self._running)


@dataclass(frozen=True, eq=False)
class _Reads(Generic[P, T]):
    """What torch calls a data set: it takes the plan of a batch, and gives the batch."""

    read: Callable[[P], T]

    def __getitems__(self, plan: P) -> T:
        return self.read(plan)


@dataclass(frozen=True, eq=False)
class _Plans(Generic[P]):
    """What torch calls a sampler of batches."""

    plans: Iterable[P]

    def __iter__(self) -> Iterator[P]:
        return iter(self.plans)


def _as_it_is(batch: T) -> T:
    return batch


def _leave_signals(worker: int) -> None:
    """Ctrl-C reaches all processes of a terminal: the one that trains ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
