"""Profilers: the measuring protocol, and one small file per runtime.

A new runtime is a file with a class that satisfies `Runtime`, a line in ``_RUNTIMES``, and a line
in the conformance tests.
"""

from collections.abc import Callable

from hwnas.errors import UnknownNameError
from hwnas.profilers.gpu import GPU_RUNTIMES, gpu_problem, gpu_runtime
from hwnas.profilers.kernels import check_kernels, profile_kernels
from hwnas.profilers.profile import (
    check_precision,
    extend_table,
    measure_models,
    profile_space,
)
from hwnas.profilers.protocol import Plan
from hwnas.profilers.runtime import Runtime

__all__ = [
    "DEVICES",
    "GPU_RUNTIMES",
    "Plan",
    "Runtime",
    "check_kernels",
    "check_precision",
    "extend_table",
    "gpu_problem",
    "measure_models",
    "profile_kernels",
    "profile_space",
    "runtime",
]

DEVICES = ("cpu", "gpu")


def _cpu(threads: int) -> Runtime:
    from hwnas.profilers.onnxruntime_cpu import OnnxRuntimeCpu

    return OnnxRuntimeCpu(threads)


#: Device -> what makes its runtime from a number of threads.
_RUNTIMES: dict[str, Callable[[int], Runtime]] = {"cpu": _cpu}


def runtime(device: str, threads: int = 1, name: str | None = None) -> Runtime:
    """The runtime for a device of this machine.

    Args:
        device: one of `DEVICES`.
        threads: inside an operator, on a CPU.
        name: of the runtime, one of `GPU_RUNTIMES` on a GPU; None takes the best that works here.

    Raises:
        UnknownNameError: no such device or runtime.
        DeviceUnavailableError: it cannot be used on this machine.
    """
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if device == "gpu":
        return gpu_runtime(name)
    if name not in (None, "onnxruntime"):
        raise UnknownNameError("CPU runtime", name, ("onnxruntime",))
    return _RUNTIMES[device](threads)
