"""From a search space and a runtime to a latency table."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hwnas.arrays import IntArray
from hwnas.errors import MeasurementError
from hwnas.latency_tables import LatencyTable, Measurement, Provenance, SpaceRecord, Target
from hwnas.ops import Graph, Workload
from hwnas.profilers.measuring import (
    CALL,
    CHAIN,
    chain_length,
    chains,
    empty_graph,
    form,
    measure,
    onnx_models,
    provenance,
    with_slopes,
)
from hwnas.profilers.protocol import NETWORK, Plan, Samples, summarise
from hwnas.profilers.runtime import AnyRuntime, check_precision
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace

__all__ = [
    "profile_graphs",
    "profile_networks",
    "profile_space",
    "table_of",
]

#: Where costs are no sums, this many times more networks are drawn, and the cheapest taken.
_DRAWS = 10
#: Whole networks of a profile.
_NETWORKS, _NETWORKS_OF_EDGES = 12, 40
#: How often architectures without a path are drawn again.
_REDRAWS = 100
#: Estimates need some measured operators of every family.
_OF_EACH_FAMILY = 3


def profile_space(
    space: SearchSpace,
    runtime: AnyRuntime,
    *,
    precision: str = "fp32",
    batch: int = 1,
    n_networks: int | None = None,
    n_workloads: int | None = None,
    plan: Plan | None = None,
    seed: int = 0,
    journal: Path | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """Measure the distinct workloads of a space, and some whole networks, in one interleaved run.

    A model that the runtime refuses is left out, and the table says which and why. In cells, and
    where the runtime has an attribute ``chain``, small workloads are also measured so many times in
    a row, and their entry is a call and the slope (`hwnas.profilers.chain`).

    Args:
        space: whose workloads.
        runtime: what runs them.
        precision: of weights and activations.
        batch: images a run.
        n_networks: random architectures measured whole, a third of them among the cheapest; 12
            if not given, 40 in cells of edges, where more depends on how operators are joined.
        n_workloads: measure only so many, drawn at random, three of each family first; None: all.
        plan: when a median is tight enough.
        seed: of the workloads, the networks and of the order of the runs.
        journal: a file that lets a killed profile go on where it stopped; the caller deletes it
            once the table is saved.
        progress: told after every round.

    Raises:
        CheckpointError: the journal holds rounds of a profile of other settings.
        OptionError: the runtime does not run this precision, or the batch is below 1.
        MeasurementError: the clock cannot be used.
        ModelRejectedError: the runtime refuses the reference or the almost empty model.
    """
    check_precision(runtime, precision)
    started = time.monotonic()
    target = runtime.target(precision, batch)
    workloads = _drawn(space.distinct_workloads, n_workloads, seed)
    links = chain_length(runtime, space)
    graphs = profile_graphs(space, n_networks, seed, workloads) | chains(workloads, links)
    models = onnx_models(graphs, *form(target))
    refused: dict[str, str] = {}
    samples = measure(
        models, space, runtime, target, plan, seed, journal, progress, refused=refused
    )
    return table_of(
        space,
        samples,
        target,
        provenance(runtime, started),
        workloads=workloads,
        chain=links,
        refused=refused,
    )


def profile_graphs(
    space: SearchSpace,
    n_networks: int | None,
    seed: int,
    workloads: Sequence[Workload] | None = None,
) -> dict[str, Graph]:
    """What a profile measures, by name: an almost empty model, workloads, and whole networks."""
    graphs = {w.key: w.graph() for w in workloads or space.distinct_workloads}
    if n_networks is None:
        n_networks = _NETWORKS_OF_EDGES if space.may_be_cut else _NETWORKS
    networks = [space.format(arch) for arch in _calibration_networks(space, n_networks, seed)]
    graphs |= {NETWORK + name: space.graph(space.parse(name)) for name in networks}
    return graphs | {CALL: empty_graph()}


def table_of(
    space: SearchSpace,
    samples: Samples,
    target: Target,
    made: Provenance,
    *,
    workloads: Sequence[Workload] | None = None,
    chain: int = 1,
    refused: Mapping[str, str] | None = None,
) -> LatencyTable:
    """The table of a finished profile.

    Args:
        space: that was profiled.
        samples: of all models.
        target, made: on what, when and by what.
        workloads: that were to be measured; all of the space if not given.
        chain: links of the chains among the samples.
        refused: names of models that the runtime refused, and why.

    Raises:
        MeasurementError: something else was not measured.
    """
    unmeasured = dict(refused or {})
    measured = summarise(samples)
    workloads = space.distinct_workloads if workloads is None else workloads
    wanted = [w.key for w in workloads if w.key not in unmeasured]
    lacking = {CALL, *wanted} - measured.keys()
    if lacking:
        raise MeasurementError(
            f"{len(lacking)} of the models of {space.name} were not measured, such as "
            f"{min(lacking)}: profile again, with the version of hwnas that reads it"
        )
    call_ms = measured[CALL].latency_ms
    wholes = {name: entry.latency_ms for name, entry in _networks(measured).items()}
    if wholes and min(wholes.values()) <= call_ms:
        raise MeasurementError(
            f"{min(wholes, key=wholes.__getitem__)} took {min(wholes.values()):.3g} ms and an "
            f"almost empty model {call_ms:.3g} ms: by a clock that does not tell them apart no "
            "network can be predicted; measure with another runtime, or a larger --batch"
        )
    entries = with_slopes(measured, chain, measured[CALL])
    return LatencyTable(
        target=target,
        space=SpaceRecord(space.name, dict(space.arguments)),
        reference_ms=samples.steady_reference_ms,
        reference_sessions_ms=(samples.steady_reference_ms,),
        call=entries[CALL],
        workloads={key: entries[key] for key in wanted},
        networks=_networks(entries),
        provenance=made,
        unmeasured={
            key.removeprefix(NETWORK): why
            for key, why in unmeasured.items()
            if not key.startswith(CHAIN)
        },
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
    journal: Path | None = None,
    progress: Progress = silent,
) -> tuple[dict[str, Measurement], Measurement, float, Provenance]:
    """Measure some whole networks, and what a call costs: what a device with little time can give.

    Returns:
        Architecture string -> measurement, the almost empty model's, the reference's steady ms,
        and the provenance.
    """
    check_precision(runtime, precision)
    started = time.monotonic()
    target = runtime.target(precision, batch)
    graphs = profile_graphs(space, count, seed)
    chosen = {k: graph for k, graph in graphs.items() if k.startswith((NETWORK, CALL))}
    models = onnx_models(chosen, *form(target))
    samples = measure(models, space, runtime, target, plan, seed, journal, progress)
    measured = summarise(samples)
    made = provenance(runtime, started)
    return _networks(measured), measured[CALL], samples.steady_reference_ms, made


def _networks(measured: Mapping[str, Measurement]) -> dict[str, Measurement]:
    return {
        name.removeprefix(NETWORK): entry
        for name, entry in measured.items()
        if name.startswith(NETWORK)
    }


def _calibration_networks(space: SearchSpace, count: int, seed: int) -> IntArray:
    """Random architectures: two thirds uniform, the others among the cheapest by MACs.

    None without a path from input to output, of which runtimes leave nothing.
    """
    rng = np.random.default_rng([seed, 0xCA11])
    uniform = _connected(space, lambda n: space.sample(n, seed=rng), count - count // 3)
    if not space.additive:
        more = _connected(space, lambda n: space.sample(n, seed=rng), _DRAWS * count)
        cheap = more[np.argsort(space.macs(more), kind="stable")[: count // 3]]
        return np.unique(np.concatenate([uniform, cheap]), axis=0)
    cost = space.cost("macs")
    least, middle = cost.minimum()[1], float(np.median(cost(uniform)))
    within = cost.within(least + 0.5 * (middle - least))
    cheap = _connected(space, lambda n: within.sample(n, rng), count // 3)
    return np.unique(np.concatenate([uniform, cheap]), axis=0)


def _connected(space: SearchSpace, draw: Callable[[int], IntArray], count: int) -> IntArray:
    """Draws (count, n_decisions) of which those without a path are drawn again, a few times."""
    archs = draw(count)
    for _ in range(_REDRAWS):
        cut = np.flatnonzero(~space.connected(archs))
        if not len(cut):
            break
        archs[cut] = draw(len(cut))
    return archs[space.connected(archs)]


def _drawn(workloads: Sequence[Workload], count: int | None, seed: int) -> list[Workload]:
    """So many workloads at random, three of each family (or all of it) first, in their order."""
    if count is None or count >= len(workloads):
        return list(workloads)
    order = np.random.default_rng([seed, 0xD4A]).permutation(len(workloads))
    seen: Counter[type] = Counter()
    first: list[int] = []
    rest: list[int] = []
    for at in order.tolist():
        family = type(workloads[at].op)
        (first if seen[family] < _OF_EACH_FAMILY else rest).append(at)
        seen[family] += 1
    kept = {*first, *rest[: max(0, count - len(first))]}
    return [workload for at, workload in enumerate(workloads) if at in kept]
