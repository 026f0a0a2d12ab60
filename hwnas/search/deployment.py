"""From the table or predictor that a person names to what a search predicts and measures with."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.devices import (
    available,
    completed,
    differences_here,
    measure_on,
    precision_for,
    table_for,
)
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable, Target, table_path
from hwnas.predictors import (
    SOURCE,
    LatencyPredictor,
    LookedUpLatency,
    UnknownLatency,
    is_engine,
    load_latencies,
    load_predictor,
    parse_engine,
    shipped_predictors,
)
from hwnas.profilers import check_device, runtime
from hwnas.profilers.onnxruntime_provider import provider_of
from hwnas.progress import Progress, say
from hwnas.registry import is_typed_object
from hwnas.search.candidates.verification import verify_command
from hwnas.search.options import TargetOptions
from hwnas.search.problem import Measure
from hwnas.search.runs.run import TABLE
from hwnas.spaces import SearchSpace

__all__ = ["Deployment", "deploy", "fingerprint", "read_source"]

#: Architectures whose predictions tell one predictor from another.
_FINGERPRINT = 64


@dataclass(frozen=True, eq=False)
class Deployment:
    """What predicts the latency of a space's networks, and what measures them.

    Attributes:
        predictor: of the latency.
        table: what it was made of, if that is a table.
        measure: asks the device; None where it is not at hand.
        differences: why this machine is not the target.
    """

    predictor: LatencyPredictor
    table: LatencyTable | None
    measure: Measure | None
    differences: Sequence[str]

    @property
    def digest(self) -> str:
        """Tells one table, or one predictor, from another."""
        if self.table is None:
            return fingerprint(self.predictor)
        return hashlib.sha256(self.table.to_json().encode()).hexdigest()[:12]

    def save(self, folder: Path) -> None:
        """Keep the table in the folder of a run, which goes on with it."""
        if self.table is not None:
            self.table.save(folder / TABLE)

    def tell(self, folder: Path) -> None:
        """Say what latencies are of, and if nothing is measured here, what to do."""
        target = self.predictor.target
        if isinstance(self.predictor, UnknownLatency):
            return
        if isinstance(self.predictor, LookedUpLatency):
            say(f"latencies are looked up in {self.predictor.name}; nothing is measured")
        elif self.measure is not None:
            say(f"latency table: {target}")
        elif self.predictor.notes.get("source") == SOURCE:
            said = "; ".join(f"{name}: {note}" for name, note in self.predictor.notes.items())
            say(
                f"({said}): the result is not measured here. Verify it on a V100 with TensorRT: "
                f"copy the folder {folder} to that machine and run '{verify_command(folder)}'",
                warning="latencies are predicted",
            )
        elif isinstance(target, Target):
            say(
                f"({'; '.join(self.differences)}): the result cannot be measured here. Verify it "
                f"there: copy the folder {folder} to that machine and run "
                f"'{verify_command(folder)}'",
                warning="the table was measured elsewhere",
            )
        else:
            say(
                f"({target}): the result is not measured here. Verify it there: copy the folder "
                f"{folder} to that machine and run '{verify_command(folder)}'",
                warning="latencies are predicted, not of a table",
            )


def fingerprint(predictor: LatencyPredictor) -> str:
    """Tells predictors of a space apart by what they predict; hex digits."""
    if isinstance(predictor, LookedUpLatency):
        return predictor.digest
    archs = predictor.space.sample(_FINGERPRINT, seed=0)
    return hashlib.sha256(predictor.predict(archs).tobytes()).hexdigest()[:12]


def read_source(source: Any) -> Any:
    """A table or means of operators where a name or path leads to such; anything else as it is.

    A name such as ``v100-tensorrt-fp16`` is that of an engine, which `deploy` gives its batch.

    Raises:
        TableFormatError: there is no such table, or it cannot be read.
    """
    if not isinstance(source, str | Path):
        return source
    text = str(source)
    if is_engine(table_path(text)):
        return text
    fitted = text in shipped_predictors() or text.endswith(".npz")
    if fitted or (is_typed_object(text) and not Path(text).exists()):
        return source
    return load_latencies(table_path(text))


def deploy(
    space: SearchSpace,
    source: Any,
    kept: Path,
    options: TargetOptions,
    *,
    device: str = "auto",
    verify_seconds: float = 6.0,
    progress: Progress,
) -> Deployment:
    """The predictor of a space's networks, and what measures them where that can be done here.

    Args:
        space: the deployed one.
        source: see `read_source`; None for this machine's own table, measured first if there is
            none.
        kept: the table of a run that goes on, if there is one: it goes on with that.
        options: how the target is used; must fit a table.
        device: ``auto``, ``cpu`` or ``gpu``: what the network is for where no table says it.
        verify_seconds: a network is measured for at least so long.
        progress: told of measurements.

    Raises:
        OptionError: the options do not fit the table, or it is no predictor.
        WorkloadNotInTableError: the table lacks workloads of the space that can neither be measured
            here nor estimated.
    """
    if device != "auto":
        check_device(device)
    name = str(source) if isinstance(source, str | Path) else "the one given"
    source = read_source(source)
    if is_engine(source):
        source = parse_engine(str(source), options.batch).name
    if source is not None and not isinstance(source, LatencyTable):
        predictor = load_predictor(source, space)
        return _of_predictor(space, predictor, options, device, verify_seconds)
    table = _chosen(source, name, kept)
    if table is None:
        table = _own_table(space, options, device, progress)
    _check_fits(table.target, options, device)
    differences = differences_here(table.target, options.runtime)
    here = not differences
    if space.modules is None:  # tables of whole networks are complete as they are
        table = completed(table, space, measure_here=here, progress=progress, name=options.runtime)
    predictor = load_predictor(table, space)
    if space.modules is None and predictor.estimated:
        say(f"{predictor.estimated} of the space's workloads are estimated, not measured")
    measure = measure_on(table.target, space, verify_seconds, options.runtime) if here else None
    return Deployment(predictor, table, measure, differences)


def _own_table(
    space: SearchSpace, options: TargetOptions, device: str, progress: Progress
) -> LatencyTable:
    """This machine's own table, measured now where there is none."""
    from hwnas.devices.whole_networks import whole_table

    threads = 1 if options.threads is None else options.threads
    here = runtime(available(device), threads, options.runtime)
    make = table_for if space.modules is None else whole_table
    precision = precision_for(space, options.precision)
    return make(space, here, precision, options.batch or 1, progress)[1]


