"""Sessions of ONNX Runtime on a CPU, and jobs that run them; the agent elsewhere has these too."""

import time
from typing import Any

import numpy as np
import onnxruntime as ort

from hwnas.kernels.input_notes import ALIKE, BELOW
from hwnas.profilers.protocol import Job

__all__ = [
    "ALIKE",
    "BELOW",
    "bound",
    "in_stretches",
    "input_arrays",
    "load_session",
    "made_up",
    "new_session",
    "number_type",
    "output_arrays",
    "plugin_devices",
]


def load_session(
    model: bytes | str, threads: int, provider: str = "cpu", kept: list[Any] | None = None
) -> Job:
    """A session with its input and output bound to memory, so that a run copies nothing.

    Args:
        model: its bytes, or its path where weights lie in a file beside it.
        threads: inside an operator.
        provider: ``cpu``, ``xnnpack``, which brings threads of its own, or the name of another.
        kept: receives pairs of the bound arrays and what binds them.
    """
    return bound(new_session(model, threads, provider), kept)


def new_session(
    model: bytes | str, threads: int, provider: str = "cpu", profile: str | None = None
) -> Any:
    """A session of ONNX Runtime.

    Args:
        model, threads, provider: as `load_session`.
        profile: what the name of the file begins with that its own profiler writes.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1 if provider == "xnnpack" else threads
    # its errors are raised; what it logs holds a model's names as they are
    options.inter_op_num_threads, options.log_severity_level = 1, 4
    # threads that wait by spinning would take the cores from the next job
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    providers: list[Any] = ["CPUExecutionProvider"]
    if provider == "xnnpack":
        providers.insert(0, ("XnnpackExecutionProvider", {"intra_op_num_threads": str(threads)}))
    elif plugged := plugin_devices(provider):
        options.add_provider_for_devices(plugged, {})  # what it leaves runs on the CPU provider
        return ort.InferenceSession(model, options)
    elif provider != "cpu":
        providers.insert(0, provider)
    return ort.InferenceSession(model, options, providers=providers)


def plugin_devices(provider: str) -> list[Any]:
    """This processor as a registered plugin offers it; empty for providers that are built in."""
    if provider in ("cpu", *ort.get_available_providers()) or not hasattr(ort, "get_ep_devices"):
        return []
    processor = ort.OrtHardwareDeviceType.CPU
    offered = [d for d in ort.get_ep_devices() if d.ep_name == provider]
    return [d for d in offered if d.device.type == processor]


def bound(session: Any, kept: list[Any] | None = None) -> Job:
    """A job that runs a session; an output whose sizes are not known before is made by each run."""
    binding = session.io_binding()
    # a binding does not own the memory of its values: they live as long as the job
    kept = [] if kept is None else kept
    for name, array in input_arrays(session):
        kept.append((array, ort.OrtValue.ortvalue_from_numpy(array)))
        binding.bind_ortvalue_input(name, kept[-1][1])
    for name, array in output_arrays(session):
        if array is None:
            binding.bind_output(name)
            continue
        kept.append((array, ort.OrtValue.ortvalue_from_numpy(array)))
        binding.bind_ortvalue_output(name, kept[-1][1])
    run = session.run_with_iobinding

    def job(_kept: Any = kept) -> float:
        start = time.perf_counter_ns()
        run(binding)
        return (time.perf_counter_ns() - start) / 1e6

    return job


def input_arrays(session: Any) -> list[tuple[str, Any]]:
    """Made up values of each input, by name."""
    said, rng = session.get_modelmeta().custom_metadata_map, np.random.default_rng(0)
    found = []
    for x in session.get_inputs():
        values = made_up(x.shape, number_type(x), said.get(BELOW + x.name), rng)
        if ALIKE + x.name in said:
            values = in_stretches(values, int(said[ALIKE + x.name]))
        found.append((x.name, values))
    return found


def in_stretches(values: Any, length: int) -> Any:
    """The same numbers, where each ``length`` in a row have the sign of their first."""
    flat = values.ravel()
    return np.copysign(flat, np.repeat(flat[::length], length)[: flat.size]).reshape(values.shape)


def output_arrays(session: Any) -> list[tuple[str, Any]]:
    """Where each output goes, by name; None where its size is not known before a run."""
    found: list[tuple[str, Any]] = []
    for y in session.get_outputs():
        kind = number_type(y)
        fixed = kind is not None and all(isinstance(size, int) for size in y.shape or [""])
        found.append((y.name, np.zeros(y.shape, kind) if fixed else None))
    return found


def number_type(place: Any) -> Any:
    """The type of numbers in a tensor, as ONNX Runtime writes it; None for what is no tensor."""
    name = place.type.partition("(")[2].rstrip(")")
    known = {"float": "float32", "double": "float64", "bool": "bool_"}.get(name, name)
    return np.dtype(getattr(np, known)) if hasattr(np, known) else None


def made_up(shape: Any, kind: Any, rows: Any, rng: Any) -> Any:
    """Values of an input: random numbers, and whole ones that are valid wherever they are read.

    Those that pick from ``rows`` are any of them; others, such as masks and lengths, are one.
    """
    if kind.kind == "f":
        return np.asarray(rng.standard_normal(shape), kind)
    most = 2 if rows is None else min(int(rows), int(np.iinfo(kind).max))
    return np.asarray(rng.integers(int(rows is None), most, shape), kind)
