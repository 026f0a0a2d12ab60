"""Measuring models on a runtime of this machine or of another."""

import platform
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import cast

import numpy as np

from hwnas.errors import ModelRejectedError
from hwnas.latency_tables import Measurement, Provenance, Target
from hwnas.memory import machine_bytes
from hwnas.onnx_graph import Precision, to_onnx
from hwnas.ops import Graph, Workload
from hwnas.profilers.chain import chained, slope
from hwnas.profilers.company import noticed_company
from hwnas.profilers.journal import Journal
from hwnas.profilers.loads import rounds_of_loads, rounds_of_parts
from hwnas.profilers.protocol import (
    Job,
    Plan,
    Round,
    Samples,
    companies,
    median_error,
    run_rounds,
)
from hwnas.profilers.runtime import (
    AnyRuntime,
    Compiling,
    MeasuresRounds,
    Models,
    NeedsSession,
    Runtime,
    Watched,
    is_remote,
)
from hwnas.progress import Progress, say, silent
from hwnas.spaces import SearchSpace
from hwnas.version import __version__

__all__ = [
    "CALL",
    "CHAIN",
    "chain_length",
    "chains",
    "empty_graph",
    "form",
    "measure",
    "onnx_models",
    "provenance",
    "reference_model",
    "runs_a_load",
    "standing",
    "with_slopes",
]

#: The name of the model that is almost empty.
CALL = "call"
#: What the names of chains begin with.
CHAIN = "chain of "
#: At most this many models are named; of the others only the number is given.
_NAMED = 3
#: Bytes of two loads over those of the models, with some to spare.
_OF_TWO_LOADS = 8.0
#: Links of the chains of cells, where the runtime does not say how many.
_LINKS_OF_CELLS = 4


def measure(
    models: Models,
    origin: SearchSpace,
    runtime: AnyRuntime,
    target: Target,
    plan: Plan | None,
    seed: int,
    journal: Path | None,
    progress: Progress,
    *,
    refused: dict[str, str] | None = None,
    warm: Collection[str] = (),
) -> Samples:
    """Measure models in one interleaved run, with the middle network of ``origin`` as reference.

    Args:
        models: what to measure.
        origin: whose middle network stands between all runs.
        runtime: what runs them.
        target: of the runtime, with precision and batch.
        plan: when a median is tight enough.
        seed: of the order of the runs.
        journal: where a killed measurement goes on; one that belongs to another measurement is
            refused with `CheckpointError`.
        progress: told after every round.
        refused: receives the models that the runtime refuses, with the reason; without it, and for
            the almost empty one, that is an error.
        warm: names of models that find their input in the cache, see `Runtime.load`.
    """
    plan = plan or Plan()
    if isinstance(runtime, NeedsSession):
        plan = runtime.coarse(plan)
    names = list(models)
    header = {"target": asdict(target), "reference": origin.identifier, "seed": seed, "jobs": names}
    book = Journal(journal, header, names)
    samples, kept = book.read()
    if kept:
        say(f"going on with the unfinished profile {journal}: {kept} rounds are there")
    if kept and not samples.pending(names, plan):
        return _in_first_order(samples, models, seed)
    reference = reference_model(origin, *form(target))
    with noticed_company(target), book.held(), _session(runtime):
        if isinstance(runtime, MeasuresRounds):
            rounds = runtime.rounds(models, reference, samples, plan, seed=seed, progress=progress)
        elif warm:  # kernels are many with few runs each
            rounds = rounds_of_parts(
                names,
                lambda part: _loaded(
                    {key: models[key] for key in part}, reference, runtime, progress, refused, warm
                ),
                samples,
                plan,
                seed=seed,
            )
        else:
            every = runs_a_load(runtime)
            if every is not None:  # what is loaded again is written once
                models, reference = {key: cache(models[key]) for key in names}, cache(reference)
            jobs, reference_job = _loaded(models, reference, runtime, progress, refused, ())
            names = list(jobs)
            again = {key: models[key] for key in names}
            if every is None or _held_twice(again) > machine_bytes():
                rounds = run_rounds(jobs, reference_job, samples, plan, seed=seed)
            else:
                load = partial(_loaded, again, reference, runtime, silent, None, ())
                rounds = rounds_of_loads(jobs, reference_job, load, every, samples, plan, seed=seed)
            del jobs, reference_job  # which the rounds let go when they load others
        _record(rounds, names, samples, plan, book, progress)
    return _in_first_order(samples, models, seed)


