"""Any CPU through torch.compile: inductor's kernels, with the weights of a model frozen."""

import os
import re
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._inductor import config
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.exc import InvalidCxxCompiler
from torch.profiler import ProfilerActivity, profile

from hwnas.errors import DeviceUnavailableError, HwnasError, ModelRejectedError, OptionError
from hwnas.kernels.model import read_model
from hwnas.kernels.optimise import FOLDED, optimise
from hwnas.latency_tables import Target
from hwnas.profilers.gpu.engine_cache import cache_folder
from hwnas.profilers.host import cpu_cores, cpu_name, machine_digest
from hwnas.profilers.layers import LayerTime, middle_half
from hwnas.profilers.onnx_torch import OnnxFunction, as_module
from hwnas.profilers.protocol import Job

__all__ = ["TorchCompile"]

#: Runs of a function that profiles itself.
_EXPLAINED_RUNS = 24
#: What torch's profiler calls the kernels of one run together, and inductor a kernel of a graph.
_RUN, _KERNEL = "## Call CompiledFxGraph", re.compile(r"graph_\d+_(.*?)(_\d+)?")


class TorchCompile:
    """torch.compile in fp32 with a fixed number of threads: sizes fixed, weights frozen.

    Raises:
        DeviceUnavailableError: there is no C++ compiler.
        OptionError: fewer than one thread, or more than this process has cores.
    """

    precisions = ("fp32",)

    def __init__(self, threads: int = 1):
        if not 1 <= threads <= cpu_cores():
            raise OptionError(f"threads are 1 to {cpu_cores()} (cores here), got {threads}")
        self.threads, self._compiler = threads, _compiler()
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder("inductor")))

    def target(self, precision: str, batch: int) -> Target:
        """This machine's processor; the version tells the C++ compiler's, too."""
        return Target(
            kind="cpu",
            device=cpu_name(),
            device_id=machine_digest(),
            runtime="torch-compile",
            runtime_version=f"{torch.__version__} ({self._compiler})",
            precision=precision,  # type: ignore[arg-type]
            batch=batch,
            threads=self.threads,
        )

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """The compiled function, which has run once; ``warm`` touches its inputs before each run.

        Raises:
            ModelRejectedError: torch has no such operator, or cannot compile the model.
        """
        run, inputs = self._compiled(model)
        memory = [x.numpy().reshape(-1).view("uint8") for x in inputs] if warm else []

        def job() -> float:
            for values in memory:
                values |= 0
            with _threads(self.threads), torch.inference_mode():
                start = time.perf_counter_ns()
                run(inputs)
                return (time.perf_counter_ns() - start) / 1e6

        return job

    def explain(
        self, model: bytes, between: Callable[[], object] = lambda: None
    ) -> list[LayerTime]:
        """What each kernel of inductor's graph takes, by torch's own profiler.

        Args:
            model: what.
            between: called before each run, so that others can be timed under the same conditions.

        Raises:
            ModelRejectedError: as `load`.
        """
        os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler would tell of its every start
        run, inputs = self._compiled(model, {"cpp.enable_kernel_profile": True})
        runs: list[list[tuple[str, float]]] = []
        for _ in range(_EXPLAINED_RUNS):
            between()
            with _threads(self.threads), torch.inference_mode():
                with profile(activities=[ProfilerActivity.CPU]) as seen:
                    run(inputs)
            kernels = [e for e in seen.events() if (e.cpu_parent or e).name.startswith(_RUN)]
            runs.append([(e.name, e.cpu_time_total / 1e3) for e in kernels if e.cpu_parent])
        middle = middle_half(runs, key=lambda kernels: sum(ms for _, ms in kernels))
        layers = []
        for name, ms in ((ks[0][0], [ms for _, ms in ks]) for ks in zip(*middle, strict=True)):
            found = _KERNEL.fullmatch(name)
            layers.append(LayerTime(name, sum(ms) / len(ms), {}, found[1] if found else name))
        return layers

    def _compiled(self, model: bytes, more: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """The function of a model, compiled, and the inputs that it is called with."""
        # a pool of compilers would be idle processes beside the measurement
        settings = {"freezing": True, "compile_threads": 1} | (more or {})
        try:
            function = OnnxFunction(_folded(model), "cpu")
            inputs = function.examples()
            run = torch.compile(as_module(function), fullgraph=True, dynamic=False)
            with warnings.catch_warnings(), _threads(self.threads), torch.inference_mode():
                warnings.simplefilter("ignore")  # torch's, about itself
                with config.patch(settings):
                    run(inputs)
        except (MemoryError, HwnasError):
            raise
        except Exception as error:  # compilers raise what they like
            reason = " ".join(str(error).split())[:300]
            raise ModelRejectedError(f"torch does not compile the model: {reason}") from None
        return run, inputs


def _folded(model: bytes) -> bytes:
    """The model with what is constant computed, sizes above all."""
    proto = read_model(model)
    parts = optimise(proto, "the model", level=FOLDED)
    return parts[0][0].SerializeToString() if len(parts) == 1 else model


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """torch's threads, which are the whole process's, at a number meanwhile."""
    before = torch.get_num_threads()
    if before != count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if before != count:
            torch.set_num_threads(before)


def _compiler() -> str:
    """The C++ compiler that inductor finds, and its version."""
    try:
        path = get_cpp_compiler()
        told = subprocess.run(
            [path, "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=True
        )
    except (InvalidCxxCompiler, OSError, subprocess.CalledProcessError) as error:
        raise DeviceUnavailableError(
            "the runtime torch-compile needs a C++ compiler: install g++ (apt install g++), or set "
            f"CXX to one ({' '.join(str(error).split())[:100]})"
        ) from None
    return f"{os.path.basename(path)} {told.stdout.strip()}"
