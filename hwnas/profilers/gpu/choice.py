"""Which GPU runtime can be used on this machine, and why the others cannot."""

from collections.abc import Callable

from hwnas.errors import DeviceUnavailableError, HwnasError, UnknownNameError
from hwnas.profilers.gpu.cuda_driver import driver_problem
from hwnas.profilers.runtime import Runtime
from hwnas.progress import say

__all__ = ["GPU_RUNTIMES", "gpu_problem", "gpu_runtime"]


def gpu_problem() -> str | None:
    """Why no NVIDIA GPU can be used here, or None; asks the driver alone and cannot crash."""
    return driver_problem()


def _tensorrt() -> Runtime:
    from hwnas.profilers.gpu.tensorrt import TensorRt

    return TensorRt()


def _torch(**how: bool) -> Runtime:
    from hwnas.profilers.gpu.torch_cuda import TorchCuda

    return TorchCuda(**how)


def _onnxruntime() -> Runtime:
    from hwnas.profilers.gpu.onnxruntime_cuda import OnnxRuntimeCuda

    return OnnxRuntimeCuda()


#: Name -> what makes it, the best first.
_MAKE: dict[str, Callable[[], Runtime]] = {
    "tensorrt": _tensorrt,
    "torch": _torch,
    "torch-channels-last": lambda: _torch(channels_last=True),
    "onnxruntime": _onnxruntime,
    "torch-compile": lambda: _torch(compiled=True),
}
GPU_RUNTIMES = tuple(_MAKE)
#: One of each a process, and the best that works: to start TensorRT takes seconds and memory.
_made: dict[str | None, Runtime] = {}


def gpu_runtime(name: str | None = None) -> Runtime:
    """The runtime of a name, or the best that works here; the same one whenever it is asked for.

    If the best does not work, a line says why, and what measures in its place.

    Raises:
        UnknownNameError: no such runtime.
        DeviceUnavailableError: it cannot be used here; the message says what is missing and what
            to install.
    """
    if name is not None and name not in _MAKE:
        raise UnknownNameError("GPU runtime", name, GPU_RUNTIMES)
    problem = gpu_problem()
    if problem is not None:
        raise DeviceUnavailableError(
            f"--device gpu cannot be used here: {problem}; or use --device cpu, or a table that "
            "was measured on the GPU's own machine (--table FILE)"
        )
    if name not in _made:
        _made[name] = _best() if name is None else _MAKE[name]()
    return _made[name]


def _best() -> Runtime:
    problems = []
    for candidate in GPU_RUNTIMES:
        try:
            made = gpu_runtime(candidate)
        except HwnasError as error:
            problems.append(f"{candidate}: {error}")
            continue
        if problems:
            say(f"({'; '.join(problems)})", warning=f"--device gpu measures by {candidate}")
        return made
    raise DeviceUnavailableError(f"no runtime for the GPU works here: {'; '.join(problems)}")
