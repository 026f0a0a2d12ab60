"""Tables in files: a space profiled, a table found or completed, one shaped from another's."""

from dataclasses import dataclass, replace
from pathlib import Path

from hwnas import spaces
from hwnas.devices.fitting import check_profile_fits
from hwnas.devices.saving import alone, journal_of, keep, remove, saved_already
from hwnas.errors import OptionError
from hwnas.latency_tables import (
    LatencyTable,
    SpaceRecord,
    default_path,
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
from hwnas.profilers.measuring import runs_a_load
from hwnas.profilers.profile import profile_networks
from hwnas.progress import Progress, say, silent
from hwnas.spaces import SearchSpace

__all__ = [
    "PROFILE_SECONDS",
    "RELOADED_SECONDS",
    "ProfileJob",
    "filled",
    "kernel_plan",
    "profile_plan",
    "profile_to_file",
    "table_for",
    "transfer_to_file",
]

#: A table that holds this share of a space's workloads is completed instead of measured anew.
_WORTH_COMPLETING = 0.75
#: Slow spells last seconds; a profile of a CPU shorter than this may see little else.
PROFILE_SECONDS = 38.0
#: Where models are loaded anew meanwhile more runs of a load say little.
RELOADED_SECONDS = 21.0
_MOST_RUNS_OF_RELOADED = 150


@dataclass(frozen=True, slots=True)
class ProfileJob:
    """What a profile measures, and where it is kept.

    Attributes:
        precision: of weights and activations.
        batch: images a run.
        seed: of the networks and the order of the runs.
        seconds: measure for at least so long; None: `PROFILE_SECONDS`, or `RELOADED_SECONDS`
            on a runtime that loads models anew meanwhile.
        kernels: how many kernels of random networks are measured as well.
        n_workloads: measure only so many, and estimate the others from them; None: all.
        out: the file; None keeps it among the user's tables.
    """

    precision: str = "fp32"
    batch: int = 1
    seed: int = 0
    seconds: float | None = None
    kernels: int = 0
    n_workloads: int | None = None
    out: Path | None = None


def profile_plan(seconds: float) -> Plan:
    """How well a profile measures, and for how long at least."""
    return Plan(min_seconds=seconds)


def _plan_for(runtime: AnyRuntime, seconds: float | None) -> Plan:
    """The plan of a profile on a runtime."""
    if runs_a_load(runtime) is None:
        return profile_plan(PROFILE_SECONDS if seconds is None else seconds)
    plan = profile_plan(RELOADED_SECONDS if seconds is None else seconds)
    return replace(plan, max_runs=min(plan.max_runs, _MOST_RUNS_OF_RELOADED))


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
        CheckpointError: beside the file lies an unfinished profile of other settings.
        OptionError: the runtime does not run this precision, kernels cannot be profiled on it, or
            the same table is being measured already.
        MeasurementError: the device failed.
    """
    check_precision(runtime, job.precision)
    check_profile_fits(space, runtime, job.batch)
    target = runtime.target(job.precision, job.batch)
    if job.kernels:
        check_kernels(target, job.kernels)
    path = job.out or default_path(target, _record(space))
    journal = journal_of(path)
    kernel_journal = journal_of(path, "kernels") if job.kernels else None
    begun = journal.exists()
    say(f"profiling {space.name} on {target}")
    with alone(path):
        table = profile_space(
            space,
            runtime,
            precision=job.precision,
            batch=job.batch,
            n_workloads=job.n_workloads,
            plan=_plan_for(runtime, job.seconds),
            seed=job.seed,
            journal=journal,
            progress=progress,
        )
        saved = saved_already(path, table, kernels=job.kernels > 0) if begun else None
        if saved is not None:
            say(f"it was measured and saved already, and its journals were left: {path}")
            remove(kernel_journal, journal)
            return path, saved
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
        # the space's journal goes last: what is saved is told by it
        return path, keep(path, table, kernel_journal, journal)


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
        path = default_path(target, _record(space))
        journal = journal_of(path, "lacking")
        table = extend_table(table, origin, space, runtime, journal=journal, progress=progress)
        table.save(path)
        remove(journal)
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

    What the source estimates, as all of an engine's that is not here, stays an estimate.

    Args:
        space: whose networks are measured, and whose workloads the table is of.
        runtime: of the device.
        source: the similar device's table.
        count: how many networks.
        job: precision, batch, seed and file; the rest is not used.
        progress: told after every round.

    Raises:
        OptionError: the source lacks workloads of the space, or is a transferred table.
    """
    from hwnas.predictors.transfer import fit_transfer, transferred, transferred_estimates

    needed = {w.key for w in space.distinct_workloads}
    known = {key: entry for key, entry in source.estimates.items() if key in needed}
    source = replace(source, estimates=known)  # what else it estimates is of its own device
    lacking = [w for w in source.missing(space.distinct_workloads) if w.key not in known]
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
    target = runtime.target(job.precision, job.batch)
    path = default_path(target, _record(space))
    path = job.out or path.with_name(f"{path.stem}-transferred.json")
    journal = journal_of(path)
    networks, call, reference_ms, provenance = profile_networks(
        space,
        runtime,
        count,
        precision=job.precision,
        batch=job.batch,
        plan=profile_plan(0.0),
        seed=job.seed,
        journal=journal,
        progress=progress,
    )
    archs = [space.parse(text) for text in networks]
    measured_ms = [entry.latency_ms for entry in networks.values()]
    fit = fit_transfer(source, space, archs, measured_ms, call.latency_ms)
    entries, record = transferred(source, fit, call, space.families)
    table = replace(
        source,
        target=target,
        space=_record(space),
        reference_ms=reference_ms,
        reference_sessions_ms=(reference_ms,),
        call=call,
        workloads=entries,
        networks=networks,
        estimates=transferred_estimates(source, fit, call, space.families),
        unmeasured={},
        kernels=None,
        provenance=replace(provenance, transfer=replace(record, networks=len(networks))),
    )
    table.save(path)
    remove(journal)
    return path, table


def _record(space: SearchSpace) -> SpaceRecord:
    return SpaceRecord(space.name, dict(space.arguments))
