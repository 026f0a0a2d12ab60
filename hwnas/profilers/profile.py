"""From a search space and a runtime to a latency table."""

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np

from hwnas.costs.additive import IntArray
from hwnas.errors import MeasurementError, OptionError
from hwnas.latency_tables import LatencyTable, Measurement, Provenance, SpaceRecord, Target
from hwnas.onnx_graph import to_onnx
from hwnas.ops import Graph
from hwnas.profilers.adb import PerfTest
from hwnas.profilers.journal import Journal
from hwnas.profilers.protocol import Job, Plan, Round, Samples, median_error, run_rounds, summarise
from hwnas.profilers.remote import RemoteRuntime
from hwnas.profilers.runtime import Runtime
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace
from hwnas.version import __version__

__all__ = [
    "AnyRuntime",
    "check_precision",
    "extend_table",
    "measure_models",
    "onnx_models",
    "profile_graphs",
    "profile_networks",
    "profile_space",
    "reference_model",
    "remeasure",
    "table_of",
]

AnyRuntime = Runtime | RemoteRuntime | PerfTest

_CALL = "call"
_NETWORK = "network "


def profile_space(
    space: SearchSpace,
    runtime: AnyRuntime,
    *,
    precision: str = "fp32",
    batch: int = 1,
    n_networks: int = 12,
    plan: Plan | None = None,
    seed: int = 0,
    journal: Path | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """Measure every distinct workload of a space, and some whole networks, in one interleaved run.

    Args:
        space: whose workloads.
        runtime: what runs them.
        precision: of weights and activations.
        batch: images a run.
        n_networks: random architectures measured whole, a third of them among the cheapest.
        plan: when a median is tight enough.
        seed: of the networks and of the order of the runs.
        journal: a file that lets a killed profile go on where it stopped; the caller deletes it
            once the table is saved.
        progress: told after every round.

    Raises:
        OptionError: the runtime does not run this precision, or the batch is below 1.
        MeasurementError: the clock cannot be used.
    """
    check_precision(runtime, precision)
    started = time.monotonic()
    models = onnx_models(profile_graphs(space, n_networks, seed), precision, batch)
    samples = _run(models, space, runtime, precision, batch, plan, seed, journal, progress)
    target = runtime.target(precision, batch)
    return table_of(space, samples, target, _provenance(runtime, time.monotonic() - started))


def profile_graphs(space: SearchSpace, n_networks: int, seed: int) -> dict[str, Graph]:
    """What a profile measures, by name: an almost empty model, workloads, and whole networks."""
    graphs = {w.key: w.graph() for w in space.distinct_workloads}
    networks = [space.format(arch) for arch in _calibration_networks(space, n_networks, seed)]
    graphs |= {_NETWORK + name: space.graph(space.parse(name)) for name in networks}
    return graphs | {_CALL: _empty_graph()}


def table_of(
    space: SearchSpace, samples: Samples, target: Target, provenance: Provenance
) -> LatencyTable:
    """The table of a finished profile.

    Raises:
        MeasurementError: something of the space was not measured.
    """
    measured = summarise(samples)
    lacking = {_CALL, *(w.key for w in space.distinct_workloads)} - measured.keys()
    if lacking:
        raise MeasurementError(
            f"{len(lacking)} of the models of {space.name} were not measured, such as "
            f"{min(lacking)}: profile again, with the version of hwnas that reads it"
        )
    return LatencyTable(
        target=target,
        space=SpaceRecord(space.name, dict(space.arguments)),
        reference_ms=samples.steady_reference_ms,
        reference_sessions_ms=(samples.steady_reference_ms,),
        call=measured[_CALL],
        workloads={w.key: measured[w.key] for w in space.distinct_workloads},
        networks={
            name.removeprefix(_NETWORK): entry
            for name, entry in measured.items()
            if name.startswith(_NETWORK)
        },
        provenance=provenance,
    )


def profile_networks(
    space: SearchSpace,
    runtime: AnyRuntime,
    count: int,
    *,
    precision: str = "fp32",
    batch: int = 1,
    plan: Plan | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[dict[str, Measurement], Measurement, float, Provenance]:
    """Measure some whole networks, and what a call costs: what a device with little time can give.

    Returns:
        Architecture string -> measurement, the almost empty model's, the reference's steady ms,
        and the provenance.
    """
    check_precision(runtime, precision)
    started = time.monotonic()
    graphs = profile_graphs(space, count, seed)
    chosen = {k: graph for k, graph in graphs.items() if k.startswith((_NETWORK, _CALL))}
    models = onnx_models(chosen, precision, batch)
    samples = _run(models, space, runtime, precision, batch, plan, seed, None, progress)
    measured = summarise(samples)
    call = measured.pop(_CALL)
    networks = {name.removeprefix(_NETWORK): entry for name, entry in measured.items()}
    provenance = _provenance(runtime, time.monotonic() - started)
    return networks, call, samples.steady_reference_ms, provenance


def remeasure(
    table: LatencyTable,
    origin: SearchSpace,
    runtime: AnyRuntime,
    count: int,
    *,
    plan: Plan | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, tuple[Measurement, Measurement]]:
    """Measure some entries of a table again: two thirds workloads, evenly from fast to slow.

    Args:
        table: made on a target such as the runtime's.
        origin: the space of the table.
        runtime: what runs them.
        count: entries, workloads and whole networks together.
        plan: when a median is tight enough.
        seed: of the choice of networks and the order of the runs.
        progress: told after every round.

    Returns:
        Name -> what the table holds, and what was measured now.
    """
    rng = np.random.default_rng([seed, 0xC4EC])
    wholes = list(table.networks)
    picked = [wholes[at] for at in rng.permutation(len(wholes))[: max(1, count // 3)]]
    known = {w.key: w for w in origin.distinct_workloads if w.key in table.workloads}
    ordered = sorted(known, key=lambda key: table.workloads[key].latency_ms)
    places = np.linspace(0, len(ordered) - 1, min(len(ordered), count - len(picked)))
    chosen = [ordered[round(at)] for at in places]
    old = {key: table.workloads[key] for key in chosen}
    old |= {_NETWORK + name: table.networks[name] for name in picked}
    graphs = {key: known[key].graph() for key in chosen}
    graphs |= {_NETWORK + name: origin.graph(origin.parse(name)) for name in picked}
    target = table.target
    models = onnx_models(graphs, target.precision, target.batch)
    samples = _run(
        models, origin, runtime, target.precision, target.batch, plan, seed, None, progress
    )
    now = summarise(samples)
    return {name: (old[name], now[name]) for name in old}


def extend_table(
    table: LatencyTable,
    origin: SearchSpace,
    space: SearchSpace,
    runtime: AnyRuntime,
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
    models = onnx_models(graphs, target.precision, target.batch)
    samples = _run(
        models, origin, runtime, target.precision, target.batch, plan, seed, None, progress
    )
    scale = table.reference_ms / samples.steady_reference_ms
    entries = {key: entry.scaled(scale) for key, entry in summarise(samples).items()}
    return replace(table, workloads=table.workloads | entries)


def measure_models(
    models: Mapping[str, bytes],
    origin: SearchSpace,
    runtime: AnyRuntime,
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
    given = {name: partial(bytes, model) for name, model in models.items()}
    samples = _run(given, origin, runtime, precision, batch, plan, seed, None, progress)
    return summarise(samples)


def onnx_models(
    graphs: Mapping[str, Graph], precision: str, batch: int
) -> dict[str, Callable[[], bytes]]:
    """What writes the model of each graph, when called."""
    kind = cast(Literal["fp32", "int8"], precision)
    return {
        key: partial(to_onnx, graph, batch=batch, precision=kind) for key, graph in graphs.items()
    }


def reference_model(origin: SearchSpace, precision: str, batch: int) -> Callable[[], bytes]:
    """What writes the network that stands between all runs: the middle one of a space."""
    middle = origin.graph([n // 2 for n in origin.n_choices])
    return onnx_models({"reference": middle}, precision, batch)["reference"]


def _run(
    models: Mapping[str, Callable[[], bytes]],
    origin: SearchSpace,
    runtime: AnyRuntime,
    precision: str,
    batch: int,
    plan: Plan | None,
    seed: int,
    journal: Path | None,
    progress: Progress,
) -> Samples:
    """Load and measure models, with the middle network of ``origin`` as the reference."""
    plan = plan or Plan()
    if isinstance(runtime, PerfTest):
        plan = runtime.coarse(plan)
    header = {
        "target": asdict(runtime.target(precision, batch)),
        "reference": origin.identifier,
        "jobs": list(models),
    }
    book = Journal(journal, header, list(models))
    samples = book.read()
    reference = reference_model(origin, precision, batch)
    with runtime if isinstance(runtime, PerfTest) else nullcontext():
        for taken in _rounds(models, reference, runtime, samples, plan, seed, progress):
            book.append(taken)
            known = sum(samples.finished(key, plan) for key in models)
            words = f"{known} of {len(models)} known"
            progress("measuring", _share_done(samples, models, plan), words)
    return samples


def _rounds(
    models: Mapping[str, Callable[[], bytes]],
    reference: Callable[[], bytes],
    runtime: AnyRuntime,
    samples: Samples,
    plan: Plan,
    seed: int,
    progress: Progress,
) -> Iterator[Round]:
    """The rounds of a measurement, here or at the far end of a line."""
    if isinstance(runtime, RemoteRuntime):
        return runtime.rounds(models, reference, samples, plan, seed=seed, progress=progress)
    jobs: dict[str, Job] = {}
    for key, model in models.items():
        progress("loading models", len(jobs) / len(models), "")
        jobs[key] = runtime.load(model())
    progress("loading models", 1.0, "")
    return run_rounds(jobs, runtime.load(reference()), samples, plan, seed=seed)


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


def _empty_graph() -> Graph:
    graph = Graph((1, 1, 1))
    graph.activation(0, "relu")
    return graph


def check_precision(runtime: AnyRuntime, precision: str) -> None:
    """Raise `OptionError` if the runtime cannot run a precision."""
    if precision not in runtime.precisions:
        raise OptionError(
            f"{type(runtime).__name__} runs {', '.join(runtime.precisions)}, got {precision!r}"
        )


def _provenance(runtime: AnyRuntime, seconds: float) -> Provenance:
    far = runtime if isinstance(runtime, RemoteRuntime | PerfTest) else None
    here = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Provenance(
        hwnas_version=__version__,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        system=far.host.system if far else here,
        python_version=far.host.python if far else platform.python_version(),
        conditions=far.conditions if far else None,
    )
