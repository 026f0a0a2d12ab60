"""From a search space and a runtime to a latency table."""

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np

from hwnas.costs.additive import IntArray
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable, Measurement, Provenance, SpaceRecord, Target
from hwnas.onnx_graph import to_onnx
from hwnas.ops import Graph, Workload
from hwnas.profilers.journal import Journal
from hwnas.profilers.protocol import Job, Plan, Samples, median_error, run_rounds, summarise
from hwnas.profilers.runtime import Runtime
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
    """
    check_precision(runtime, precision)
    started = time.monotonic()
    workloads = _drawn(space.distinct_workloads, n_workloads, seed)
    graphs = {w.key: w.graph() for w in workloads}
    networks = [space.format(arch) for arch in _calibration_networks(space, n_networks, seed)]
    graphs |= {_NETWORK + name: space.graph(space.parse(name)) for name in networks}
    graphs[CALL] = empty_graph()
    load = _loaders(graphs, runtime, precision, batch)
    target = runtime.target(precision, batch)
    samples, measured = measure(load, space, runtime, target, plan, seed, journal, progress)
    return LatencyTable(
        target=target,
        space=SpaceRecord(space.name, dict(space.arguments)),
        reference_ms=samples.steady_reference_ms,
        reference_sessions_ms=(samples.steady_reference_ms,),
        call=measured[CALL],
        workloads={w.key: measured[w.key] for w in workloads},
        networks={name: measured[_NETWORK + name] for name in networks},
        provenance=_provenance(time.monotonic() - started),
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
    graphs = {w.key: w.graph() for w in table.missing(space.distinct_workloads)}
    load = _loaders(graphs, runtime, target.precision, target.batch)
    samples, measured = measure(load, origin, runtime, target, plan, seed, None, progress)
    scale = table.reference_ms / samples.steady_reference_ms
    entries = {key: entry.scaled(scale) for key, entry in measured.items()}
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


def _loaders(
    graphs: Mapping[str, Graph], runtime: Runtime, precision: str, batch: int
) -> dict[str, Callable[[], Job]]:
    """What writes and loads the model of each graph, when called."""
    kind = cast(Literal["fp32", "int8"], precision)

    def load(graph: Graph) -> Job:
        return runtime.load(to_onnx(graph, batch=batch, precision=kind))

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
) -> tuple[Samples, dict[str, Measurement]]:
    """Load and measure models, with the middle network of ``origin`` as the reference."""
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
    for key, loader in load.items():
        progress("loading models", len(jobs) / len(load), "")
        jobs[key] = loader()
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


def _provenance(seconds: float) -> Provenance:
    return Provenance(
        hwnas_version=__version__,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python_version=platform.python_version(),
    )
