"""Tables in files: a space profiled, a table found or completed, one shaped from another's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hwnas import spaces
from hwnas.errors import OptionError
from hwnas.latency_tables import (
    LatencyTable,
    SpaceRecord,
    default_path,
    earlier_profile,
    find_table,
)
from hwnas.profilers import (
    AnyRuntime,
    Plan,
    check_kernels,
    check_precision,
    extend_table,
    profile_kernels,
    profile_space,
)
from hwnas.profilers.profile import profile_networks
from hwnas.progress import Progress, say, silent
from hwnas.spaces import SearchSpace

__all__ = [
    "PROFILE_SECONDS",
    "ProfileJob",
    "filled",
    "keep",
    "kernel_plan",
    "profile_plan",
    "profile_to_file",
    "table_for",
    "transfer_to_file",
]

#: A table that holds this share of a space's workloads is completed instead of measured anew.
_WORTH_COMPLETING = 0.75
#: Slow spells last seconds; a profile shorter than this may see little else.
PROFILE_SECONDS = 38.0
#: Tables that this process is measuring, where several devices are profiled at once.
_IN_WORK: set[Path] = set()


@dataclass(frozen=True, slots=True)
class ProfileJob:
    """What a profile measures, and where it is kept.

    Attributes:
        precision: of weights and activations.
        batch: images a run.
        seed: of the networks and the order of the runs.
        seconds: measure for at least so long.
        kernels: how many kernels of random networks are measured as well.
        n_workloads: measure only so many, and estimate the others from them; None: all.
        out: the file; None keeps it among the user's tables.
    """

    precision: str = "fp32"
    batch: int = 1
    seed: int = 0
    seconds: float = PROFILE_SECONDS
    kernels: int = 0
    n_workloads: int | None = None
    out: Path | None = None


def profile_plan(seconds: float) -> Plan:
    """How well a profile measures, and for how long at least."""
    return Plan(min_seconds=seconds)


def kernel_plan() -> Plan | None:
    """How well kernels are measured: as the profiler thinks best."""
    return None


def profile_to_file(
    space: SearchSpace,
    runtime: AnyRuntime,
    job: ProfileJob = ProfileJob(),
    progress: Progress = silent,
) -> tuple[Path, LatencyTable]:
    """Profile a space, and kernels if asked, into a file; killed, it goes on where it stopped.

    Raises:
        OptionError: the runtime does not run this precision, kernels cannot be profiled on it, or
            this process is measuring the same table already.
        MeasurementError: the device failed.
    """
    check_precision(runtime, job.precision)
    target = runtime.target(job.precision, job.batch)
    if job.kernels:
        check_kernels(target, job.kernels)
    path = job.out or default_path(target, _record(space))
    journal = path.with_name(f"{path.name}.partial")
    kernel_journal = path.with_name(f"{path.name}.kernels.partial")
    if journal.exists():
        say(f"going on with the unfinished profile {journal}")
    say(f"profiling {space.name} on {target}")
    with _alone(path):
        table = profile_space(
            space,
            runtime,
            precision=job.precision,
            batch=job.batch,
            n_workloads=job.n_workloads,
            plan=profile_plan(job.seconds),
            seed=job.seed,
            journal=journal,
            progress=progress,
        )
        if job.kernels:
            say(f"profiling {job.kernels} kernels of random networks, to predict any ONNX model")
            table = profile_kernels(
                table,
                space,
                runtime,
                job.kernels,
                plan=kernel_plan(),
                seed=job.seed,
                journal=kernel_journal,
                progress=progress,
            )
        if job.n_workloads is not None:
            table = filled(table, space, progress)
        return path, keep(path, table, journal, kernel_journal)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two profiles of one process must not write one journal."""
    if path in _IN_WORK:
        raise OptionError(f"{path.name} is being measured already: are two devices one machine?")
    _IN_WORK.add(path)
    try:
        yield
    finally:
        _IN_WORK.discard(path)


def keep(path: Path, table: LatencyTable, *journals: Path) -> LatencyTable:
    """Save a measured table at the scale it shares with earlier profiles of its target."""
    earlier = earlier_profile(table.target, table.space)
    if earlier is not None:
        table = table.pooled(earlier)
        own = table.reference_sessions_ms[-1] / table.reference_ms - 1
        say(
            f"scale: the mean of this and {len(table.reference_sessions_ms) - 1} earlier profiles "
            f"of this machine; it was {abs(own):.1%} {'slower' if own > 0 else 'faster'} this time"
        )
    table.save(path)
    for journal in journals:
        journal.unlink(missing_ok=True)
    return table


