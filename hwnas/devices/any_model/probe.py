"""What loading and a first run of a model take, in a process of its own.

There nothing is loaded yet, memory can be told apart, and a model that never ends, takes all memory
or brings its runtime down is stopped before it reaches the measurement.
"""

import ctypes
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

from hwnas.devices.any_model.child import (
    limit_memory,
    read_record,
    reasons_told,
    run_child,
    tell,
)
from hwnas.errors import ModelRejectedError
from hwnas.onnx_graph import to_onnx
from hwnas.ops import MBConv, Workload
from hwnas.profilers import Runtime, runtime
from hwnas.profilers.layers import LayerTime, middle_half
from hwnas.profilers.protocol import Job

__all__ = ["OperatorShare", "Probe", "Way", "probe", "probe_here"]

#: A model is loaded and has run once within this, s; on a GPU, engines are built first.
_LIMIT_S, _TIMES_ON_A_GPU = 120, 10
_MODEL, _LOADED, _LAYERS = "model.onnx", "loaded.json", "layers.json"
#: Runs before peaks of memory are read.
_FIRST_RUNS = 3
#: Then a loop of so many runs at most, and of so many ms, tells what one takes in a loop.
_LOOP_RUNS, _LOOP_MS = 100, 300.0
#: A profile of the runtime is made three times, and the middle one taken, while that takes less.
_PROFILES, _PROFILE_S = 3, 10.0


@dataclass(frozen=True, slots=True)
class OperatorShare:
    """What the layers of one operator take.

    Attributes:
        operator: its name in the runtime; the layer's own where the runtime does not tell.
        layers: how many run.
        share: of a whole run, 0 to 1.
    """

    operator: str
    layers: int
    share: float


@dataclass(frozen=True, slots=True)
class Probe:
    """What a model takes beside its runs; None where it cannot be told.

    Attributes:
        load_ms: until it could run.
        first_run_ms: the first run; None where loading has run it already, as on a GPU.
        memory_bytes: by which the process grew at most while the model ran, weights and all.
        loading_bytes: by which it grew at most while the model was loaded.
        operators: by the runtime's own profile, the largest first; empty where it makes none.
        loop_ms: median run in a loop of its own. Nothing runs in between, so that a small model
            finds its weights in the cache.
    """

    load_ms: float
    first_run_ms: float | None
    memory_bytes: int | None = None
    loading_bytes: int | None = None
    operators: tuple[OperatorShare, ...] = ()
    loop_ms: float | None = None

    @property
    def operators_sum(self) -> float | None:
        """All shares together: 1 where the runtime's profile explains the whole."""
        return sum(one.share for one in self.operators) if self.operators else None


@dataclass(frozen=True, slots=True)
class Way:
    """How another process of this machine makes a runtime: `hwnas.profilers.runtime`."""

    device: str
    threads: int
    runtime: str | None


def probe(model: bytes, way: Way) -> Probe:
    """Load and run a model in a process of its own.

    Raises:
        ModelRejectedError: it cannot be loaded or run, or not in bounds.
    """
    limit_s = _LIMIT_S * (_TIMES_ON_A_GPU if way.device == "gpu" else 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / _MODEL).write_bytes(model)
        end = run_child(__name__, folder, [json.dumps(asdict(way))], limit_s)
        loaded, layers = read_record(folder, _LOADED), read_record(folder, _LAYERS)
    if loaded is None:
        raise ModelRejectedError(f"it did not load and run {end}")
    operators = tuple(OperatorShare(**record) for record in (layers or {}).get("operators", ()))
    return Probe(**loaded, operators=operators)


def work(name: str, way: str) -> None:
    """What the other process does, and writes into the folder of the model."""
    folder = Path(name)
    with reasons_told(folder, "it cannot be run"):
        given = json.loads(way)
        limit_memory(given["device"])
        here = runtime(given["device"], given["threads"], given["runtime"])
        model = (folder / _MODEL).read_bytes()
        probe_here(model, here, told=partial(tell, folder))


def probe_here(
    model: bytes,
    here: Runtime,
    told: Callable[[str, Mapping[str, Any]], None] = lambda file, record: None,
) -> Probe:
    """Load and run a model in this process, whose memory is not its own.

    Args:
        model: what.
        here: by what.
        told: in a process for this alone: keeps what is known so far, memory too.
    """
    here.load(_small())()  # what a runtime takes once is no model's
    before = _resident()
    _forget_peak()
    start = time.perf_counter()
    job = here.load(model)
    load_ms = 1000 * (time.perf_counter() - start)
    loading = _peak()
    first_run_ms = job() if not hasattr(job, "repeats") else None
    _resident()  # gives back what loading left
    _forget_peak()
    loop = [job() for _ in range(_FIRST_RUNS)]
    running = _peak()
    while len(loop) < _LOOP_RUNS and sum(loop) < _LOOP_MS:
        loop.append(job())
    known: dict[str, Any] = {"load_ms": load_ms, "first_run_ms": first_run_ms}
    known["loop_ms"] = median(loop)
    on_host = here.target(here.precisions[0], 1).kind == "cpu"
    if before is not None and loading is not None and running is not None and on_host:
        memory = {"memory_bytes": running - before, "loading_bytes": loading - before}
        told(_LOADED, known | memory)
    else:
        told(_LOADED, known)
    operators = _operators(model, here, job)
    told(_LAYERS, {"operators": [asdict(one) for one in operators]})
    return Probe(**known, operators=operators)


def _operators(model: bytes, here: Runtime, job: Job) -> tuple[OperatorShare, ...]:
    """Shares of the runtime's own profile: of the runs without one that stand between its own."""
    explain: Callable[..., list[LayerTime]] | None = getattr(here, "explain", None)
    if explain is None:
        return ()
    start = time.monotonic()
    found: list[tuple[float, list[LayerTime]]] = []  # what each profile is divided by
    while len(found) < _PROFILES and (not found or time.monotonic() - start < _PROFILE_S):
        beside: list[float] = []
        layers = explain(model, partial(_note, job, beside))
        found.append((fmean(middle_half(beside, key=float)), layers))
    sums = [sum(one.latency_ms for one in layers) / whole for whole, layers in found]
    whole_ms, layers = found[sums.index(sorted(sums)[len(sums) // 2])]
    totals: dict[str, tuple[int, float]] = {}
    for layer in layers:
        count, ms = totals.get(layer.operator or layer.name, (0, 0.0))
        totals[layer.operator or layer.name] = (count + 1, ms + layer.latency_ms)
    ordered = sorted(totals.items(), key=lambda item: -item[1][1])
    return tuple(OperatorShare(op, count, ms / whole_ms) for op, (count, ms) in ordered)


def _note(job: Job, runs: list[float]) -> None:
    runs.append(job())


def _small() -> bytes:
    """A model that loads what all models need of a runtime."""
    return to_onnx(Workload(MBConv(3, 3), 8, 8, 1, 8, 8).graph())


def _resident() -> int | None:
    """Memory of this process once it has given back what it can, bytes; None where untold."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int | None:
    """The most memory of this process since `_forget_peak`."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    return None
