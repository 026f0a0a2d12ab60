"""Measured tables on their way into files: each profile counts once, and none is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwnas.errors import OptionError, TableFormatError
from hwnas.latency_tables import LatencyTable, earlier_profile
from hwnas.progress import say

__all__ = ["alone", "journal_of", "keep", "remove", "saved_already"]

#: Tables that this process is measuring, where several devices are profiled at once.
_IN_WORK: set[Path] = set()


def journal_of(path: Path, part: str = "") -> Path:
    """Where an unfinished profile of a table's file lies, or a part of it such as its kernels."""
    return path.with_name(".".join(filter(None, (path.name, part, "partial"))))


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Two profiles of one process must not write one journal.

    Raises:
        OptionError: another profile of this process writes it already.
    """
    if path in _IN_WORK:
        raise OptionError(f"{path.name} is being measured already: are two devices one machine?")
    _IN_WORK.add(path)
    try:
        yield
    finally:
        _IN_WORK.discard(path)


def keep(path: Path, table: LatencyTable, *journals: Path | None) -> LatencyTable:
    """Save a measured table at the scale it shares with earlier profiles of its target.

    The journals are removed afterwards, in their order.
    """
    earlier = earlier_profile(table.target, table.space)
    if earlier is not None:
        table = table.pooled(earlier)
        own = table.reference_sessions_ms[-1] / table.reference_ms - 1
        say(
            f"scale: the mean of this and {len(table.reference_sessions_ms) - 1} earlier profiles "
            f"of this machine; it was {abs(own):.1%} {'slower' if own > 0 else 'faster'} this time"
        )
    table.save(path)
    remove(*journals)
    return table


def saved_already(path: Path, table: LatencyTable, *, kernels: bool = False) -> LatencyTable | None:
    """The table in a file, where the profile that a table is of was saved to it before.

    What the reference took tells one profile from another: it is the same to the last bit only when
    it is made of the same runs. So a kill between saving a table and removing its journals, or a
    file of results that is collected again, does not count a profile twice.

    Args:
        path: where the table is to be saved.
        table: of one profile, at its own scale.
        kernels: whether kernels were to be measured as well.
    """
    try:
        saved = LatencyTable.load(path)
    except TableFormatError:  # there is none, or something else that is about to be replaced
        return None
    there = table.reference_ms in saved.reference_sessions_ms and saved.target == table.target
    return saved if there and (saved.kernels is not None or not kernels) else None


def remove(*journals: Path | None) -> None:
    """Remove those of the files that exist, in their order."""
    for journal in journals:
        if journal is not None:
            journal.unlink(missing_ok=True)