def filled(table: LatencyTable, space: SearchSpace, progress: Progress = silent) -> LatencyTable:
    """The table with estimates of what a space needs and it has not measured; says how good.

    Raises:
        TableTargetError: the table has too few measured workloads.
        WorkloadNotInTableError: a workload's family was not measured.
    """
    from hwnas.predictors import fill_gaps

    result = fill_gaps(table, space.distinct_workloads, space.families, progress)
    added = [entry for key, entry in result.estimates.items() if key not in table.estimates]
    if added:
        say(
            f"{len(added)} workloads are estimated, not measured: off by "
            f"{max(entry.spread for entry in added):.1%} at most (standard deviation)"
        )
    return result


def table_for(
    space: SearchSpace,
    runtime: AnyRuntime,
    precision: str,
    batch: int,
    progress: Progress = silent,
) -> tuple[Path, LatencyTable]:
    """This machine's table for a space: found, completed, or measured now; says which."""
    target = runtime.target(precision, batch)
    found = find_table(target, space.distinct_workloads, least=_WORTH_COMPLETING)
    if found is None:
        say(f"no latency table for this machine ({target}) holds {space.name}: measuring one first")
        return profile_to_file(space, runtime, ProfileJob(precision, batch), progress)
    path, table = found
    lacking = table.missing(space.distinct_workloads)
    if lacking:
        say(f"table {path.stem} lacks {len(lacking)} workloads of this space: measuring them")
        origin = spaces.remake(table.space.name, table.space.arguments, space)
        table = extend_table(table, origin, space, runtime, progress=progress)
        path = default_path(target, _record(space))
        table.save(path)
    return path, table


def transfer_to_file(
    space: SearchSpace,
    runtime: AnyRuntime,
    source: LatencyTable,
    count: int,
    job: ProfileJob = ProfileJob(),
    progress: Progress = silent,
) -> tuple[Path, LatencyTable]:
    """Measure a few whole networks, and shape a table from a similar device's.

    Args:
        space: whose networks are measured, and whose workloads the table is of.
        runtime: of the device.
        source: the similar device's table.
        count: how many networks.
        job: precision, batch, seed and file; the rest is not used.
        progress: told after every round.

    Raises:
        OptionError: the source lacks workloads of the space, or is no measured table.
    """
    from hwnas.predictors.transfer import fit_transfer, transferred

    lacking = source.missing(space.distinct_workloads)
    if lacking:
        raise OptionError(
            f"the table of {source.space.name} on {source.target} lacks {len(lacking)} workloads "
            f"of {space.name}, such as {lacking[0].key}: --from-table takes a table of the same "
            "space and input size"
        )
    if source.provenance.transfer is not None:
        raise OptionError(
            f"the table of {source.target} is a transferred table itself: --from-table takes a "
            "measured one"
        )
    networks, call, reference_ms, provenance = profile_networks(
        space,
        runtime,
        count,
        precision=job.precision,
        batch=job.batch,
        plan=profile_plan(0.0),
        seed=job.seed,
        progress=progress,
    )
    archs = [space.parse(text) for text in networks]
    measured_ms = [entry.latency_ms for entry in networks.values()]
    fit = fit_transfer(source, space, archs, measured_ms, call.latency_ms)
    entries, record = transferred(source, fit, call, space.families)
    target = runtime.target(job.precision, job.batch)
    table = replace(
        source,
        target=target,
        space=_record(space),
        reference_ms=reference_ms,
        reference_sessions_ms=(reference_ms,),
        call=call,
        workloads=entries,
        networks=networks,
        estimates={},  # what else the source knows is of its own device
        unmeasured={},
        kernels=None,
        provenance=replace(provenance, transfer=replace(record, networks=len(networks))),
    )
    path = default_path(target, table.space)
    path = job.out or path.with_name(f"{path.stem}-transferred.json")
    table.save(path)
    return path, table


def _record(space: SearchSpace) -> SpaceRecord:
    return SpaceRecord(space.name, dict(space.arguments))
