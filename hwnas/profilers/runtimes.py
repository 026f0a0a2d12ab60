"""Runtimes by name, of this machine and of others."""

from collections.abc import Callable
from typing import Any

from hwnas.errors import OptionError, UnknownNameError, quoting
from hwnas.profilers.gpu import GPU_RUNTIMES, gpu_runtime
from hwnas.profilers.onnxruntime_provider import provider_of, provider_runtime
from hwnas.profilers.remote.adb import PerfTest, adb_runtime
from hwnas.profilers.remote.runtime import RemoteRuntime
from hwnas.profilers.runtime import Runtime
from hwnas.registry import Registry, is_typed_object

__all__ = [
    "DEVICES",
    "RUNTIMES",
    "Make",
    "check_device",
    "names_remote_device",
    "register_runtime",
    "remote_runtime",
    "runtime",
]

DEVICES = ("cpu", "gpu")
#: The CPU runtime that is taken where none is named.
_DEFAULT = "onnxruntime"

#: Makes a runtime from a number of threads.
Make = Callable[[int], Runtime]


def _accept(name: str, thing: Any) -> Make:
    if not callable(thing):
        raise OptionError(
            f"a runtime is a callable make(threads) that returns one, got {thing!r} as {name}"
        )
    made: Make = thing
    return made


#: Runtimes of CPUs, and all that are registered; those of GPUs that ship are `GPU_RUNTIMES`.
RUNTIMES: Registry[Make] = Registry(
    "runtime",
    "hwnas.runtimes",
    {
        _DEFAULT: "hwnas.profilers.onnxruntime_cpu:OnnxRuntimeCpu",
        "openvino": "hwnas.profilers.openvino_cpu:OpenVinoCpu",
        "torch-compile": "hwnas.profilers.torch_compile:TorchCompile",
    },
    _accept,
)


def register_runtime(name: str, make: Make) -> None:
    """Add a runtime for this process.

    Its ``target`` should name it as ``runtime``, so that a table leads back to it.

    Args:
        name: that ``--runtime`` takes.
        make: makes it from the number of threads inside an operator.

    Raises:
        OptionError: the name is taken, or the thing cannot be called.
    """
    if name in GPU_RUNTIMES:
        raise OptionError(f"there is a runtime {name!r} already: register another name")
    RUNTIMES.register(name, make)


def check_device(device: str) -> None:
    """Raise unless it is one of `DEVICES`.

    Raises:
        OptionError: it names one card of several; the message says how that card is chosen.
        UnknownNameError: no such device.
    """
    if not isinstance(device, str):
        raise UnknownNameError("device", device, DEVICES)
    kind, colon, number = device.partition(":")
    if kind == "gpu" and colon:
        card = number if number.isdecimal() else "N"
        raise OptionError(
            f"--device gpu is the first card that this process sees, got {device!r}: for that card "
            f"set CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES={card} (its number in "
            "nvidia-smi), and give --device gpu"
        )
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)


def runtime(device: str, threads: int = 1, name: str | None = None) -> Runtime:
    """The runtime for a device of this machine.

    Args:
        device: one of `DEVICES`.
        threads: inside an operator, on a CPU.
        name: one of `GPU_RUNTIMES` on a GPU; on a CPU ``onnxruntime``, ``openvino``,
            ``torch-compile`` or an execution provider such as ``XnnpackExecutionProvider``, with
            ``=LIBRARY`` where a plugin brings it; on either a registered name or what a person
            typed as ``FILE.py:NAME`` or ``module:NAME``; None takes the best that ships and works.

    Raises:
        UnknownNameError: no such device or runtime.
        OptionError: a registered or typed one that is none, or that measures another device; one
            card of several.
        DeviceUnavailableError: it cannot be used on this machine.
    """
    check_device(device)
    own = name is not None and (is_typed_object(name) or name in RUNTIMES)
    if device == "gpu" and (not own or name in GPU_RUNTIMES):
        return gpu_runtime(name)
    if name is None or name == _DEFAULT:
        return RUNTIMES.get(_DEFAULT)(threads)
    if not own and provider_of(name):
        return provider_runtime(name, threads)
    if not own:
        raise UnknownNameError("CPU runtime", name, RUNTIMES.names())
    return _made(RUNTIMES.typed(name), device, threads, name)


def _made(make: Make, device: str, threads: int, name: str) -> Runtime:
    """What a registered or typed callable makes, if it is a runtime of this device."""
    with quoting(OptionError, f"runtime {name} cannot be made for {threads} threads:"):
        made = make(threads)
        lacking = [part for part in ("precisions", "target", "load") if not hasattr(made, part)]
        if not lacking:
            kind = made.target(made.precisions[0], 1).kind
    if lacking:
        raise OptionError(
            f"runtime {name}: what it returns is no runtime, since it lacks {', '.join(lacking)}: "
            "see hwnas.profilers.Runtime"
        )
    if kind != device:
        raise OptionError(f"runtime {name} measures a {kind}, got --device {device}")
    return made


def names_remote_device(device: str) -> bool:
    """Whether a text such as ``ssh://me@board`` or ``adb`` names another machine."""
    return device == "adb" or device.startswith(("ssh://", "adb:"))


def remote_runtime(
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
    if not names_remote_device(device):
        return None
    if not device.startswith("ssh://"):
        return adb_runtime(device, threads, cores=cores, provider=provider, python=python)
    from hwnas.profilers.remote.ssh import ssh_transport

    return RemoteRuntime(
        ssh_transport(device), threads=threads, cores=cores, provider=provider, python=python
    )
