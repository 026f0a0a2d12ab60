"""Any CPU through torch.compile."""

import time
from collections.abc import Callable

import torch

from hwnas.latency_tables import Target
from hwnas.profilers.inductor import (
    compiled,
    cpp_compiler,
    keep_freed_memory,
    kernel_times,
    torch_threads,
)
from hwnas.profilers.layers import LayerTime, middle_half
from hwnas.profilers.protocol import Job
from hwnas.profilers.this_cpu import check_threads, cpu_target, warmed

__all__ = ["TorchCompile"]

#: Runs of a function that profiles itself.
_EXPLAINED_RUNS = 24


class TorchCompile:
    """torch.compile in fp32 with a fixed number of threads: sizes fixed, weights frozen.

    Raises:
        DeviceUnavailableError: there is no C++ compiler.
        OptionError: fewer than one thread, or more than this process has cores.
    """

    precisions = ("fp32",)

    def __init__(self, threads: int = 1):
        self.threads, self._compiler = check_threads(threads), cpp_compiler()
        keep_freed_memory()

    def target(self, precision: str, batch: int) -> Target:
        """This machine's processor; the version is torch's, and the C++ compiler's."""
        version = f"{torch.__version__} ({self._compiler})"
        return cpu_target("torch-compile", version, precision, batch, self.threads)

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """The compiled function, which has run once; ``warm`` touches its inputs before each run.

        Raises:
            ModelRejectedError: torch has no such operator, or cannot compile the model.
        """
        run, inputs = compiled(model, self.threads)

        def job() -> float:
            with torch_threads(self.threads), torch.inference_mode():
                start = time.perf_counter_ns()
                run(inputs)
                return (time.perf_counter_ns() - start) / 1e6

        return warmed(job, (x.numpy() for x in inputs)) if warm else job

    def explain(
        self, model: bytes, between: Callable[[], object] = lambda: None
    ) -> list[LayerTime]:
        """What each kernel of inductor's graph takes; its name tells what was fused into it.

        Args:
            model: what.
            between: called before each run, so that others can be timed under the same conditions.

        Raises:
            ModelRejectedError: as `load`.
        """
        made = compiled(model, self.threads, profiled=True)
        runs = []
        for _ in range(_EXPLAINED_RUNS):
            between()
            runs.append(kernel_times(made, self.threads))
        middle = middle_half(runs, key=lambda kernels: sum(ms for _, ms in kernels))
        return [
            LayerTime(f"{name} {at}", sum(run[at][1] for run in middle) / len(middle), {}, name)
            for at, (name, _) in enumerate(middle[0])
        ]
