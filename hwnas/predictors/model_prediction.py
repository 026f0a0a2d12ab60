"""What a model will take, kernel by kernel."""

import math
from dataclasses import dataclass

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
        outside: in what it is far from every kernel that was measured, such as ``dilation``.
        note: why it is less sure than others, in words; empty where it is not.
    """

    name: str
    op: str
    key: str
    macs: int
    ms: float | None
    outside: tuple[str, ...] = ()
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
        macs: multiply-accumulates of the model as it was exported; None where nobody counted them.
            Kernels have their own, which a layout may have rounded up.
        spread: standard deviation of log(predicted / measured) of this model: what is unsure of its
            kernels, and what the table's random networks leave over; None: ``residual``.
        source: whose measurements they are, where they are not a table's.
    """

    predicted_ms: float
    kernels: tuple[KernelLatency, ...]
    call_ms: float
    target: Target
    residual: float
    count: int
    macs: int | None = None
    spread: float | None = None
    source: str = ""

    @property
    def at_least(self) -> bool:
        """Whether kernels are not in ``predicted_ms``, so that the model takes longer."""
        return bool(self.unpredicted)

    @property
    def outside(self) -> tuple[KernelLatency, ...]:
        """Predicted kernels that are far from all measured ones: the interval is wider for them."""
        return tuple(kernel for kernel in self.kernels if kernel.outside)

    @property
    def unpredicted(self) -> tuple[KernelLatency, ...]:
        """Kernels of families that were not measured, or whose shapes are not known."""
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
        """Milliseconds between which a measurement lies; its least where kernels are left out.

        From how sure each kernel is, and from the spread of whole networks around their predictions
        (Student's t). What ``unpredicted`` lists takes time that nobody knows: the upper end is
        infinite then.

        Raises:
            OptionError: the confidence is not between 0 and 1.
        """
        spread = student_quantile(confidence, self.count) * (
            self.residual if self.spread is None else self.spread
        )
        low, high = (self.predicted_ms * math.exp(sign * spread) for sign in (-1, 1))
        return low, math.inf if self.unpredicted else high
