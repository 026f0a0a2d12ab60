"""Models as they were measured: what is told of one, and of several together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwnas.devices.any_model.answers import Accuracy
from hwnas.devices.any_model.latency import Comparison, Latency
from hwnas.devices.any_model.probe import Probe
from hwnas.latency_tables import Target

__all__ = ["Measured", "Report"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One model as it was measured.

    Attributes:
        label: tells it from what was measured beside it.
        model: its file's name.
        target: what it was measured on.
        inputs: name -> sizes.
        latency: of its runs.
        probe: loading, first run, memory, operators; None where the runtime is on another machine.
        reference: of the network that ran between all runs; what it has in common with another
            measurement's is the machine's.
        accuracy: on test images, where data were given.
    """

    label: str
    model: str
    target: Target
    inputs: Mapping[str, tuple[int, ...]]
    latency: Latency
    probe: Probe | None
    reference: Latency
    accuracy: Accuracy | None = None

    @property
    def median_ms(self) -> float:
        """By the clock."""
        return self.latency.median_ms

    @property
    def interval_ms(self) -> tuple[float, float]:
        """Of the median, 95 %."""
        factor = 1 + self.latency.median_error
        return self.latency.median_ms / factor, self.latency.median_ms * factor

    @property
    def steady_ms(self) -> float:
        """While nothing else slows the device: what budgets of a search limit."""
        return self.latency.steady_ms

    @property
    def p90_ms(self) -> float:
        """90 of 100 runs take no longer, by the clock."""
        return self.latency.p90_ms

    @property
    def p99_ms(self) -> float:
        """99 of 100 runs take no longer, by the clock."""
        return self.latency.p99_ms


@dataclass(frozen=True)
class Report:
    """Several models as they were measured together.

    Attributes:
        measured: in the order they were given.
        comparisons: of models with one setting, and of one model with settings that differ in one.
        refused: what could not be measured, and why.
        remarks: settings that had no effect, and what is to be known of models that were converted.
    """

    measured: tuple[Measured, ...]
    comparisons: tuple[Comparison, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
