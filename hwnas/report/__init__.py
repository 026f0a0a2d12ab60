"""One self-contained HTML page of runs, latency tables and measurements."""

from collections.abc import Sequence
from pathlib import Path

from hwnas.files import write_atomically
from hwnas.report.page import render, require_jinja
from hwnas.report.searched import Latencies
from hwnas.report.sections import section_of
from hwnas.report.sources import open_sources

__all__ = ["Latencies", "require_jinja", "write_report"]


def write_report(
    paths: Sequence[str], out: Path, latencies: Latencies | None = None
) -> list[tuple[str, str]]:
    """Write the page of some runs, latency tables and measurements.

    Args:
        paths: folders of runs, latency tables or their names, and what ``hwnas measure --json``
            printed.
        out: the file; an earlier one stays until the new one is whole.
        latencies: of runs whose folder holds no latency table.

    Returns:
        The name of each source and what it is, in order: ``search``, ``training``, ``ranking``,
        ``table`` or ``models``.

    Raises:
        MissingPackageError: jinja2 is not installed.
        CheckpointError: a path is no run, or damaged.
        OptionError: the paths are of different spaces.
    """
    require_jinja()
    sections = [section_of(source) for source in open_sources(paths, latencies)]
    write_atomically(out, render(sections).encode())
    return [(section.source.name, section.kind) for section in sections]
