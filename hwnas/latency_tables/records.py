"""What a latency table is made of: its entries, the space they are of, and how they came about."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from hwnas.latency_tables.conditions import Conditions

__all__ = [
    "STRICT",
    "Estimate",
    "KernelNetwork",
    "KernelRecord",
    "Measurement",
    "Ms",
    "Provenance",
    "SpaceRecord",
    "Transfer",
]

Ms = Annotated[float, Gt(0)]
#: How strictly a file's JSON is read.
STRICT = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, slots=True)
class Measurement:
    """The latency of one model.

    Attributes:
        latency_ms: the median.
        relative_error: half the width of the median's 95 % confidence interval, relative to it.
        p10_ms, p90_ms: what a single run takes in 80 of 100 cases.
        runs: how many were timed.
    """

    __pydantic_config__ = STRICT

    latency_ms: Ms
    relative_error: Annotated[float, Ge(0)]
    p10_ms: Ms
    p90_ms: Ms
    runs: Annotated[int, Ge(1)]

    def scaled(self, factor: float) -> "Measurement":
        """The same measurement at another scale."""
        return replace(
            self,
            latency_ms=self.latency_ms * factor,
            p10_ms=self.p10_ms * factor,
            p90_ms=self.p90_ms * factor,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """The latency of a model that nobody measured, inferred from entries that were.

    Attributes:
        latency_ms: the estimated median.
        spread: standard deviation of log(estimated / measured) of such estimates, on workloads left
            out of the fit.
    """

    __pydantic_config__ = STRICT

    latency_ms: Ms
    spread: Annotated[float, Ge(0), Le(10)]

    def scaled(self, factor: float) -> "Estimate":
        """The same estimate at another scale."""
        return replace(self, latency_ms=self.latency_ms * factor)


@dataclass(frozen=True, slots=True)
class KernelNetwork:
    """A whole network that was measured, and which kernels it runs how often."""

    __pydantic_config__ = STRICT

    measurement: Measurement
    kernels: dict[str, Annotated[int, Ge(1)]]


@dataclass(frozen=True, slots=True)
class KernelRecord:
    """What predicts any ONNX model: single kernels, and networks that are made of such.

    Kernels are measured with their inputs in the cache, where the kernel before leaves them.

    Attributes:
        call: an almost empty model measured likewise: what a call costs.
        entries: kernel key -> measurement of the kernel alone, the call included.
        networks: name -> whole network.
    """

    __pydantic_config__ = STRICT

    call: Measurement
    entries: dict[str, Measurement]
    networks: dict[str, KernelNetwork]

    def scaled(self, factor: float) -> "KernelRecord":
        """The same record at another scale."""
        return KernelRecord(
            self.call.scaled(factor),
            {key: entry.scaled(factor) for key, entry in self.entries.items()},
            {
                name: replace(network, measurement=network.measurement.scaled(factor))
                for name, network in self.networks.items()
            },
        )


@dataclass(frozen=True, slots=True)
class SpaceRecord:
    """The search space that was profiled, enough to make it again."""

    __pydantic_config__ = STRICT

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Transfer:
    """How a table came from another target's: its shape was taken, and fitted to a few networks.

    Attributes:
        source: the target whose shape it is.
        source_digest: of the table it was taken from.
        networks: whole networks measured on the table's own target.
        residual: standard deviation of log(predicted / measured), each of them left out in turn.
    """

    __pydantic_config__ = STRICT

    source: str
    source_digest: str
    networks: Annotated[int, Ge(3)]
    residual: Annotated[float, Ge(0)]


@dataclass(frozen=True, slots=True)
class Provenance:
    """When and by what the table was made, and how the device was, where it tells.

    Attributes:
        conditions: of a GPU: driver, clocks, heat, throttling.
        host_state: of another machine: cores, clocks, heat and battery, as far as it told them.
        transfer: set where the workloads were not measured but taken from another table.
    """

    __pydantic_config__ = STRICT

    hwnas_version: str
    created_utc: str
    seconds: Annotated[float, Ge(0)]
    system: str
    python_version: str
    conditions: Conditions | None = None
    host_state: dict[str, Any] | None = None
    transfer: Transfer | None = None
