"""What a runtime file answers: load a model, run it once, and say what it ran on."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from hwnas.latency_tables import Conditions, Target
from hwnas.profilers.protocol import Job

__all__ = ["Compiling", "Runtime", "Watched"]


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
class Watched(Protocol):
    """A runtime that also knows how its device was meanwhile."""

    def conditions(self) -> Conditions:
        """The device since the runtime was made."""
        ...


@runtime_checkable
class Compiling(Protocol):
    """A runtime that may take long to load a model, and tells meanwhile.

    Attributes:
        compiling: set by who wants to be told: the share that is done (0 to 1), and of what.
    """

    compiling: Callable[[float, str], None]
