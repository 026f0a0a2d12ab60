"""What is suspicious in a table that is formally right."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hwnas.errors import OptionError, UnknownNameError
from hwnas.latency_tables.table import LatencyTable, Measurement
from hwnas.ops import MBConv, Op, Workload, parse_workload

__all__ = ["Finding", "check_table", "only_noise"]

#: A median that is not known to this is marked.
_LOOSE = 0.025
#: An estimate that is not known to this is marked.
_VAGUE = 0.25
#: Windows of a GPU agree better than runs on a processor: a coefficient of variation above this is
#: marked there. Of a normal distribution, it is the distance of the outer deciles over 2.563.
_VARIATION, _DECILES = 0.025, 2.563
#: Runs of kernels of microseconds spread by as much, and their medians by a tenth of it, ms.
_INSTANT_MS = 0.02
#: A larger operator that is faster than a smaller one by more than this is marked.
_INVERSION = 0.10
#: Noise marks some entries of every profile. More than this share of them, and it is the profile
#: that is noisy; single ones are no reason to measure again, nor are this many of a small table.
_ORDINARY_SHARE, _ORDINARY_COUNT = 0.25, 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicious entry: which, and what about it.

    Attributes:
        entry: its key, or what of the table it is.
        problem: in words.
        noise: whether it is no more than what a machine's noise does to some entries of a profile.
    """

    entry: str
    problem: str
    noise: bool = False


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
        findings += [Finding(key, problem, noise=True) for problem in _spread(measurement)]
        variation = (measurement.p90_ms - measurement.p10_ms) / _DECILES / measurement.latency_ms
        if table.target.kind == "gpu" and variation > _VARIATION:
            text = f"unsteady: coefficient of variation {variation:.1%}"
            findings.append(Finding(key, text, noise=True))
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


def only_noise(table: LatencyTable, findings: Sequence[Finding]) -> bool:
    """Whether findings are what every profile has: a few entries that the machine's noise hit."""
    if not all(finding.noise for finding in findings):
        return False
    kernels = table.kernels
    count = len(table.workloads) + len(table.networks)
    count += 0 if kernels is None else len(kernels.entries) + len(kernels.networks)
    marked = len({finding.entry for finding in findings})
    return marked <= max(_ORDINARY_COUNT, _ORDINARY_SHARE * count)


def _spread(entry: Measurement) -> Iterator[str]:
    spread_ms = entry.p90_ms - entry.p10_ms
    if spread_ms > max(entry.latency_ms / 3, _INSTANT_MS):
        yield (f"wide spread: 80 % of the runs take {entry.p10_ms:.3g} to {entry.p90_ms:.3g} ms")
    loose = entry.relative_error > _LOOSE
    if loose and entry.relative_error * entry.latency_ms > _INSTANT_MS / 10:
        yield f"loose median: +-{entry.relative_error:.1%} after {entry.runs} runs"


def _inversions(known: dict[Workload, float]) -> Iterator[Finding]:
    """Bottlenecks that are faster than one of the same shapes that does less, each named once."""
    alike: dict[tuple[int, ...], list[tuple[Workload, MBConv, float]]] = {}
    for workload, ms in known.items():
        if isinstance(workload.op, MBConv):
            shape = (workload.in_channels, workload.out_channels, workload.stride)
            sizes = (workload.height, workload.width)
            alike.setdefault((*shape, *sizes), []).append((workload, workload.op, ms))
    for members in alike.values():
        latency = np.array([ms for *_, ms in members])
        kernel = np.array([op.kernel for _, op, _ in members])
        expand = np.array([op.expand for _, op, _ in members])
        for large, op, ms in members:
            less = (kernel <= op.kernel) & (expand <= op.expand)
            slower = less & (ms < latency * (1 - _INVERSION))  # never itself
            if slower.any():
                worst = int(np.where(slower, latency, 0.0).argmax())
                others = int(slower.sum()) - 1
                more = f", as do {others} others that do less" if others else ""
                small, _, small_ms = members[worst]
                text = f"{ms:.3g} ms, but {small.key} takes {small_ms:.3g} ms{more}"
                yield Finding(large.key, text, noise=True)
