"""What a page says of a search: read from the folder of its run, finished or not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hwnas.data import Metric
from hwnas.documents import inside, read_document
from hwnas.latency_tables import LatencyTable
from hwnas.predictors import LatencyPredictor, LookedUpLatency, load_predictor
from hwnas.report.evaluated import Evaluated, evaluated_of
from hwnas.search.looked_up import read
from hwnas.search.runs.events import read_events
from hwnas.search.runs.run import CONFIG, LOG, RESULT, TABLE
from hwnas.search.runs.schema import (
    ANOTHER,
    AtLeastOne,
    Config,
    Count,
    Found,
    Several,
    Share,
    Text,
    parse_of_file,
    with_defaults,
)
from hwnas.search.runs.stored import StoredRun
from hwnas.spaces import SearchSpace

__all__ = ["Latencies", "Searched", "losses_of", "read_search"]


@dataclass(frozen=True, kw_only=True)
class _Asked(Config):
    """What a page says of the configuration of a search, beside what `StoredRun` reads."""

    budget: list[str] = field(default_factory=list)
    budgets: list[list[str]] = field(default_factory=list)
    pareto: bool | None = None
    seed: Count = 0
    confidence: Share | None = None
    missing: Text | None = None
    population: AtLeastOne | None = None


@dataclass(frozen=True)
class Latencies:
    """Where latencies come from if the folder of a run holds no table.

    Attributes:
        table: as ``--table`` takes it.
        latencies: a column of a benchmark's file, as ``--latencies`` takes it.
        accuracies: a column of the file beside it, where that of the latencies does not name its
            architectures, as ``--accuracies`` takes it.
    """

    table: str | None = None
    latencies: str | None = None
    accuracies: str | None = None


@dataclass(frozen=True, eq=False)
class Searched:
    """A search, as far as it went.

    Attributes:
        run: its spaces, and where it lies.
        asked: its configuration.
        events: of its log.
        results: what it found: of each list of budgets one, none where it is not finished.
        front: the Pareto front that it found; empty where one network was searched for.
        content: of ``result.json``; None where there is none.
        predictor: of latencies; None where the folder holds no table and none was given.
        table: what the predictor was made of, if it was.
        evaluated: all networks whose accuracy is known.
    """

    run: StoredRun
    asked: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    results: tuple[Mapping[str, Any], ...]
    front: tuple[Mapping[str, Any], ...]
    content: Mapping[str, Any] | None
    predictor: LatencyPredictor | None
    table: LatencyTable | None
    evaluated: Evaluated

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.run.folder.resolve().name

    @property
    def space(self) -> SearchSpace:
        """The deployed one."""
        return self.run.deployed

    @property
    def method(self) -> str:
        """What searched."""
        return str(self.asked["method"] or "spos")

    @property
    def finished(self) -> bool:
        """Whether there is a result."""
        return self.content is not None

    @property
    def budgets(self) -> tuple[str, ...]:
        """Those that were asked for, of all lists."""
        lists = self.asked["budgets"] or [self.asked["budget"]]
        return tuple(dict.fromkeys(budget for budgets in lists for budget in budgets))

    @property
    def target(self) -> str:
        """What latencies are of, in words."""
        if self.predictor is not None:
            return str(self.predictor.target)
        of = [r["target"] for r in self.results if isinstance(r["target"], str)]
        return of[0] if of else "not said"

    @property
    def images(self) -> str:
        """The data, or the table that accuracies are looked up in, in words."""
        looked_up = self.asked["accuracies"]
        return f"data {self.asked['data']}" if looked_up is None else f"accuracies of {looked_up}"

    @property
    def cost_source(self) -> str:
        """Where the costs of the evaluated networks are from, a key of `SOURCES`."""
        if self.evaluated.latency_ms is None:
            return "exact"
        return "looked up" if isinstance(self.predictor, LookedUpLatency) else "modelled"

    @property
    def metric(self) -> Metric:
        """By what networks were compared."""
        scored = (e for e in self.events if e["event"] in ("evaluated", "imported"))
        return Metric.of(self.content or next(scored, {}))

    def logged(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of one kind, in order."""
        return [event for event in self.events if event["event"] == kind]

    @cached_property
    def losses(self) -> dict[int, float]:
        """Training step -> loss, see `losses_of`."""
        return losses_of(self.events)


def losses_of(events: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Training step -> loss; steps that were done again after a kill are there once."""
    trained = (event for event in events if event["event"] == "trained")
    return {event["step"]: event["loss"] for event in trained if event.keys() >= {"step", "loss"}}


def read_search(folder: Path, latencies: Latencies | None = None) -> Searched:
    """Read what a search left so far.

    Args:
        folder: of its run.
        latencies: taken where the folder holds no table.

    Raises:
        CheckpointError: there is no run, or a file of it is damaged.
        TableFormatError, OptionError, DataError: the latencies cannot be read.
    """
    run = StoredRun.open(folder)
    asked = with_defaults(read_document(folder / CONFIG, _Asked, ANOTHER), _Asked)
    events = tuple(read_events(inside(folder, LOG, advice=ANOTHER), ANOTHER))
    content = _content(folder, several=asked["pareto"] is not None)
    results: tuple[Mapping[str, Any], ...] = ()
    if content is not None:
        found = [content] if "architecture" in content else content.get("budgets", [])
        results = tuple(with_defaults(one, Found) for one in found)
        for result in results:
            parse_of_file(run.deployed, result["architecture"], folder / RESULT, ANOTHER)
    predictor, table = _predictor(folder, run.deployed, latencies or Latencies())
    return Searched(
        run=run,
        asked=asked,
        events=events,
        results=results,
        front=tuple(content.get("front", ())) if content else (),
        content=content,
        predictor=predictor,
        table=table,
        evaluated=evaluated_of(run.deployed, _accuracies(events), predictor, folder / LOG),
    )


def _content(folder: Path, *, several: bool) -> dict[str, Any] | None:
    path = inside(folder, RESULT, advice=ANOTHER)
    if not path.exists():
        return None
    shape = Several if several else Found
    return with_defaults(read_document(path, shape, ANOTHER), shape)


def _accuracies(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of all networks, those of an earlier search first, in the order in which they were known."""
    known: dict[str, float] = {}
    for event in events:
        if event["event"] == "imported":
            known |= event["accuracies"]
        elif event["event"] == "evaluated":
            known[event["architecture"]] = event["accuracy"]
    return known


def _predictor(
    folder: Path, space: SearchSpace, given: Latencies
) -> tuple[LatencyPredictor | None, LatencyTable | None]:
    if (folder / TABLE).exists():
        table = LatencyTable.load(folder / TABLE)
        return load_predictor(table, space), table
    if given.latencies is not None:
        return read(space, given.accuracies, given.latencies, "infeasible").latencies, None
    if given.table is not None:
        return load_predictor(given.table, space), None
    return None, None
