"""Where this user's tables lie, and which of them belongs to a target."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TypeGuard

from hwnas.errors import TableFormatError
from hwnas.latency_tables.names import own_tables, shipped, tables_folder
from hwnas.latency_tables.table import LatencyTable, SpaceRecord
from hwnas.latency_tables.target import Target
from hwnas.ops import Workload

__all__ = [
    "all_tables",
    "default_path",
    "earlier_profile",
    "find_table",
    "table_path",
]


def default_path(target: Target, space: SpaceRecord) -> Path:
    """Where a profile of a space on a target is kept when no file is named."""
    text = repr((astuple(target), space.name, sorted(space.arguments.items())))
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    size = space.arguments.get("input_size", "")
    name = f"{space.name}-{size}px-{target.kind}-{target.precision}-b{target.batch}"
    threads = f"-t{target.threads}" if target.kind == "cpu" else ""
    return tables_folder() / f"{name}{threads}-{digest}.json"


def all_tables() -> Iterator[tuple[str, Path, LatencyTable | TableFormatError]]:
    """Name, path and content of the user's tables and the shipped ones; errors are handed over."""
    yield from _read(own_tables())
    yield from _read(shipped())


def table_path(name: str) -> str:
    """The path of a table of the user's, or one that ships, by name; anything else as it is."""
    return str({**shipped(), **own_tables()}.get(name, name))


def _read(
    named: Mapping[str, Path],
) -> Iterator[tuple[str, Path, LatencyTable | TableFormatError]]:
    for name, path in named.items():
        try:
            yield name, path, LatencyTable.load(path)
        except TableFormatError as error:
            yield name, path, error


def _measured_on(table: LatencyTable | TableFormatError, target: Target) -> TypeGuard[LatencyTable]:
    """Whether a table was measured on exactly this target; a transferred one was not."""
    return (
        isinstance(table, LatencyTable)
        and table.target == target
        and table.provenance.transfer is None
    )


def earlier_profile(target: Target, space: SpaceRecord) -> LatencyTable | None:
    """The user's table of the same target and space that most profiles stand behind."""
    same = [
        table
        for _, _, table in _read(own_tables())
        if _measured_on(table, target) and table.space == space
    ]
    return max(same, key=lambda table: len(table.reference_sessions_ms), default=None)


def find_table(
    target: Target, workloads: Iterable[Workload], least: float = 1.0
) -> tuple[Path, LatencyTable] | None:
    """The user's table of exactly this target that holds the most of some workloads.

    Tables that ship are examples and must be named: an equal processor is not an equal machine.

    Args:
        target: device, runtime version, precision, batch and threads must all be equal.
        workloads: what is needed.
        least: the share of them that must be there.
    """
    needed = list(workloads)
    best: tuple[Path, LatencyTable] | None = None
    fewest = (1 - least) * len(needed)
    for _, path, table in _read(own_tables()):
        if _measured_on(table, target):
            lacking = len(table.missing(needed))
            if lacking < fewest or (lacking <= fewest and best is None):
                best, fewest = (path, table), lacking
    return best
