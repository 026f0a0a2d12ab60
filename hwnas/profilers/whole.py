"""Whole networks measured, where a space has no workloads to measure."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from hwnas.arrays import IntArray
from hwnas.latency_tables import LatencyTable
from hwnas.onnx_graph import Precision
from hwnas.profilers.measuring import CALL, empty_graph, form, measure, onnx_models, provenance
from hwnas.profilers.profile import table_of
from hwnas.profilers.protocol import NETWORK, Plan
from hwnas.profilers.runtime import AnyRuntime, check_precision
from hwnas.progress import Progress, silent
from hwnas.spaces import SearchSpace

__all__ = ["profile_whole"]


def profile_whole(
    space: SearchSpace,
    runtime: AnyRuntime,
    archs: IntArray,
    *,
    precision: str = "fp32",
    batch: int = 1,
    plan: Plan | None = None,
    seed: int = 0,
    journal: Path | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """A table of whole networks, and of no workloads, measured in one interleaved run.

    Of each network the second run in a row counts: whether a small one finds its weights in the
    cache would otherwise depend on how many others are measured.

    Args:
        space: of the networks; its middle one is the reference.
        runtime: what runs them.
        archs: (n, n_decisions).
        precision, batch: of the models.
        plan: when a median is tight enough.
        seed: of the order of the runs.
        journal: where a killed measurement goes on.
        progress: told after every round.

    Raises:
        OptionError: the runtime does not run the precision.
        MeasurementError: the device failed.
    """
    check_precision(runtime, precision)
    started = time.monotonic()
    target = runtime.target(precision, batch)
    kind, size, symmetric = form(target)
    write = partial(space.to_onnx, batch=size, precision=cast(Precision, kind), symmetric=symmetric)
    models: dict[str, Callable[[], bytes]] = {
        NETWORK + space.format(arch): partial(write, arch) for arch in archs
    }
    models |= onnx_models({CALL: empty_graph()}, *form(target))
    refused: dict[str, str] = {}
    plan = replace(plan or Plan(), again=True)
    samples = measure(
        models, space, runtime, target, plan, seed, journal, progress, refused=refused
    )
    return table_of(
        space, samples, target, provenance(runtime, started), workloads=(), refused=refused
    )
