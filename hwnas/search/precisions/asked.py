"""What a search of several precisions is asked for, checked before anything is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hwnas.devices import available, precision_for
from hwnas.documents import inside, read_document
from hwnas.errors import CheckpointError, OptionError
from hwnas.latency_tables import LatencyTable
from hwnas.onnx_graph import Precision
from hwnas.profilers import check_precision, runtime
from hwnas.search.deployment import read_source
from hwnas.search.job import Job, Request, prepare
from hwnas.search.options import SearchOptions
from hwnas.search.runs.run import CONFIG
from hwnas.search.runs.schema import OWN, Config
from hwnas.search.settings import make
from hwnas.search.torchrun import world_size

__all__ = ["FULL", "Several", "precisions_of", "prepared"]

#: What all others are compared with.
FULL = "fp32"


@dataclass(frozen=True, eq=False)
class Several:
    """What is searched.

    Attributes:
        job: of fp32, which has its space, data and settings in common with the others.
        requests: of each precision, fp32 first.
        out: folder of all.
    """

    job: Job
    requests: Mapping[str, Request]
    out: Path

    @property
    def train_alike(self) -> bool:
        """Whether all would train the same supernet, so that it is trained once."""
        alike = getattr(self.job.method, "trains_alike", None)
        return alike is not None and bool(alike(self.job.settings))

    def options(self, precision: str) -> SearchOptions:
        """Of the search of one precision."""
        return replace(self.job.options, precision=cast(Precision, precision))

    def folder(self, precision: str) -> Path:
        """Of the search of one precision."""
        return self.out / precision


def precisions_of(asked: Any) -> tuple[Any, ...]:
    """The precisions that a setting asks for: ``fp32,int8``, or a list; none where it is None.

    Raises:
        OptionError: one is there twice.
    """
    if isinstance(asked, str):
        names = [part.strip() for part in asked.split(",")]
    else:
        names = list(asked) if isinstance(asked, list | tuple) else [asked]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"precision {name} is given twice: give each once")
    return () if names == [None] else tuple(names)


def prepared(request: Request, precisions: Sequence[str]) -> Several:
    """Check all that can be known before anything is measured or trained.

    Args:
        request: of all, see `hwnas.search.precisions.search_precisions`.
        precisions: in the order in which they were asked for.

    Raises:
        HwnasError: something that was asked for is not allowed.
    """
    for name in precisions:
        make(SearchOptions, {"precision": name}, "a search")
    if FULL not in precisions:
        raise OptionError(
            f"several precisions are compared with {FULL}, got {','.join(precisions)}: add {FULL}"
        )
    if world_size() > 1:
        raise OptionError("several precisions are several searches: leave out torchrun")
    for name in ("accuracies", "latencies"):
        if request.settings.get(name) is not None:
            raise OptionError(f"{name} are looked up for one precision: leave --{name} out")
    sources = dict(zip(precisions, _sources(request.predictor, precisions), strict=True))
    order = sorted(precisions, key=lambda name: name != FULL)  # it is trained with
    settings = dict(request.settings)
    requests = {
        name: replace(request, predictor=sources[name], settings={**settings, "precision": name})
        for name in order
    }
    job = prepare(requests[FULL])
    for name, one in requests.items():
        _check_runs(job, name, one.predictor)
        if request.space is None and one.predictor is not None:
            _check_same(job, prepare(one))
    out = job.out
    if request.out is None:
        out = out.with_name(f"{out.name}-{'-'.join(order)}")
    path = inside(out, CONFIG, advice=OWN)
    begun = read_document(path, Config, OWN).get("precisions") if path.exists() else order
    if begun != order:
        raise CheckpointError(
            f"{out} holds another run: give the same settings to go on with it, or another --out"
        )
    return Several(job, {p: replace(one, out=out / p) for p, one in requests.items()}, out)


def _sources(predictor: Any, precisions: Sequence[str]) -> list[Any]:
    """What the latencies of each precision come from.

    Raises:
        OptionError: not one for each.
    """
    if predictor is None:
        return [None] * len(precisions)
    given = predictor.split(",") if isinstance(predictor, str) else predictor
    if not isinstance(given, list | tuple) or len(given) != len(precisions):
        raise OptionError(
            f"each precision has a table of its own: name one for each of {','.join(precisions)}, "
            "in this order, --table FILE,FILE, or none, and this machine's are measured"
        )
    return [part.strip() if isinstance(part, str) else part for part in given]


def _check_same(full: Job, other: Job) -> None:
    """Raise `OptionError` where the tables that say the space say two."""
    if full.space.identifier != other.space.identifier:
        raise OptionError(
            f"the tables are of {full.space.identifier} and {other.space.identifier}: name tables "
            "of one space, or the space with --space"
        )


def _check_runs(job: Job, precision: str, source: Any) -> None:
    """Raise `HwnasError` where the space, the device or the table does not have a precision."""
    if job.space.modules is not None:
        raise OptionError(
            f"networks of {job.space.name} are written by torch, in {FULL}: leave precision out"
        )
    precision_for(job.space, precision)
    if source is None:
        threads = job.options.threads or 1
        here = runtime(available(job.device), threads, job.options.runtime)
        check_precision(here, precision)
        return
    table = read_source(source)
    if isinstance(table, LatencyTable) and table.target.precision != precision:
        raise OptionError(
            f"the table for precision {precision} was measured in {table.target.precision}: name "
            "the tables in the order of the precisions"
        )
