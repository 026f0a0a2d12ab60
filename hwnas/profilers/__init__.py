"""Profilers: the measuring protocol, and one small file per runtime.

A new runtime is a file with a class that satisfies `Runtime`, a line in ``_RUNTIMES``, and a line
in the conformance tests.
"""

from collections.abc import Callable
from ctypes import CDLL, byref, c_int

from hwnas.errors import DeviceUnavailableError, UnknownNameError
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


def runtime(device: str, threads: int = 1) -> Runtime:
    """The runtime for a device of this machine.

    Raises:
        UnknownNameError: no such device.
        DeviceUnavailableError: it is not on this machine, or no profiler for it is in this version.
    """
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if device == "gpu":
        problem = gpu_problem() or "this version has no profiler for GPUs"
        raise DeviceUnavailableError(
            f"--device gpu cannot be used here: {problem}; use --device cpu, or a table that was "
            "measured on the GPU's own machine (--table FILE)"
        )
    return _RUNTIMES[device](threads)


def gpu_problem() -> str | None:
    """Why no NVIDIA GPU can be used here, or None; asks the driver alone and cannot crash."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            driver = CDLL(name)
            break
        except OSError:
            continue
    else:
        return "no NVIDIA driver is installed (libcuda was not found)"
    status = driver.cuInit(0)
    if status != 0:
        return f"the NVIDIA driver does not start (cuInit returned {status})"
    count = c_int(0)
    if driver.cuDeviceGetCount(byref(count)) != 0 or count.value == 0:
        return "the NVIDIA driver sees no card"
    return None
