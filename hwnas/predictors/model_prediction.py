"""What a model will take, kernel by kernel."""

from dataclasses import dataclass

import numpy as np

from hwnas.latency_tables import Target
from hwnas.predictors.intervals import student_quantile

__all__ = ["KernelLatency", "ModelPrediction"]


@dataclass(frozen=True, slots=True)
class KernelLatency:
    """One kernel of a model in the order they run.

    Attributes:
        name: of the node that it is named after.
        op, key: its operator, and the operator with all sizes.
        macs: multiply-accumulates of a run.
        ms: None where it cannot be predicted.
        note: why it is less sure than others; empty where it is not.
    """

    name: str
    op: str
    key: str
    macs: int
    ms: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelPrediction:
    """What a model will take, and where it goes.

    Attributes:
        predicted_ms: of a whole run; the kernels in ``unpredicted`` are not in it.
        kernels: all kernels in order.
        call_ms: part of ``predicted_ms`` that belongs to no kernel.
        target: what it will take that long on.
        residual: root mean square of log(predicted / measured) on whole networks: random ones of
            the table, or for a card of others published ones, with what kernels are uncertain.
        count: how many of these there are.
        source: whose measurements they are, where they are not a table's; nothing is then said to
            lie below an upper end that leaves kernels out.
    """

    predicted_ms: float
    kernels: tuple[KernelLatency, ...]
    call_ms: float
    target: Target
    residual: float
    count: int
    source: str = ""

    @property
    def at_least(self) -> bool:
        """Whether ``predicted_ms`` is only a lower limit, since kernels are not in it."""
        return bool(self.source and self.unpredicted)

    @property
    def unpredicted(self) -> tuple[KernelLatency, ...]:
        """Kernels of families that the table did not measure, or whose shapes are not known."""
        return tuple(kernel for kernel in self.kernels if kernel.ms is None)

    def by_operator(self) -> dict[str, tuple[int, float]]:
        """Operator -> how many predicted kernels of it run, and their ms; the costliest first."""
        totals: dict[str, tuple[int, float]] = {}
        for kernel in self.kernels:
            if kernel.ms is not None:
                count, ms = totals.get(kernel.op, (0, 0.0))
                totals[kernel.op] = (count + 1, ms + kernel.ms)
        return dict(sorted(totals.items(), key=lambda item: -item[1][1]))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Milliseconds between which a measurement lies, where all kernels are predicted.

        From the spread of whole networks around their predictions (Student's t). Where a
        prediction is `at_least`, the upper end is infinite.

        Raises:
            OptionError: the confidence is not between 0 and 1.
        """
        spread = student_quantile(confidence, self.count) * self.residual
        high = float("inf") if self.at_least else self.predicted_ms * float(np.exp(spread))
        return self.predicted_ms * float(np.exp(-spread)), high
