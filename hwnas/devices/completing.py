"""A table made to hold every workload of a space: measured here, or estimated."""

from collections.abc import Sequence

from hwnas import spaces
from hwnas.devices import tables
from hwnas.devices.target import differences_here, runtime_for
from hwnas.errors import OptionError, UnknownNameError
from hwnas.latency_tables import LatencyTable
from hwnas.ops import Workload
from hwnas.profilers import extend_table
from hwnas.progress import Progress, say, silent
from hwnas.spaces import SearchSpace

__all__ = ["completed"]

#: At most this many missing workloads are named; of the others only the number is given.
_NAMED = 3


def completed(
    table: LatencyTable,
    space: SearchSpace,
    *,
    measure_here: bool,
    progress: Progress = silent,
    name: str | None = None,
) -> LatencyTable:
    """A table that holds every workload of a space; says what was added, and how.

    A table of another number of classes lacks the head, for example. What is lacking is measured
    where that is wanted and this machine is the table's target. Elsewhere, or where the table's own
    space is unknown here, it is estimated from what was measured: such entries are marked, and
    widen the intervals of what is predicted with them.

    Args:
        table: of any space.
        space: whose workloads are needed; its own where the table names it as its space.
        measure_here: measure what is lacking, if the table's target is this machine.
        progress: told after every round.
        name: of the runtime that measures, where it is not the table's own name for it.

    Returns:
        The same table if nothing is lacking.

    Raises:
        WorkloadNotInTableError: the runtime refused a workload when the table was made, or nothing
            of a workload's family was measured and it cannot be measured now.
        TableTargetError: too few workloads were measured to estimate others.
    """
    lacking = [w for w in table.missing(space.distinct_workloads) if w.key not in table.estimates]
    for workload in lacking:
        if workload.key in table.unmeasured:
            table.latency_ms(workload)  # raises, and says why it was refused
    if not lacking:
        return table
    origin = _origin(table, space) if measure_here else None
    if origin is None or differences_here(table.target, name):
        return _estimated(table, space, lacking)
    say(f"the table lacks {_names(lacking)} of {space.name}: measuring {_them(lacking)} now")
    return extend_table(
        table,
        origin,
        space,
        runtime_for(table.target, name),
        workloads=lacking,
        plan=tables.profile_plan(0.0),
        progress=progress,
    )


def _origin(table: LatencyTable, space: SearchSpace) -> SearchSpace | None:
    """The space that a table was made of, or None where it is not known here."""
    try:
        return spaces.remake(table.space.name, table.space.arguments, space)
    except (UnknownNameError, OptionError):
        return None


def _estimated(table: LatencyTable, space: SearchSpace, lacking: list[Workload]) -> LatencyTable:
    from hwnas.predictors import fill_gaps

    result = fill_gaps(table, lacking, space.families)
    spread = max(result.estimates[workload.key].spread for workload in lacking)
    say(
        f"the table lacks {_names(lacking)} of {space.name}: estimated, not measured, and off by "
        f"{spread:.1%}{' at most' if len(lacking) > 1 else ''} (standard deviation)"
    )
    return result


def _names(workloads: Sequence[Workload]) -> str:
    """``1 workload (KEY)``, or ``5 workloads (KEY; KEY; KEY and 2 others)``."""
    shown = "; ".join(w.key for w in workloads[:_NAMED])
    rest = len(workloads) - _NAMED
    if rest > 0:
        shown += f" and {rest} other{'s' if rest > 1 else ''}"
    return f"{len(workloads)} workload{'s' if len(workloads) > 1 else ''} ({shown})"


def _them(workloads: Sequence[Workload]) -> str:
    return "them" if len(workloads) > 1 else "it"
