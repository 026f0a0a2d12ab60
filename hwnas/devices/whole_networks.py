"""A table of whole networks, of as many as it takes to know the latency of the others."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwnas.arrays import IntArray
from hwnas.devices import tables
from hwnas.devices.saving import alone, journal_of, remove
from hwnas.errors import TableFormatError
from hwnas.latency_tables import LatencyTable, SpaceRecord, Target, default_path
from hwnas.profilers import AnyRuntime, Plan
from hwnas.profilers.whole import profile_whole
from hwnas.progress import Progress, say, silent
from hwnas.spaces import SearchSpace

__all__ = ["MOST_NETWORKS", "whole_table"]

#: Networks that are measured at first, then each time that the interval is too wide, and at most.
_FIRST, _FURTHER, MOST_NETWORKS = 20, 10, 60
#: The interval that is narrow enough: of this confidence, and off by this at most.
_CONFIDENCE, _WITHIN = 0.9, 0.05
#: Each time at least so long, since slow spells of a machine last seconds.
_SECONDS = 8.0


def whole_table(
    space: SearchSpace,
    runtime: AnyRuntime,
    precision: str = "fp32",
    batch: int = 1,
    progress: Progress = silent,
    *,
    most: int = MOST_NETWORKS,
    plan: Plan | None = None,
    out: Path | None = None,
) -> tuple[Path, LatencyTable]:
    """Measure whole networks of a family until others are predicted well; says how well.

    Networks are drawn at random, 20 at first and then ten by ten, until a 90 % interval of what the
    others are predicted to take is within 5 %. What is measured is kept, and gone on from.

    Args:
        space: the family; has `SearchSpace.modules`.
        runtime: what runs the networks.
        precision, batch: of the models.
        progress: told after every round.
        most: networks to measure.
        plan: when a median is tight enough.
        out: the file; None keeps it among the user's tables.

    Raises:
        OptionError: the runtime does not run the precision.
        MeasurementError: the device failed.
    """
    target = runtime.target(precision, batch)
    path = out or default_path(target, SpaceRecord(space.name, dict(space.arguments)))
    table = _begun(path, target, space)
    order = _drawn(space, most)
    journal = journal_of(path)
    width = math.inf if table is None else _half_width(table, space)
    while table is None or (width > _WITHIN and _known(table) < len(order)):
        known = 0 if table is None else _known(table)
        count = min(len(order), known + _FURTHER if known else _FIRST)
        say(f"measuring {count - known} whole networks of {space.name} on {target}")
        with alone(path):
            measured = profile_whole(
                space,
                runtime,
                order[known:count],
                precision=precision,
                batch=batch,
                plan=plan or tables.profile_plan(_SECONDS),
                journal=journal,
                progress=progress,
            )
            table = measured if table is None else _joined(table, measured)
            table.save(path)
            remove(journal)
        width = _half_width(table, space)
    say(
        f"{len(table.networks)} whole networks of {space.name} were measured: others are predicted "
        f"within {width:.1%} in nine of ten cases"
    )
    return path, table


def _begun(path: Path, target: Target, space: SearchSpace) -> LatencyTable | None:
    """What was measured before."""
    try:
        table = LatencyTable.load(path)
    except TableFormatError:  # there is none, or something else that is about to be replaced
        return None
    same = table.space == SpaceRecord(space.name, dict(space.arguments))
    return table if same and table.target == target and table.networks else None


def _drawn(space: SearchSpace, count: int) -> IntArray:
    """Different networks (n, n_decisions) in random order, fewer where the space has fewer."""
    rows = space.canonical(space.sample(2 * count, seed=0))
    _, first = np.unique(rows, axis=0, return_index=True)
    different: IntArray = rows[np.sort(first)][:count]
    return different


def _known(table: LatencyTable) -> int:
    """Networks that were measured, or that the runtime refused."""
    return len(table.networks) + len(table.unmeasured)


def _joined(table: LatencyTable, further: LatencyTable) -> LatencyTable:
    """Both tables' networks, at the mean scale of both."""
    joined = further.pooled(table)
    factor = joined.reference_ms / table.reference_ms
    earlier = {name: entry.scaled(factor) for name, entry in table.networks.items()}
    return replace(
        joined,
        networks=earlier | joined.networks,
        unmeasured=table.unmeasured | joined.unmeasured,
    )


def _half_width(table: LatencyTable, space: SearchSpace) -> float:
    """How far above a prediction its interval ends, relative to it."""
    from hwnas.predictors.whole_networks import WholeNetworkPredictor

    return WholeNetworkPredictor.of_table(table, space).interval_factor(_CONFIDENCE) - 1
