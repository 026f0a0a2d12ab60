"""Every error that hwnas raises on purpose.

Each message says what was wrong, what is allowed, what was got, and what to do.
``exit_status`` is what the command line leaves with: 2 for bad input, 1 for work that failed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "ArchitectureError",
    "BudgetError",
    "BudgetMissedError",
    "CheckpointError",
    "DataError",
    "DeviceMemoryError",
    "DeviceUnavailableError",
    "ExportError",
    "HwnasError",
    "InfeasibleBudgetError",
    "KernelNotInTableError",
    "MeasurementError",
    "MissingPackageError",
    "ModelFormatError",
    "ModelRejectedError",
    "OptionError",
    "PictureError",
    "PredictorFormatError",
    "TableFormatError",
    "TableTargetError",
    "UnknownNameError",
    "WorkerLostError",
    "WorkloadNotInTableError",
    "quoting",
]


class HwnasError(Exception):
    """Root of all errors raised by hwnas."""

    exit_status = 2


class UnknownNameError(HwnasError, LookupError):
    """A space, operator, method, device or table of this name does not exist.

    Attributes:
        what: was asked for: ``space``.
    """

    def __init__(self, what: str, got: object, allowed: list[str] | tuple[str, ...]):
        self.what = what
        super().__init__(f"unknown {what} {got!r}: choose one of {', '.join(allowed) or '(none)'}")


class OptionError(HwnasError, ValueError):
    """An argument has a value that is not allowed."""


class ArchitectureError(HwnasError, ValueError):
    """An architecture does not belong to the search space it was given to."""


class BudgetError(HwnasError, ValueError):
    """A budget that cannot be read."""


class InfeasibleBudgetError(HwnasError, ValueError):
    """No architecture of the space keeps the budget."""


class WorkloadNotInTableError(HwnasError, LookupError):
    """A latency table has no entry for a workload; there is no default latency."""


class KernelNotInTableError(HwnasError, LookupError):
    """A model runs kernels that no measured kernel of a latency table resembles."""


class ModelFormatError(HwnasError, ValueError):
    """A file is not an ONNX model whose kernels can be told."""


class TableFormatError(HwnasError, ValueError):
    """A file is not a latency table of a schema that this version reads."""


class TableTargetError(HwnasError, ValueError):
    """A latency table was made on another target, or for another space, than the one asked for."""


class PredictorFormatError(HwnasError, ValueError):
    """A file is not a fitted predictor of a schema that this version reads."""


class DeviceUnavailableError(HwnasError, RuntimeError):
    """The device or its runtime is not on this machine."""


class DataError(HwnasError, ValueError):
    """A data set that cannot be found or read."""


class CheckpointError(HwnasError, ValueError):
    """A run folder or checkpoint that belongs to other settings, or cannot be read."""


class MeasurementError(HwnasError, RuntimeError):
    """The device could not be measured."""

    exit_status = 1


class ModelRejectedError(MeasurementError):
    """The runtime cannot load or compile one model; others may still be measured."""


class DeviceMemoryError(MeasurementError):
    """The device ran out of memory."""

    def __init__(self, what: str):
        super().__init__(
            f"the device ran out of memory ({what}): give a smaller --batch, or end what else uses "
            "the device"
        )


class BudgetMissedError(HwnasError, RuntimeError):
    """The search ended without a network whose measured latency keeps the budget."""

    exit_status = 1


class ExportError(HwnasError, RuntimeError):
    """An exported file does not compute what the trained network computes."""

    exit_status = 1


class PictureError(HwnasError, RuntimeError):
    """A picture could not be drawn."""

    exit_status = 1


class WorkerLostError(HwnasError, RuntimeError):
    """A process of several that work together ended before its work was done."""

    exit_status = 1


class MissingPackageError(HwnasError, ImportError):
    """A package is not installed that only this feature needs."""


@contextmanager
def quoting(kind: type[HwnasError], said: str, more: str = "") -> Iterator[None]:
    """Make an error of ours of whatever a person's own code raises; ours pass as they are.

    Args:
        kind: of the error, which is told ``SAID ValueError: what it says MORE``.
        said: whose code it was, and what it was to do.
        more: with its own space or comma.
    """
    try:
        yield
    except HwnasError:
        raise
    except Exception as error:
        raise kind(f"{said} {type(error).__name__}: {error}{more}") from error
