"""Any CPU through ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import onnxruntime as ort

from hwnas.latency_tables import Target
from hwnas.profilers.layers import LayerTime
from hwnas.profilers.onnxruntime_profile import profiled
from hwnas.profilers.onnxruntime_sessions import load_session
from hwnas.profilers.protocol import Job
from hwnas.profilers.runtime import rejecting
from hwnas.profilers.this_cpu import check_threads, cpu_target, warmed

__all__ = ["OnnxRuntimeCpu"]

#: Loads differ as much as the median of so many runs of one load does.
_RUNS_A_LOAD = 20
_REJECTED = "ONNX Runtime cannot load the model"


class OnnxRuntimeCpu:
    """ONNX Runtime's CPU provider, or another by name, with a fixed number of threads.

    Raises:
        OptionError: fewer than one thread, or more than this process has cores.
    """

    precisions = ("fp32", "int8")

    def __init__(self, threads: int = 1, provider: str = "cpu"):
        self.threads, self._provider = check_threads(threads), provider
        #: After how many runs of each all models are loaded anew: it takes milliseconds here.
        self.runs_a_load = _RUNS_A_LOAD if provider == "cpu" else None

    def target(self, precision: str, batch: int) -> Target:
        """This machine's processor."""
        runtime = "onnxruntime" if self._provider == "cpu" else self._provider
        return cpu_target(runtime, ort.__version__, precision, batch, self.threads)

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """A session; ``warm`` touches its inputs and outputs before each run.

        Raises:
            ModelRejectedError: the bytes are no model that ONNX Runtime can load.
        """
        kept: list[Any] = []
        with rejecting(_REJECTED):
            run = load_session(model, self.threads, self._provider, kept)
        return warmed(run, (array for array, _ in kept)) if warm else run  # what is bound

    def explain(
        self, model: bytes, between: Callable[[], object] = lambda: None
    ) -> list[LayerTime]:
        """What each node of the optimised graph takes, by ONNX Runtime's own profiler.

        Args:
            model: what.
            between: called before each run, so that others can be timed under the same conditions.

        Raises:
            ModelRejectedError: ONNX Runtime cannot load or run the model.
        """
        with rejecting(_REJECTED):
            return profiled(model, self.threads, between, self._provider)
