"""Whether this machine is what a table was measured on, and what measures on it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from hwnas import profilers
from hwnas.errors import HwnasError, OptionError
from hwnas.latency_tables import Measurement, Target
from hwnas.profilers import GPU_RUNTIMES, RUNTIMES, AnyRuntime, Plan, Runtime, check_precision
from hwnas.profilers.loads import plan_of_loads
from hwnas.profilers.measuring import measure
from hwnas.profilers.onnxruntime_provider import is_provider
from hwnas.profilers.protocol import summarise
from hwnas.profilers.runtime import Compiling, NeedsSession
from hwnas.progress import Progress, silent
from hwnas.registry import is_typed_object
from hwnas.spaces import SearchSpace

__all__ = [
    "Measure",
    "available",
    "differences_here",
    "measure_on",
    "measure_runs",
    "precision_for",
    "runtime_for",
    "runtime_of_table",
]

#: Measures an ONNX model on a device; returns the fields of a `Measurement`.
Measure = Callable[[bytes, Progress], Mapping[str, Any]]

#: A small model is loaded so often at most, and as often as keeps all of it below so many bytes.
_MOST_LOADS, _LOADED_BYTES = 12, 32 * 2**20


def available(device: str) -> str:
    """``auto`` becomes ``gpu`` where one can be used, else ``cpu``; others stay as they are."""
    if device != "auto":
        return device
    try:
        profilers.runtime("gpu")
    except HwnasError:
        return "cpu"
    return "gpu"


def precision_for(space: SearchSpace, asked: str | None) -> str:
    """What a space is measured in, if nothing is asked: int8 where it has few-bit weights.

    Raises:
        OptionError: few bits were asked to be measured as floats, which would tell nothing.
    """
    if space.quantised and asked not in (None, "int8"):
        raise OptionError(
            f"{space.name} has weights and activations of 1 to 4 bits, which run as int8 kernels: "
            f"its precision is int8, got {asked}"
        )
    return asked or ("int8" if space.quantised else "fp32")


def runtime_of_table(target: Target, device: str) -> str | None:
    """The name of the runtime that measured a table, if it is known here and of this device.

    A table is a file: its runtime is looked up by name, and never as ``module:NAME``, so that no
    file decides what is imported.
    """
    if device != target.kind or is_typed_object(target.runtime):
        return None
    known = target.runtime in RUNTIMES or is_provider(target.runtime)
    known = known or (device == "gpu" and target.runtime in GPU_RUNTIMES)
    return target.runtime if known else None


def runtime_for(target: Target, name: str | None = None) -> Runtime:
    """The runtime of this machine that is nearest to a target.

    It is the target's own where that is known here, else the best that the device has.

    Args:
        target: of a table.
        name: of another runtime than the table's, or where a person typed it.

    Raises:
        HwnasError: this machine has no such runtime, device or number of threads.
    """
    chosen = name or runtime_of_table(target, target.kind)
    return profilers.runtime(target.kind, target.threads, chosen)


def differences_here(target: Target, name: str | None = None) -> list[str]:
    """Why this machine is not a target; empty where it is.

    Args:
        target: of a table.
        name: of the runtime, as `runtime_for` takes it.
    """
    try:
        return runtime_for(target, name).target(target.precision, target.batch).differences(target)
    except HwnasError as error:
        return [str(error)]


def measure_runs(
    model: bytes,
    space: SearchSpace,
    runtime: AnyRuntime,
    target: Target,
    *,
    seconds: float,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Measurement, list[float]]:
    """Measure one ONNX model, as a profile measures networks.

    A profile runs other networks between two runs of one. Alone, a small network would find all its
    weights in the cache and take two thirds of that: it is loaded several times, and the loads run
    in turn. Of a family the second run in a row counts, here and in its table (`profile_whole`).

    Args:
        model: of the target's precision and batch.
        space: whose middle network is the reference.
        runtime: what runs it.
        target: gives the precision and batch.
        seconds: measure for at least so long.
        seed: of the order of the runs.
        progress: told after every round.

    Returns:
        The measurement, and what every run took by the clock, ms.
    """
    check_precision(runtime, target.precision)
    again = space.modules is not None
    loads = 1 if again else _loads(len(model), runtime)
    models = {f"load {at}": partial(bytes, model) for at in range(loads)}
    plan = plan_of_loads(Plan(min_seconds=seconds, again=again), loads)
    samples = measure(models, space, runtime, target, plan, seed, None, progress)
    quotients = [one for load in models for one in samples.quotients[load]]
    taken = summarise(replace(samples, quotients={"model": quotients}))["model"]
    return taken, [ms for load in models for ms in samples.runs_ms[load]]


def _loads(size: int, runtime: AnyRuntime) -> int:
    """How often a model of so many bytes is loaded; once where a load or a run starts a process."""
    if isinstance(runtime, NeedsSession | Compiling):
        return 1
    return max(1, min(_MOST_LOADS, _LOADED_BYTES // size))


def measure_on(
    target: Target, space: SearchSpace, seconds: float, name: str | None = None
) -> Measure:
    """What measures ONNX models on a target that is this machine, with every run by the clock.

    Args:
        target: of a table; `differences_here` tells whether it is this machine.
        space: whose middle network is the reference.
        seconds: measure each model for at least so long.
        name: of the runtime, as `runtime_for` takes it.

    Raises:
        HwnasError: as `runtime_for`.
    """
    runtime = runtime_for(target, name)

    def measured(model: bytes, progress: Progress) -> Mapping[str, Any]:
        taken, runs_ms = measure_runs(
            model, space, runtime, target, seconds=seconds, progress=progress
        )
        return asdict(taken) | {"runs_ms": [float(f"{ms:.5g}") for ms in runs_ms]}

    return measured
