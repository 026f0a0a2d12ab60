"""One network in two precisions, measured together: whether the smaller one pays."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hwnas.devices.any_model.latency import compare, latency_of
from hwnas.latency_tables import Target
from hwnas.profilers import AnyRuntime, Plan
from hwnas.profilers.measuring import measure
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace

__all__ = ["Twins", "measure_twins"]

#: Each is loaded so often, since loads differ for all their runs; and runs so often each.
_LOADS, _LEAST_RUNS, _MOST_RUNS, _TOLERANCE = 4, 25, 75, 0.02


@dataclass(frozen=True, slots=True)
class Twins:
    """A network and its fp32 twin, as they ran side by side.

    Attributes:
        own_ms, fp32_ms: steady latencies.
        change: of the network's over its twin's, less 1: -0.2 is 20 % less time.
        error: half the width of its 95 % interval.
    """

    own_ms: float
    fp32_ms: float
    change: float
    error: float


def measure_twins(
    models: Mapping[str, bytes],
    space: SearchSpace,
    runtime: AnyRuntime,
    target: Target,
    *,
    seconds: float,
    seed: int = 0,
    progress: Progress = silent,
) -> Twins:
    """Measure a network in two precisions, in the same rounds.

    Args:
        models: ``fp32``, and the network as it is deployed under another name.
        space: whose middle network is the reference.
        runtime: what runs both.
        target: of the network as it is deployed.
        seconds: measure for at least so long.
        seed: of the order of the runs.
        progress: told after every round.
    """
    (own,) = models.keys() - {"fp32"}
    loads = {name: [f"{name} #{load}" for load in range(_LOADS)] for name in models}
    jobs = {key: partial(bytes, models[name]) for name, keys in loads.items() for key in keys}
    plan = Plan(_TOLERANCE, _LEAST_RUNS, _MOST_RUNS, min_seconds=seconds)
    samples = measure(jobs, space, runtime, target, plan, seed, None, progress)
    found = {name: latency_of(keys, samples) for name, keys in loads.items()}
    pair = compare("fp32", own, found)
    return Twins(found[own].steady_ms, found["fp32"].steady_ms, pair.change, pair.error)
