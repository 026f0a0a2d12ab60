"""What is measured after a profile: a table's entries again, what it lacks, and any ONNX model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from hwnas.latency_tables import LatencyTable, Measurement
from hwnas.ops import Workload
from hwnas.profilers.measuring import (
    chain_length,
    chains,
    form,
    measure,
    onnx_models,
    with_slopes,
)
from hwnas.profilers.protocol import NETWORK, Plan, summarise
from hwnas.profilers.runtime import AnyRuntime, check_precision
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace

__all__ = ["extend_table", "measure_models", "remeasure"]


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
    old |= {NETWORK + name: table.networks[name] for name in picked}
    workloads = [known[key] for key in chosen]
    links = chain_length(runtime, origin)
    graphs = {w.key: w.graph() for w in workloads} | chains(workloads, links)
    graphs |= {NETWORK + name: origin.graph(origin.parse(name)) for name in picked}
    models = onnx_models(graphs, *form(table.target))
    samples = measure(models, origin, runtime, table.target, plan, seed, None, progress)
    now = with_slopes(summarise(samples), links, table.call)
    return {name: (old[name], now[name]) for name in old}


def extend_table(
    table: LatencyTable,
    origin: SearchSpace,
    space: SearchSpace,
    runtime: AnyRuntime,
    *,
    workloads: Sequence[Workload] | None = None,
    plan: Plan | None = None,
    seed: int = 0,
    journal: Path | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """A table with the workloads of another space joined to it, at the table's own scale.

    Only what is lacking is measured, against the reference network that the table was made with.

    Args:
        table: made on the runtime's target.
        origin: the space of the table.
        space: whose workloads are needed.
        runtime: what runs them.
        workloads: measure these only; all of the space that the table lacks if not given.
        plan: when a median is tight enough.
        seed: of the order of the runs.
        journal: a file that lets a killed measurement go on; the caller deletes it once the table
            is saved.
        progress: told after every round.

    Raises:
        CheckpointError: the journal holds rounds of other workloads or settings.
    """
    missing = table.missing(space.distinct_workloads if workloads is None else workloads)
    links = chain_length(runtime, space)
    graphs = {w.key: w.graph() for w in missing} | chains(missing, links)
    models = onnx_models(graphs, *form(table.target))
    samples = measure(models, origin, runtime, table.target, plan, seed, journal, progress)
    scale = table.reference_ms / samples.steady_reference_ms
    measured = {key: entry.scaled(scale) for key, entry in summarise(samples).items()}
    entries = with_slopes(measured, links, table.call)
    estimates = {key: e for key, e in table.estimates.items() if key not in entries}
    return replace(table, workloads=table.workloads | entries, estimates=estimates)


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
    target = runtime.target(precision, batch)
    return summarise(measure(given, origin, runtime, target, plan, seed, None, progress))