def _of_predictor(
    space: SearchSpace,
    predictor: LatencyPredictor,
    options: TargetOptions,
    device: str,
    verify_seconds: float,
) -> Deployment:
    """A predictor without a table measures here if its target is this machine."""
    target = predictor.target
    if not isinstance(target, Target):
        return Deployment(predictor, None, None, [])
    _check_fits(target, options, device)
    differences = differences_here(target, options.runtime)
    here = not differences
    measure = measure_on(target, space, verify_seconds, options.runtime) if here else None
    return Deployment(predictor, None, measure, differences)


def _chosen(named: LatencyTable | None, name: str, kept: Path) -> LatencyTable | None:
    """The table that a run began with, else the one that is named."""
    if not kept.exists():
        return named
    begun = LatencyTable.load(kept)
    if named is not None and not _holds(begun, named):
        say(f"going on with the table that this run began with; {name} is another by now")
    return begun


def _holds(begun: LatencyTable, named: LatencyTable) -> bool:
    """Whether a run's table is the named one, or that one completed."""
    return begun.target == named.target and named.workloads.items() <= begun.workloads.items()


def _check_fits(target: Target, options: TargetOptions, device: str) -> None:
    """Raise `OptionError` if options ask for something else than a table was measured with."""
    has: dict[str, str | int] = {"device": target.kind, "runtime": target.runtime}
    has |= {name: getattr(target, name) for name in ("precision", "batch", "threads")}
    asked: dict[str, Any] = {name: getattr(options, name, None) for name in has}
    asked["device"] = None if device == "auto" else device
    if options.runtime is not None and is_typed_object(options.runtime):
        asked["runtime"] = None  # its target says what it is
    elif options.runtime is not None:
        asked["runtime"] = provider_of(options.runtime) or options.runtime
    for name, value in has.items():
        if asked[name] not in (None, value):
            raise OptionError(
                f"--{name} {asked[name]} does not fit the table, which was measured with {name} "
                f"{value}: leave it out, or name another table"
            )
