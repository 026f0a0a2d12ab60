"""Intel's and other x86 and ARM CPUs through OpenVINO: pip install openvino."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto

from hwnas.errors import MissingPackageError
from hwnas.latency_tables import Target
from hwnas.profilers.layers import LayerTime, middle_half
from hwnas.profilers.onnxruntime_sessions import BELOW, made_up
from hwnas.profilers.protocol import Job
from hwnas.profilers.runtime import rejecting
from hwnas.profilers.this_cpu import check_threads, cpu_target, warmed

__all__ = ["OpenVinoCpu"]

#: Runs of a request that profiles itself.
_EXPLAINED_RUNS = 24


class OpenVinoCpu:
    """OpenVINO's CPU plugin with a fixed number of threads, one request at a time.

    Floats are computed as fp32, though the processor may know bf16. int8 is what the graph says.

    Raises:
        MissingPackageError: OpenVINO is not installed.
        OptionError: fewer than one thread, or more than this process has cores.
    """

    precisions = ("fp32", "int8")

    def __init__(self, threads: int = 1):
        try:
            import openvino
        except ImportError as error:
            raise MissingPackageError(
                f"the runtime openvino needs a package that cannot be imported here ({error}): "
                "pip install openvino"
            ) from None
        self.threads = check_threads(threads)
        self._core: Any = openvino.Core()
        self._version = str(openvino.__version__).partition("-")[0]

    def target(self, precision: str, batch: int) -> Target:
        """This machine's processor."""
        return cpu_target("openvino", self._version, precision, batch, self.threads)

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """A request with its inputs set; ``warm`` touches them before each run.

        Raises:
            ModelRejectedError: OpenVINO cannot read or compile the model.
        """
        request, arrays = self._request(model)
        run = request.infer

        def job(_kept: Any = arrays) -> float:
            start = time.perf_counter_ns()
            run()
            return (time.perf_counter_ns() - start) / 1e6

        return warmed(job, arrays) if warm else job

    def explain(
        self, model: bytes, between: Callable[[], object] = lambda: None
    ) -> list[LayerTime]:
        """What each node of the compiled graph takes, by OpenVINO's own counters.

        Args:
            model: what.
            between: called before each run, so that others can be timed under the same conditions.

        Raises:
            ModelRejectedError: as `load`.
        """
        request, _kept = self._request(model, PERF_COUNT=True)
        runs: list[dict[tuple[str, str], float]] = []
        for _ in range(_EXPLAINED_RUNS):
            between()
            request.infer()
            runs.append(
                {
                    (node.node_name, node.node_type): node.real_time.total_seconds() * 1e3
                    for node in request.profiling_info
                    if node.real_time.total_seconds() > 0
                }
            )
        middle = middle_half(runs, key=lambda times: sum(times.values()))
        names = dict.fromkeys(name for times in middle for name in times)
        return [
            LayerTime(name, sum(t.get((name, kind), 0.0) for t in middle) / len(middle), {}, kind)
            for name, kind in names
        ]

    def _request(self, model: bytes, **more: object) -> tuple[Any, list[Any]]:
        """A request of the compiled model, and the arrays that it reads."""
        settings = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            **more,
        }
        with rejecting("OpenVINO cannot load the model"):
            compiled = self._core.compile_model(self._core.read_model(model), "CPU", settings)
            request = compiled.create_infer_request()
            said = {p.key: p.value for p in ModelProto.FromString(model).metadata_props}
            rng, arrays = np.random.default_rng(0), []
            for place in compiled.inputs:
                kind = np.dtype(place.element_type.to_dtype())
                rows = next((said[BELOW + n] for n in place.names if BELOW + n in said), None)
                arrays.append(made_up(list(place.shape), kind, rows, rng))
                request.set_tensor(place, _tensor(arrays[-1]))
        return request, arrays


def _tensor(array: Any) -> Any:
    import openvino

    return openvino.Tensor(array, shared_memory=True)