def _held_twice(models: Models) -> float:
    """Bytes, about, that two loads of the models take beside what was written."""
    return _OF_TWO_LOADS * sum(len(model()) for model in models.values())


def _in_first_order(samples: Samples, names: Iterable[str], seed: int) -> Samples:
    """The samples with their jobs as a first pass runs them, wherever a kill came."""
    rng = np.random.default_rng([seed, 0])
    measured = companies([name for name in names if name in samples.quotients])
    order = [company[at] for company in measured for at in rng.permutation(len(company))]
    return replace(samples, quotients={name: samples.quotients[name] for name in order})


@contextmanager
def _session(runtime: AnyRuntime) -> Iterator[None]:
    """The session that a runtime needs; nothing where it needs none."""
    if not isinstance(runtime, NeedsSession):
        yield
        return
    with runtime:
        yield


def _loaded(
    models: Models,
    reference: Callable[[], bytes],
    runtime: Runtime,
    progress: Progress,
    refused: dict[str, str] | None,
    warm: Collection[str],
) -> tuple[dict[str, Job], Job]:
    """The jobs of the models, without those that were refused, and that of the reference.

    A runtime with a true attribute ``largest_first`` is given them in that order.
    """

    def load(at: int, name: str, model: bytes, cached: bool) -> Job:
        def tell(share: float, phase: str) -> None:
            shown = name if len(name) < 60 else ""
            progress("loading models", (at + share) / len(waiting), f"{shown} {phase}".strip())

        tell(0.0, "")
        if isinstance(runtime, Compiling):
            runtime.compiling = tell
        return runtime.load(model, warm=True) if cached else runtime.load(model)

    waiting = [*models.items(), (None, reference)]
    if getattr(runtime, "largest_first", False):
        waiting.sort(key=lambda named: -getattr(named[1], "most_held", 0))
    jobs: dict[str | None, Job] = {}
    for at, (key, model) in enumerate(waiting):
        try:
            jobs[key] = load(at, key or "reference", model(), key in warm)
        except ModelRejectedError as error:
            if refused is None or key in (CALL, None):
                raise
            refused[key] = str(error)
    progress("loading models", 1.0, "")
    loaded = {key: jobs[key] for key in models if key in jobs}
    _tell_uncaptured({**loaded, "reference": jobs[None]})
    return loaded, jobs[None]


def _tell_uncaptured(jobs: Mapping[str, Job]) -> None:
    """Say which models are launched one by one, though the runtime would capture them."""
    names = [name for name, job in jobs.items() if not getattr(job, "captured", True)]
    if names:
        rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        say(
            f"({'; '.join(names[:_NAMED])}{rest}): their runs are launched one by one, and where "
            "that takes longer than to run them, that is what is measured",
            warning=f"{len(names)} of {len(jobs)} models cannot be captured in a CUDA graph",
        )


def _record(
    rounds: Iterator[Round],
    names: list[str],
    samples: Samples,
    plan: Plan,
    book: Journal,
    progress: Progress,
) -> None:
    for taken in rounds:
        book.append(taken)
        known, share = standing(samples, names, plan)
        progress("measuring", share, f"{known} of {len(names)} known")


