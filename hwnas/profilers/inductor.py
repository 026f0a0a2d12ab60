"""Inductor, the compiler of torch: a model compiled, its kernels timed, its C++ compiler named."""

import ctypes
import os
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch._inductor import config
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler
from torch.profiler import ProfilerActivity, profile

from hwnas.errors import DeviceUnavailableError
from hwnas.kernels.model import read_model
from hwnas.kernels.optimise import FOLDED, optimise
from hwnas.profilers.gpu.engine_cache import cache_folder
from hwnas.profilers.onnx_torch import OnnxFunction, as_module
from hwnas.profilers.runtime import rejecting
from hwnas.reading import MIB

__all__ = [
    "Compiled",
    "compiled",
    "compiling",
    "cpp_compiler",
    "first_run",
    "keep_freed_memory",
    "kernel_times",
    "torch_threads",
]

#: What torch's profiler calls all kernels of one run, and inductor one kernel of a graph.
_RUN, _KERNEL = "## Call CompiledFxGraph", re.compile(r"graph_\d+_(.*?)(_\d+)?")

#: Numbers of glibc's settings.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

#: A compiled function of the inputs, and made-up inputs.
Compiled = tuple[Callable[[Any], Any], tuple[torch.Tensor, ...]]


def compiled(model: bytes, threads: int, *, profiled: bool = False) -> Compiled:
    """A model compiled with its sizes fixed and its weights frozen; it has run once.

    Args:
        model: ONNX, of floats.
        threads: that its kernels use.
        profiled: its kernels tell torch's profiler of themselves.

    Raises:
        ModelRejectedError: torch has no such operator, or cannot compile the model.
    """
    with rejecting("torch does not compile the model"):
        function = OnnxFunction(_folded(model), "cpu")
        inputs = function.examples()
        run = compiling(function)
        compiles = first_run(**{"cpp.enable_kernel_profile": profiled})
        with torch_threads(threads), torch.inference_mode(), compiles:
            run(inputs)
    return run, inputs


def compiling(function: OnnxFunction) -> Callable[[Any], Any]:
    """A function of a tuple of inputs that is compiled by its `first_run`."""
    return torch.compile(as_module(function), fullgraph=True, dynamic=False)


@contextmanager
def first_run(**settings: Any) -> Iterator[None]:
    """How inductor is set while it compiles: weights are constants, what is compiled is kept."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder("inductor")))
    # a pool of compilers would be idle processes beside the measurement
    settings = {"freezing": True, "compile_threads": 1, **settings}
    with warnings.catch_warnings(), config.patch(settings):
        warnings.simplefilter("ignore")  # torch's, about itself
        yield


def _folded(model: bytes) -> bytes:
    """The model with what is constant computed, sizes above all."""
    parts = optimise(read_model(model), "the model", level=FOLDED)
    return parts[0][0].SerializeToString() if len(parts) == 1 else model


def kernel_times(made: Compiled, threads: int) -> list[tuple[str, float]]:
    """What each kernel of one run took, ms, by torch's profiler; in the order in which they ran."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler would tell of its every start
    run, inputs = made
    profiler = profile(activities=[ProfilerActivity.CPU])
    with torch_threads(threads), torch.inference_mode(), profiler as seen:
        run(inputs)
    times = []
    for event in seen.events():
        if event.cpu_parent is not None and event.cpu_parent.name.startswith(_RUN):
            known = _KERNEL.fullmatch(event.name)
            times.append((known[1] if known else event.name, event.cpu_time_total / 1e3))
    return times


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, as the allocators do that torch is deployed with.

    Else each run may give its maps back to the system and be given them anew, page by page, or not,
    as the end of the heap happens to be, and the same network takes once or twice as long.
    """
    with suppress(OSError, AttributeError, TypeError):  # another system's C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, 32 * MIB)  # the most that it takes
        mallopt(_TRIM_THRESHOLD, 1024 * MIB)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Hold the threads of torch, which are the whole process's, at a number meanwhile."""
    before = torch.get_num_threads()
    if before != count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if before != count:
            torch.set_num_threads(before)


def cpp_compiler() -> str:
    """The C++ compiler that inductor finds, and its version.

    Raises:
        DeviceUnavailableError: there is none.
    """
    try:
        path = get_cpp_compiler()
        words = [path, "-dumpfullversion", "-dumpversion"]
        told = subprocess.run(words, capture_output=True, text=True, check=True)
    except (InvalidCxxCompiler, OSError, subprocess.CalledProcessError) as error:
        raise DeviceUnavailableError(
            "the runtime torch-compile needs a C++ compiler: install one (apt install g++), or set "
            f"CXX to its path ({' '.join(str(error).split())[:100]})"
        ) from None
    return f"{Path(path).name} {told.stdout.strip()}"
