"""From a search space and a runtime to a latency table."""

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from hwnas.costs.additive import IntArray
from hwnas.errors import ModelRejectedError, OptionError
from hwnas.latency_tables import (
    Conditions,
    LatencyTable,
    Measurement,
    Provenance,
    SpaceRecord,
    Target,
)
from hwnas.onnx_graph import Precision, to_onnx
from hwnas.ops import Graph, Workload
from hwnas.profilers.chain import chained, slope
from hwnas.profilers.journal import Journal
from hwnas.profilers.protocol import Job, Plan, Samples, median_error, run_rounds, summarise
from hwnas.profilers.runtime import Runtime, Watched
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace
from hwnas.version import __version__

__all__ = [
    "CALL",
    "check_precision",
    "empty_graph",
    "extend_table",
    "measure",
    "measure_models",
    "profile_space",
]

#: The name of the job that is an almost empty model.
CALL = "call"
_NETWORK = "network "
_CHAIN = "chain of "


def profile_space(
    space: SearchSpace,
    runtime: Runtime,
    *,
    precision: str = "fp32",
    batch: int = 1,
    n_networks: int = 12,
    n_workloads: int | None = None,
    plan: Plan | None = None,
    seed: int = 0,
    journal: Path | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """Measure the distinct workloads of a space, and some whole networks, in one interleaved run.

    A model that the runtime refuses is left out, and the table says which and why. Where the
    runtime has an attribute ``chain``, small workloads are also measured so many times in a row,
    and their entry is a call and the slope (`hwnas.profilers.chain`).

    Args:
        space: whose workloads.
        runtime: what runs them.
        precision: of weights and activations.
        batch: images a run.
        n_networks: random architectures measured whole, a third of them among the cheapest.
        n_workloads: measure only so many, drawn at random, but all of small families; None: all.
        plan: when a median is tight enough.
        seed: of the workloads, the networks and of the order of the runs.
        journal: a file that lets a killed profile go on where it stopped; the caller deletes it
            once the table is saved.
        progress: told after every round.

    Raises:
        OptionError: the runtime does not run this precision, or the batch is below 1.
        MeasurementError: the clock cannot be used.
        ModelRejectedError: the runtime refuses the reference or the almost empty model.
    """
    check_precision(runtime, precision)
    started = time.monotonic()
    workloads = _drawn(space.distinct_workloads, n_workloads, seed)
    graphs = {w.key: w.graph() for w in workloads}
    networks = [space.format(arch) for arch in _calibration_networks(space, n_networks, seed)]
    graphs |= {_NETWORK + name: space.graph(space.parse(name)) for name in networks}
    graphs[CALL] = empty_graph()
    graphs |= _chains(workloads, runtime)
    load = _loaders(graphs, runtime, precision, batch)
    target = runtime.target(precision, batch)
    refused: dict[str, str] = {}
    samples, measured = measure(
        load, space, runtime, target, plan, seed, journal, progress, refused
    )
    measured = _with_slopes(measured, runtime, measured[CALL])
    return LatencyTable(
        target=target,
        space=SpaceRecord(space.name, dict(space.arguments)),
        reference_ms=samples.steady_reference_ms,
        reference_sessions_ms=(samples.steady_reference_ms,),
        call=measured[CALL],
        workloads={w.key: measured[w.key] for w in workloads if w.key in measured},
        networks={
            name: measured[_NETWORK + name] for name in networks if _NETWORK + name in measured
        },
        provenance=_provenance(time.monotonic() - started, _conditions(runtime)),
        unmeasured={
            key.removeprefix(_NETWORK): why
            for key, why in refused.items()
            if not key.startswith(_CHAIN)
        },
    )


def extend_table(
    table: LatencyTable,
    origin: SearchSpace,
    space: SearchSpace,
    runtime: Runtime,
    *,
    plan: Plan | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> LatencyTable:
    """A table with the workloads of another space joined to it, at the table's own scale.

    Only what is lacking is measured, against the reference network that the table was made with.

    Args:
        table: made on the runtime's target.
        origin: the space of the table.
        space: whose workloads are needed.
        runtime: what runs them.
        plan: when a median is tight enough.
        seed: of the order of the runs.
        progress: told after every round.
    """
    target = table.target
    missing = table.missing(space.distinct_workloads)
    graphs = {w.key: w.graph() for w in missing} | _chains(missing, runtime)
    load = _loaders(graphs, runtime, target.precision, target.batch)
    samples, measured = measure(load, origin, runtime, target, plan, seed, None, progress)
    scale = table.reference_ms / samples.steady_reference_ms
    scaled = {key: entry.scaled(scale) for key, entry in measured.items()}
    sloped = _with_slopes(scaled, runtime, table.call)
    entries = {w.key: sloped[w.key] for w in missing}
    estimates = {key: e for key, e in table.estimates.items() if key not in entries}
    return replace(table, workloads=table.workloads | entries, estimates=estimates)


def measure_models(
    models: Mapping[str, bytes],
    origin: SearchSpace,
    runtime: Runtime,
    *,
    precision: str = "fp32",
    batch: int = 1,
    plan: Plan | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Measurement]:
    """Measure ONNX models as a profile measures networks.

    Args:
        models: name -> ONNX model of this precision and batch.
        origin: the space whose middle network is the reference.
        runtime: what runs them.
        precision, batch: of the models and the reference.
        plan: when a median is tight enough.
        seed: of the order of the runs.
        progress: told after every round.
    """
    check_precision(runtime, precision)
    load = {name: partial(runtime.load, model) for name, model in models.items()}
    target = runtime.target(precision, batch)
    return measure(load, origin, runtime, target, plan, seed, None, progress)[1]


def _chains(workloads: Iterable[Workload], runtime: Runtime) -> dict[str, Graph]:
    """Chains of those workloads that are measured so, as many links as the runtime asks for."""
    count = getattr(runtime, "chain", 1)
    if count < 2:
        return {}
    graphs = {_CHAIN + w.key: chained(w, count) for w in workloads}
    return {key: graph for key, graph in graphs.items() if graph is not None}


def _with_slopes(
    measured: Mapping[str, Measurement], runtime: Runtime, call: Measurement
) -> dict[str, Measurement]:
    """What was measured, the workloads with a chain by their slopes, without the chains."""
    count = getattr(runtime, "chain", 1)
    return {
        key: slope(one, measured[_CHAIN + key], count, call) if _CHAIN + key in measured else one
        for key, one in measured.items()
        if not key.startswith(_CHAIN)
    }


def _loaders(
    graphs: Mapping[str, Graph], runtime: Runtime, precision: str, batch: int
) -> dict[str, Callable[[], Job]]:
    """What writes and loads the model of each graph, when called."""
    kind = cast(Precision, precision)
    symmetric = runtime.target(precision, batch).kind == "gpu"

    def load(graph: Graph) -> Job:
        model = to_onnx(graph, batch=batch, precision=kind, symmetric=symmetric)
        return runtime.load(model)

    return {key: partial(load, graph) for key, graph in graphs.items()}


def measure(
    load: Mapping[str, Callable[[], Job]],
    origin: SearchSpace,
    runtime: Runtime,
    target: Target,
    plan: Plan | None,
    seed: int,
    journal: Path | None,
    progress: Progress,
    refused: dict[str, str] | None = None,
) -> tuple[Samples, dict[str, Measurement]]:
    """Load and measure models, with the middle network of ``origin`` as the reference.

    Models that the runtime refuses are noted in ``refused`` with the reason; without it, and for
    the almost empty one, that is an error.
    """
    plan = plan or Plan()
    header = {
        "target": asdict(target),
        "reference": origin.identifier,
        "jobs": list(load),
    }
    book = Journal(journal, header, list(load))
    samples = book.read()
    middle = {"reference": origin.graph([n // 2 for n in origin.n_choices])}
    reference = _loaders(middle, runtime, target.precision, target.batch)["reference"]()
    jobs: dict[str, Job] = {}
    for at, (key, loader) in enumerate(load.items()):
        progress("loading models", at / len(load), key if len(key) < 60 else "")
        try:
            jobs[key] = loader()
        except ModelRejectedError as error:
            if refused is None or key == CALL:
                raise
            refused[key] = str(error)
    progress("loading models", 1.0, "")
    for taken in run_rounds(jobs, reference, samples, plan, seed=seed):
        book.append(taken)
        known = sum(samples.finished(key, plan) for key in jobs)
        progress("measuring", _share_done(samples, jobs, plan), f"{known} of {len(jobs)} known")
    return samples, summarise(samples)


def _share_done(samples: Samples, jobs: Iterable[str], plan: Plan) -> float:
    """Runs made, over the runs that the spread seen so far says will be needed."""
    made = needed = 0.0
    for key in jobs:
        quotients = samples.quotients.get(key, [])
        runs = expected = float(len(quotients))
        if not samples.finished(key, plan):
            expected = plan.min_runs
            if len(quotients) >= plan.min_runs // 2:
                grow = (median_error(quotients) / max(plan.tolerance, 1e-6)) ** 2
                expected = min(max(runs * grow, runs + 1, plan.min_runs), plan.max_runs)
        made, needed = made + runs, needed + expected
    by_time = samples.total_ms / (1000 * plan.min_seconds) if plan.min_seconds else 1.0
    return min(made / max(needed, 1.0), by_time)


def _calibration_networks(space: SearchSpace, count: int, seed: int) -> IntArray:
    """Random architectures: two thirds uniform, the others among the cheapest by MACs."""
    rng = np.random.default_rng([seed, 0xCA11])
    cost = space.cost("macs")
    uniform = space.sample(count - count // 3, seed=rng)
    least, middle = cost.minimum()[1], float(np.median(cost(uniform)))
    cheap = cost.within(least + 0.5 * (middle - least)).sample(count // 3, rng)
    return np.unique(np.concatenate([uniform, cheap]), axis=0)


def _drawn(workloads: Sequence[Workload], count: int | None, seed: int) -> list[Workload]:
    """Some workloads at random in their order, and all of families of no more than three."""
    if count is None or count >= len(workloads):
        return list(workloads)
    sizes = Counter(type(w.op) for w in workloads)
    kept = {w for w in workloads if sizes[type(w.op)] <= 3}
    for at in np.random.default_rng([seed, 0xD4A]).permutation(len(workloads)):
        if len(kept) >= count:
            break
        kept.add(workloads[at])
    return [w for w in workloads if w in kept]


def empty_graph() -> Graph:
    """One number through one kernel: what it takes is the call of the runtime."""
    graph = Graph((1, 1, 1))
    graph.activation(0, "relu")
    return graph


def check_precision(runtime: Runtime, precision: str) -> None:
    """Raise `OptionError` if the runtime cannot run a precision."""
    if precision not in runtime.precisions:
        raise OptionError(
            f"{type(runtime).__name__} runs {', '.join(runtime.precisions)}, got {precision!r}"
        )


def _conditions(runtime: Runtime) -> Conditions | None:
    return runtime.conditions() if isinstance(runtime, Watched) else None


def _provenance(seconds: float, conditions: Conditions | None) -> Provenance:
    return Provenance(
        hwnas_version=__version__,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python_version=platform.python_version(),
        conditions=conditions,
    )
