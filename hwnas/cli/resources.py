"""What commands need before they can work: a space from flags, a table for this machine."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas import spaces
from hwnas.cli.output import say, show_progress
from hwnas.errors import OptionError
from hwnas.latency_tables import (
    LatencyTable,
    SpaceRecord,
    Target,
    all_tables,
    default_path,
    earlier_profile,
    find_table,
)
from hwnas.progress import Progress
from hwnas.spaces import SearchSpace
from hwnas.spaces.shufflenet import CHANNEL_SCALES

if TYPE_CHECKING:
    from hwnas.profilers import AnyRuntime, Plan, Runtime

__all__ = [
    "PROFILE_SECONDS",
    "filled",
    "keep",
    "kernel_plan",
    "make_space",
    "precision_for",
    "profile_plan",
    "profile_to_file",
    "resolved",
    "runtime_of_table",
    "table_for",
]

#: A table that holds this share of a space's workloads is completed instead of measured anew.
_WORTH_COMPLETING = 0.75
#: Slow spells last seconds; a profile shorter than this may see little else.
PROFILE_SECONDS = 38.0
#: Tables that this process is measuring, where several devices are profiled at once.
_IN_WORK: set[Path] = set()


def make_space(name: str, *, channels: bool = False, **arguments: Any) -> SearchSpace:
    """The space of the flags; those that were not given are left to the space."""
    if channels:
        arguments["scales"] = CHANNEL_SCALES
    return spaces.space(name, **{k: v for k, v in arguments.items() if v is not None})


def precision_for(space: SearchSpace, asked: str | None) -> str:
    """What a space is measured in, if nothing is asked: int8 where it has few-bit weights.

    Raises:
        OptionError: few bits were asked to be measured as floats, which would tell nothing.
    """
    if space.quantised and asked not in (None, "int8"):
        raise OptionError(
            f"{space.name} has weights and activations of 1 to 4 bits, which run as int8 kernels: "
            f"its precision is int8, got {asked}"
        )
    return asked or ("int8" if space.quantised else "fp32")


def profile_plan(seconds: float) -> "Plan":
    """How well a profile measures, and for how long at least."""
    from hwnas.profilers import Plan

    return Plan(min_seconds=seconds)


def filled(table: LatencyTable, space: SearchSpace) -> LatencyTable:
    """The table with estimates of what a space needs and it has not measured; says how good."""
    from hwnas.predictors import fill_gaps

    result = fill_gaps(table, space.distinct_workloads)
    added = [entry for key, entry in result.estimates.items() if key not in table.estimates]
    if added:
        say(
            f"{len(added)} workloads are estimated, not measured: off by "
            f"{max(entry.spread for entry in added):.1%} at most (standard deviation)"
        )
    return result


def kernel_plan() -> "Plan | None":
    """How well kernels are measured: as the profiler thinks best."""
    return None


def profile_to_file(
    space: SearchSpace,
    runtime: "AnyRuntime",
    precision: str,
    batch: int,
    *,
    out: Path | None = None,
    seed: int = 0,
    seconds: float = PROFILE_SECONDS,
    kernels: int = 0,
    n_workloads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Path, LatencyTable]:
    """Profile a space, and kernels if asked, into a file; killed, it goes on where it stopped.

    With ``n_workloads`` only so many are measured, and the others estimated from them. ``progress``
    is told instead of a display of its own, where several profiles share one.
    """
    from hwnas.profilers import check_kernels, check_precision, profile_kernels, profile_space

    check_precision(runtime, precision)
    target = runtime.target(precision, batch)
    if kernels:
        check_kernels(target, kernels)
    path = out or default_path(target, SpaceRecord(space.name, dict(space.arguments)))
    journal = path.with_name(f"{path.name}.partial")
    kernel_journal = path.with_name(f"{path.name}.kernels.partial")
    if journal.exists():
        say(f"going on with the unfinished profile {journal}")
    say(f"profiling {space.name} on {target}")
    with _alone(path), nullcontext(progress) if progress else show_progress() as tell:
        table = profile_space(
            space,
            runtime,
            precision=precision,
            batch=batch,
            n_workloads=n_workloads,
            plan=profile_plan(seconds),
            seed=seed,
            journal=journal,
            progress=tell,
        )
        if kernels:
            say(f"profiling {kernels} kernels of random networks, to predict any ONNX model")
            table = profile_kernels(
                table,
                space,
                runtime,
                kernels,
                plan=kernel_plan(),
                seed=seed,
                journal=kernel_journal,
                progress=tell,
            )
        if n_workloads is not None:
            table = filled(table, space)
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


def table_for(
    space: SearchSpace, runtime: "Runtime", precision: str, batch: int
) -> tuple[Path, LatencyTable]:
    """This machine's table for a space: found, completed, or measured now; says which."""
    from hwnas.profilers import extend_table

    target = runtime.target(precision, batch)
    found = find_table(target, space.distinct_workloads, least=_WORTH_COMPLETING)
    if found is None:
        say(f"no latency table for this machine ({target}) holds {space.name}: measuring one first")
        return profile_to_file(space, runtime, precision, batch)
    path, table = found
    lacking = table.missing(space.distinct_workloads)
    if lacking:
        say(f"table {path.stem} lacks {len(lacking)} workloads of this space: measuring them")
        origin = spaces.space(table.space.name, **table.space.arguments)
        with show_progress() as progress:
            table = extend_table(table, origin, space, runtime, progress=progress)
        path = default_path(target, SpaceRecord(space.name, dict(space.arguments)))
        table.save(path)
    return path, table


def runtime_of_table(target: Target, device: str) -> str | None:
    """The runtime that measured a table, if it is one of several that the device has."""
    return target.runtime if device == target.kind == "gpu" else None


def resolved(name: str) -> str:
    """A name from ``hwnas tables list`` as a path; anything else as it is."""
    return next((str(path) for known, path, _ in all_tables() if known == name), name)
