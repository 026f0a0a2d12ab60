"""What is suspicious in a table that is formally right."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwnas.errors import OptionError, UnknownNameError
from hwnas.latency_tables.table import LatencyTable, Measurement
from hwnas.ops import MBConv, Op, Workload, parse_workload

__all__ = ["Finding", "check_table"]

#: A median that is not known to this is marked.
_LOOSE = 0.025
#: An estimate that is not known to this is marked.
_VAGUE = 0.25
#: Windows of a GPU agree better than runs on a processor: a coefficient of variation above this is
#: marked there. Of a normal distribution, it is the distance of the outer deciles over 2.563.
_VARIATION, _DECILES = 0.025, 2.563
#: A larger operator that is faster than a smaller one by more than this is marked.
_INVERSION = 0.10


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicious entry: which, and what about it."""

    entry: str
    problem: str


def check_table(
    table: LatencyTable, families: Mapping[str, type[Op]] = MappingProxyType({})
) -> list[Finding]:
    """What is suspicious: a wide spread, a loose median, an unknown key, less time for more work.

    Also what the runtime refused, and a device that throttled.

    Args:
        table: that was loaded.
        families: operators that do not ship, by name, such as `SearchSpace.families`.
    """
    findings: list[Finding] = []
    measured = [*table.workloads.items(), *table.networks.items()]
    if table.kernels is not None:
        measured += table.kernels.entries.items()
        measured += ((name, net.measurement) for name, net in table.kernels.networks.items())
    for key, measurement in measured:
        findings += [Finding(key, problem) for problem in _spread(measurement)]
        variation = (measurement.p90_ms - measurement.p10_ms) / _DECILES / measurement.latency_ms
        if table.target.kind == "gpu" and variation > _VARIATION:
            findings.append(Finding(key, f"unsteady: coefficient of variation {variation:.1%}"))
    known: dict[Workload, float] = {}
    for key, measurement in table.workloads.items():
        try:
            known[parse_workload(key, families)] = measurement.latency_ms
        except (UnknownNameError, OptionError):
            findings.append(Finding(key, "not a workload that this version knows"))
    findings += _inversions(known)
    for key, estimate in table.estimates.items():
        if estimate.spread > _VAGUE:
            findings.append(Finding(key, f"vague estimate: +-{estimate.spread:.0%}, not measured"))
    findings += [Finding(key, f"not measured: {why}") for key, why in table.unmeasured.items()]
    conditions = table.provenance.conditions
    if conditions is not None and conditions.warning is not None:
        findings.append(Finding("table", conditions.warning))
    if not table.networks:
        findings.append(Finding("networks", "none measured: nothing says how far sums are off"))
    return findings


def _spread(entry: Measurement) -> Iterator[str]:
    if entry.p90_ms - entry.p10_ms > entry.latency_ms / 3:
        yield (f"wide spread: 80 % of the runs take {entry.p10_ms:.3g} to {entry.p90_ms:.3g} ms")
    if entry.relative_error > _LOOSE:
        yield f"loose median: +-{entry.relative_error:.1%} after {entry.runs} runs"


def _inversions(known: dict[Workload, float]) -> Iterator[Finding]:
    for small, small_ms in known.items():
        for large, large_ms in known.items():
            if _does_more(large, small) and large_ms < small_ms * (1 - _INVERSION):
                yield Finding(
                    large.key, f"{large_ms:.3g} ms, but {small.key} takes {small_ms:.3g} ms"
                )


def _does_more(large: Workload, small: Workload) -> bool:
    """Whether one bottleneck has a larger kernel or expansion at the same shapes."""
    if not (isinstance(large.op, MBConv) and isinstance(small.op, MBConv)):
        return False
    same = (large.in_channels, large.out_channels, large.stride, large.height, large.width) == (
        small.in_channels,
        small.out_channels,
        small.stride,
        small.height,
        small.width,
    )
    grown = large.op.kernel >= small.op.kernel and large.op.expand >= small.op.expand
    return same and grown and large.op != small.op
