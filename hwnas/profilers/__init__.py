"""Profilers: the measuring protocol, and one small file per runtime.

A new runtime is a file with a class that satisfies `Runtime`, a line in ``_RUNTIMES``, and a line
in the conformance tests.
"""

from collections.abc import Callable

from hwnas.errors import UnknownNameError
from hwnas.profilers.far.adb import PerfTest, adb_runtime
from hwnas.profilers.far.remote import RemoteRuntime
from hwnas.profilers.far.results import collect, space_kit
from hwnas.profilers.gpu import GPU_RUNTIMES, gpu_problem, gpu_runtime
from hwnas.profilers.kernels import check_kernels, profile_kernels
from hwnas.profilers.measuring import AnyRuntime, check_precision
from hwnas.profilers.profile import (
    extend_table,
    measure_models,
    profile_space,
)
from hwnas.profilers.protocol import Plan
from hwnas.profilers.runtime import Runtime

__all__ = [
    "DEVICES",
    "GPU_RUNTIMES",
    "AnyRuntime",
    "Plan",
    "RemoteRuntime",
    "Runtime",
    "check_kernels",
    "check_precision",
    "collect",
    "extend_table",
    "gpu_problem",
    "measure_models",
    "profile_kernels",
    "profile_space",
    "remote",
    "runtime",
    "space_kit",
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


def remote(
    device: str,
    threads: int = 1,
    *,
    cores: str = "any",
    provider: str = "cpu",
    python: str = "python3",
) -> RemoteRuntime | PerfTest | None:
    """The runtime of another machine, or None where ``device`` names none.

    Args:
        device: ``ssh://[user@]host[:port]``, ``adb`` or ``adb:SERIAL``.
        threads: inside an operator.
        cores: ``any``, ``big``, ``little``, or numbers such as ``0,2-3``.
        provider: ``cpu`` or ``xnnpack``.
        python: the interpreter there.

    Raises:
        OptionError: an address or option that is none.
        DeviceUnavailableError: no way there.
    """
    if device.startswith("ssh://"):
        from hwnas.profilers.far.ssh import ssh_line

        line = ssh_line(device)
        return RemoteRuntime(line, threads=threads, cores=cores, provider=provider, python=python)
    if device == "adb" or device.startswith("adb:"):
        return adb_runtime(device, threads, cores=cores, provider=provider, python=python)
    return None
