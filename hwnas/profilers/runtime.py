"""What a runtime file answers: load a model, run it once, and say what it ran on.

A runtime of another machine may instead measure whole rounds over there (`MeasuresRounds`), or need
a session there (`NeedsSession`). `is_remote` tells such a runtime from one of this machine.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import getattr_static
from typing import Any, Protocol, TypeGuard, runtime_checkable

from hwnas.errors import HwnasError, ModelRejectedError, OptionError
from hwnas.latency_tables import Conditions, Target
from hwnas.profilers.protocol import Job, Plan, Round, Samples
from hwnas.progress import Progress

__all__ = [
    "AnyRuntime",
    "Compiling",
    "HostFacts",
    "MeasuresRounds",
    "Models",
    "NeedsSession",
    "Remote",
    "Runtime",
    "Watched",
    "check_precision",
    "is_remote",
    "rejecting",
]

#: Name -> what writes the ONNX model, when it is needed.
Models = Mapping[str, Callable[[], bytes]]


class Runtime(Protocol):
    """One way to run ONNX models on one device."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions it can run."""
        ...

    def target(self, precision: str, batch: int) -> Target:
        """What the numbers will have been measured on."""
        ...

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """Prepare a model; the job runs it once on fixed random input and returns ms.

        ``warm``: each run finds its inputs and outputs in the cache, as a kernel within a network
        does. Where a runtime cannot arrange that, it changes nothing.
        """
        ...


@runtime_checkable
class MeasuresRounds(Protocol):
    """A runtime that measures whole rounds itself, on the machine that it is on."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions it can run."""
        ...

    def target(self, precision: str, batch: int) -> Target:
        """What the numbers will have been measured on."""
        ...

    def rounds(
        self,
        models: Models,
        reference: Callable[[], bytes],
        samples: Samples,
        plan: Plan,
        *,
        seed: int,
        progress: Progress,
    ) -> Iterator[Round]:
        """Each round is added to ``samples`` and yielded, as `run_rounds` does."""
        ...


AnyRuntime = Runtime | MeasuresRounds


@runtime_checkable
class NeedsSession(Protocol):
    """A runtime that is entered before its first model is loaded, and left after its last run."""

    def __enter__(self) -> object: ...

    def __exit__(self, *problem: object) -> None: ...

    def coarse(self, plan: Plan) -> Plan:
        """The plan for its runs, each of which takes the time of many."""
        ...


class HostFacts(Protocol):
    """What another machine says of itself."""

    @property
    def system(self) -> str:
        """Of the machine."""
        ...

    @property
    def python(self) -> str:
        """Its version, or ``none``."""
        ...


class Remote(Protocol):
    """A runtime of another machine."""

    @property
    def conditions(self) -> dict[str, Any] | None:
        """The device during the last measurement, as far as it told."""
        ...

    @property
    def host(self) -> HostFacts:
        """The machine; may ask it."""
        ...


def is_remote(runtime: object) -> TypeGuard[Remote]:
    """Whether a runtime is on another machine; asks no machine."""
    return getattr_static(runtime, "host", None) is not None


@runtime_checkable
class Watched(Protocol):
    """A runtime that also knows how its device was meanwhile."""

    def conditions(self) -> Conditions:
        """The device since the runtime was made."""
        ...


@runtime_checkable
class Compiling(Protocol):
    """A runtime that may take long to load a model, and tells meanwhile.

    Attributes:
        compiling: a function that is told the share that is done (0 to 1), and of what.
    """

    compiling: Callable[[float, str], None]


def check_precision(runtime: AnyRuntime, precision: str) -> None:
    """Raise `OptionError` if the runtime cannot run a precision."""
    if precision not in runtime.precisions:
        raise OptionError(
            f"{type(runtime).__name__} runs {', '.join(runtime.precisions)}, got {precision!r}"
        )


@contextmanager
def rejecting(said: str) -> Iterator[None]:
    """Make a `ModelRejectedError` of what a library raises of a model.

    Libraries raise errors that share no class. Ours pass as they are, and so does the lack of
    memory, which says nothing of the model.

    Args:
        said: what fails, as a sentence; the library's reason follows, on one line.
    """
    try:
        yield
    except (MemoryError, HwnasError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelRejectedError(f"{said}: {reason}") from None
