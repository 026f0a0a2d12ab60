"""What a path is: the run of a search, a training or a ranking, a table, or a measurement."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwnas.documents import Document, inside, read_document
from hwnas.errors import CheckpointError, HwnasError, OptionError
from hwnas.latency_tables import LatencyTable, table_path
from hwnas.report.measured import MeasuredModels, is_measurement, read_measurement
from hwnas.report.searched import Latencies, Searched, read_search
from hwnas.report.trained import Ranked, Trained, read_ranking, read_training
from hwnas.search.runs.run import CONFIG
from hwnas.search.runs.schema import ANOTHER
from hwnas.spaces import SearchSpace, remake

__all__ = ["Source", "Tabled", "open_source", "open_sources", "same_decisions"]


@dataclass(frozen=True, eq=False)
class Tabled:
    """A latency table.

    Attributes:
        name: of the file, or of a table that ships.
        table: its content.
        space: that was profiled; None where it is not known here.
    """

    name: str
    table: LatencyTable
    space: SearchSpace | None


Source = Searched | Trained | Ranked | Tabled | MeasuredModels


def open_sources(paths: Sequence[str], latencies: Latencies | None = None) -> list[Source]:
    """Read all of them, each once.

    Raises:
        OptionError: they are of spaces with different decisions.
        HwnasError: see `open_source`.
    """
    sources = [open_source(path, latencies) for path in dict.fromkeys(paths)]
    known = [(source.name, source.space) for source in sources if source.space is not None]
    for name, space in known[1:]:
        if not same_decisions(space, known[0][1]):
            raise OptionError(
                f"{known[0][0]} is of {known[0][1].name} and {name} of {space.name}, whose "
                "decisions are others: one page shows runs and tables of one space, make two"
            )
    return sources


def same_decisions(one: SearchSpace, other: SearchSpace) -> bool:
    """Whether an architecture of one is one of the other, as of a space and its proxy."""
    first, second = (
        [(d.name, [choice.token for choice in d.choices]) for d in space.decisions]
        for space in (one, other)
    )
    return first == second


def open_source(path: str, latencies: Latencies | None = None) -> Source:
    """Read what lies at a path; a name of ``hwnas tables list`` is a table.

    Raises:
        CheckpointError: it is nothing of hwnas, or damaged.
        TableFormatError: a table that cannot be read.
    """
    found = Path(table_path(path))
    if found.is_dir():
        return _run(found, latencies)
    if not found.exists():
        raise CheckpointError(
            f"there is nothing at {path}: give the folder of a run, a latency table, or what "
            "'hwnas measure --json' printed"
        )
    content = read_document(found, Document, "give a latency table, or a measurement")
    if is_measurement(content):
        return read_measurement(found)
    table = LatencyTable.load(found)
    return Tabled(Path(path).stem, table, _space_of(table))


def _run(folder: Path, latencies: Latencies | None) -> Source:
    path = inside(folder, CONFIG, advice=ANOTHER)
    if not path.exists():
        raise CheckpointError(
            f"{folder} is no run (it holds no {CONFIG}): give the folder that 'hwnas search', "
            "'train' or 'rank' printed"
        )
    config = read_document(path, Document, ANOTHER)
    if "network" in config:
        return read_training(folder)
    if "supernet" in config and "count" in config:
        return read_ranking(folder)
    return read_search(folder, latencies)


def _space_of(table: LatencyTable) -> SearchSpace | None:
    try:
        return remake(table.space.name, table.space.arguments)
    except HwnasError:  # a space of one's own, which the file must not bring along
        return None
