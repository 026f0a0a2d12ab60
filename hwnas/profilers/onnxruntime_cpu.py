"""Any CPU through ONNX Runtime."""

import time

import numpy as np
import onnxruntime as ort

from hwnas.errors import OptionError
from hwnas.latency_tables import Target
from hwnas.profilers.host import cpu_cores, cpu_name, machine_digest
from hwnas.profilers.protocol import Job

__all__ = ["OnnxRuntimeCpu"]


class OnnxRuntimeCpu:
    """ONNX Runtime's CPU provider with a fixed number of threads.

    Raises:
        OptionError: fewer than one thread, or more than this process has cores.
    """

    precisions = ("fp32", "int8")

    def __init__(self, threads: int = 1):
        if not 1 <= threads <= cpu_cores():
            raise OptionError(f"threads are 1 to {cpu_cores()} (cores here), got {threads}")
        self.threads = threads

    def target(self, precision: str, batch: int) -> Target:
        """This machine's processor."""
        return Target(
            kind="cpu",
            device=cpu_name(),
            device_id=machine_digest(),
            runtime="onnxruntime",
            runtime_version=ort.__version__,
            precision=precision,  # type: ignore[arg-type]
            batch=batch,
            threads=self.threads,
        )

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """A session with its input and output bound to memory, so that a run copies nothing.

        ``warm`` touches that memory before each run. The kernel then finds its input in the cache,
        where a network's kernel before it would have left it, and its weights where they were.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # threads that wait by spinning would take the cores from the next job
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        rng = np.random.default_rng(0)
        inputs = [
            np.asarray(rng.standard_normal(value.shape), np.float32)
            for value in session.get_inputs()
        ]
        outputs = [np.zeros(value.shape, np.float32) for value in session.get_outputs()]
        for value, array in zip(session.get_inputs(), inputs, strict=True):
            binding.bind_ortvalue_input(value.name, ort.OrtValue.ortvalue_from_numpy(array))
        for value, array in zip(session.get_outputs(), outputs, strict=True):
            binding.bind_ortvalue_output(value.name, ort.OrtValue.ortvalue_from_numpy(array))
        run = session.run_with_iobinding

        def job() -> float:
            if warm:  # the arrays are the memory that is bound
                for array in outputs:
                    array.fill(0)
                for array in inputs:
                    array.max()
            start = time.perf_counter_ns()
            run(binding)
            return (time.perf_counter_ns() - start) / 1e6

        return job