def standing(samples: Samples, names: Collection[str], plan: Plan) -> tuple[int, float]:
    """How many jobs are finished, and runs made over those that the spread says will be needed."""
    known, made, needed = 0, 0, 0.0
    for key in names:
        quotients = samples.quotients.get(key, [])
        runs, expected = len(quotients), float(plan.min_runs)
        finished = runs >= max(plan.min_runs, plan.max_runs)
        if not finished and runs >= max(1, plan.min_runs // 2):
            grow = (median_error(quotients) / max(plan.tolerance, 1e-6)) ** 2
            finished = runs >= plan.min_runs and grow <= 1
            expected = min(max(runs * grow, runs + 1, plan.min_runs), plan.max_runs)
        known += finished
        made, needed = made + runs, needed + (runs if finished else expected)
    by_time = samples.total_ms / (1000 * plan.min_seconds) if plan.min_seconds else 1.0
    return known, min(made / max(needed, 1.0), by_time)


def form(target: Target) -> tuple[str, int, bool]:
    """The precision, batch, and kind of int8 that a target's models have."""
    return target.precision, target.batch, target.kind == "gpu"


@dataclass(frozen=True, slots=True)
class _Written:
    """Writes the model of a graph, when called."""

    graph: Graph
    precision: Precision
    batch: int
    symmetric: bool

    def __call__(self) -> bytes:
        return to_onnx(
            self.graph, batch=self.batch, precision=self.precision, symmetric=self.symmetric
        )

    @property
    def most_held(self) -> int:
        """Numbers that the layer with most of them reads and writes, an image."""
        sizes = [prod(node.shape) for node in self.graph.nodes]
        held = [
            sizes[at] + sum(sizes[x] for x in n.inputs) for at, n in enumerate(self.graph.nodes)
        ]
        return max(held)


def onnx_models(
    graphs: Mapping[str, Graph], precision: str, batch: int, symmetric: bool = False
) -> dict[str, Callable[[], bytes]]:
    """What writes the model of each graph, when called."""
    kind = cast(Precision, precision)
    return {key: _Written(graph, kind, batch, symmetric) for key, graph in graphs.items()}


def reference_model(
    origin: SearchSpace, precision: str, batch: int, symmetric: bool = False
) -> Callable[[], bytes]:
    """What writes the network that stands between all runs: the middle one of a space."""
    middle = [n // 2 for n in origin.n_choices]
    if origin.modules is not None:
        kind = cast(Precision, precision)
        return partial(origin.to_onnx, middle, batch=batch, precision=kind, symmetric=symmetric)
    graphs = {"reference": origin.graph(middle)}
    return onnx_models(graphs, precision, batch, symmetric)["reference"]


def empty_graph() -> Graph:
    """One number through one kernel: what it takes is the call of the runtime."""
    graph = Graph((1, 1, 1))
    graph.activation(0, "relu")
    return graph


def chain_length(runtime: AnyRuntime, space: SearchSpace) -> int:
    """How many links small workloads are measured in: the runtime's ``chain``, else 1.

    In cells they always are: many operators of microseconds stand between two that need a layout of
    their own, so that what happens at the ends of a lone one is most of its time.
    """
    usual = 1 if space.layout.sequential else _LINKS_OF_CELLS
    return int(getattr(runtime, "chain", usual))


def runs_a_load(runtime: AnyRuntime) -> int | None:
    """After how many runs of each all models are loaded anew: the runtime's own, else never."""
    return getattr(runtime, "runs_a_load", None)


def chains(workloads: Iterable[Workload], count: int) -> dict[str, Graph]:
    """A chain of so many links of each workload that is measured so; none for one link."""
    if count < 2:
        return {}
    graphs = {CHAIN + w.key: chained(w, count) for w in workloads}
    return {key: graph for key, graph in graphs.items() if graph is not None}


def with_slopes(
    measured: Mapping[str, Measurement], count: int, call: Measurement
) -> dict[str, Measurement]:
    """What was measured, the workloads with a chain by their slopes, without the chains."""
    return {
        key: slope(one, measured[CHAIN + key], count, call) if CHAIN + key in measured else one
        for key, one in measured.items()
        if not key.startswith(CHAIN)
    }


def provenance(runtime: AnyRuntime, started: float) -> Provenance:
    """Of what was measured since ``started`` on the monotonic clock, s."""
    remote = runtime if is_remote(runtime) else None
    here = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Provenance(
        hwnas_version=__version__,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 1),
        system=remote.host.system if remote else here,
        python_version=remote.host.python if remote else platform.python_version(),
        conditions=None if remote or not isinstance(runtime, Watched) else runtime.conditions(),
        host_state=remote.conditions if remote else None,
    )
