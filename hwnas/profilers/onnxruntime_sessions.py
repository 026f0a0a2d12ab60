"""Sessions of ONNX Runtime on a CPU, and jobs that run them; the agent elsewhere has these too."""

import time
from typing import Any

import numpy as np
import onnxruntime as ort

from hwnas.profilers.protocol import Job

__all__ = ["bound", "load_session", "new_session"]

#: Behind this, a model's metadata says what the whole numbers of an input lie below.
_BELOW = "hwnas.below."


def load_session(
    model: bytes | str, threads: int, provider: str = "cpu", kept: list[Any] | None = None
) -> Job:
    """A session with its input and output bound to memory, so that a run copies nothing.

    Args:
        model: its bytes, or its path where weights lie in a file beside it.
        threads: inside an operator.
        provider: ``cpu`` or ``xnnpack``, which brings threads of its own.
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
    options.intra_op_num_threads = threads if provider == "cpu" else 1
    # its errors are raised; what it logs holds a model's names as they are
    options.inter_op_num_threads, options.log_severity_level = 1, 4
    # threads that wait by spinning would take the cores from the next job
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    providers: list[Any] = ["CPUExecutionProvider"]
    if provider == "xnnpack":
        providers.insert(0, ("XnnpackExecutionProvider", {"intra_op_num_threads": str(threads)}))
    return ort.InferenceSession(model, options, providers=providers)


def bound(session: Any, kept: list[Any] | None = None) -> Job:
    """A job that runs a session; an output whose sizes are not known before is made by each run."""
    binding = session.io_binding()
    # a binding does not own the memory of its values: they live as long as the job
    kept = [] if kept is None else kept
    said = session.get_modelmeta().custom_metadata_map
    rng = np.random.default_rng(0)
    for place in session.get_inputs():
        array = made_up(place.shape, number_type(place), said.get(_BELOW + place.name), rng)
        kept.append((array, ort.OrtValue.ortvalue_from_numpy(array)))
        binding.bind_ortvalue_input(place.name, kept[-1][1])
    for place in session.get_outputs():
        kind = number_type(place)
        if kind is None or not all(isinstance(size, int) for size in place.shape or [""]):
            binding.bind_output(place.name)
            continue
        array = np.zeros(place.shape, kind)
        kept.append((array, ort.OrtValue.ortvalue_from_numpy(array)))
        binding.bind_ortvalue_output(place.name, kept[-1][1])
    run = session.run_with_iobinding

    def job(_kept: Any = kept) -> float:
        start = time.perf_counter_ns()
        run(binding)
        return (time.perf_counter_ns() - start) / 1e6

    return job


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
