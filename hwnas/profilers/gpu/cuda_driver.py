"""A small CUDA driver interface through ctypes: memory, a stream, events, graphs.

It serves TensorRT where torch is not installed or has no build for the card. `driver_problem` asks
the driver alone before anything else touches the card, since a runtime that finds none may crash.
"""

import ctypes
from collections.abc import Callable
from ctypes import (
    CDLL,
    POINTER,
    byref,
    c_char,
    c_char_p,
    c_float,
    c_int,
    c_size_t,
    c_uint,
    c_void_p,
)
from dataclasses import dataclass
from functools import cache
from typing import Any

from hwnas.errors import DeviceMemoryError, DeviceUnavailableError, MeasurementError

__all__ = ["LIBRARIES", "Card", "CudaDriver", "driver_problem"]

#: The driver's own library on Linux and Windows.
LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
_OUT_OF_MEMORY = 2
_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_CAPTURE_THREAD_LOCAL = 1
_NON_BLOCKING = 1

_HANDLE, _HANDLES = c_void_p, POINTER(c_void_p)
#: Every function that is called, with its argument types; pointers are 64 bits wide.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetUuid": (c_void_p, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDevicePrimaryCtxRetain": (_HANDLES, c_int),
    "cuCtxSetCurrent": (_HANDLE,),
    "cuMemAlloc_v2": (_HANDLES, c_size_t),
    "cuMemFree_v2": (_HANDLE,),
    "cuMemcpyHtoD_v2": (_HANDLE, c_void_p, c_size_t),
    "cuMemcpyDtoH_v2": (c_void_p, _HANDLE, c_size_t),
    "cuStreamCreate": (_HANDLES, c_uint),
    "cuStreamSynchronize": (_HANDLE,),
    "cuStreamBeginCapture_v2": (_HANDLE, c_int),
    "cuStreamEndCapture": (_HANDLE, _HANDLES),
    "cuGraphInstantiateWithFlags": (_HANDLES, _HANDLE, ctypes.c_ulonglong),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuEventCreate": (_HANDLES, c_uint),
    "cuEventRecord": (_HANDLE, _HANDLE),
    "cuEventSynchronize": (_HANDLE,),
    "cuEventElapsedTime": (POINTER(c_float), _HANDLE, _HANDLE),
}


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the driver describes it.

    Attributes:
        name: such as ``Tesla V100-SXM2-16GB``.
        uuid: 32 hexadecimal digits that tell two cards of one name apart.
        capability: compute capability, such as (7, 0).
        memory_bytes: all of it.
        cuda: the newest CUDA version that the driver runs, such as ``12.4``.
    """

    name: str
    uuid: str
    capability: tuple[int, int]
    memory_bytes: int
    cuda: str


@cache
def _open(names: tuple[str, ...]) -> CDLL | None:
    for name in names:
        try:
            return CDLL(name)
        except OSError:
            continue
    return None


def driver_problem() -> str | None:
    """Why no NVIDIA GPU can be used here, or None; asks the driver alone and cannot crash."""
    library = _open(LIBRARIES)
    if library is None:
        return (
            "no NVIDIA driver is installed (libcuda was not found): install the card's driver from "
            "nvidia.com or your distribution"
        )
    status = library.cuInit(0)
    if status != 0:
        return (
            f"the NVIDIA driver does not start (cuInit returned {status}): see whether nvidia-smi "
            "works; in a container, give it the card (docker run --gpus all)"
        )
    count = c_int(0)
    if library.cuDeviceGetCount(byref(count)) != 0 or count.value == 0:
        return "the NVIDIA driver sees no card: see nvidia-smi, and CUDA_VISIBLE_DEVICES"
    return None


class CudaDriver:
    """The first visible card, in its primary context, which TensorRT and torch use too.

    Handles are plain integers. What is allocated lives as long as the process or until it is freed.

    Raises:
        DeviceUnavailableError: there is no driver or no card, or the driver is too old.
    """

    def __init__(self) -> None:
        problem = driver_problem()
        library = _open(LIBRARIES)
        if problem is not None or library is None:
            raise DeviceUnavailableError(problem or "no NVIDIA driver")
        for name, types in _FUNCTIONS.items():
            try:
                function = getattr(library, name)
            except AttributeError:
                raise DeviceUnavailableError(
                    f"the NVIDIA driver lacks {name}: it is older than CUDA 11.4; update it"
                ) from None
            function.argtypes, function.restype = types, c_int
        self._library = library
        device = c_int()
        self._call("cuDeviceGet", byref(device), 0)
        context = self._handle("cuDevicePrimaryCtxRetain", device)
        self._call("cuCtxSetCurrent", context)
        self.card = self._describe(device)

    def allocate(self, count: int) -> int:
        """Device memory of ``count`` bytes; its address.

        Raises:
            DeviceMemoryError: there is not so much left.
        """
        return self._handle("cuMemAlloc_v2", count)

    def free(self, address: int) -> None:
        """Give memory back."""
        self._call("cuMemFree_v2", address)

    def upload(self, address: int, content: bytes) -> None:
        """Copy bytes to the card."""
        self._call("cuMemcpyHtoD_v2", address, content, len(content))

    def download(self, address: int, count: int) -> bytes:
        """Copy bytes from the card."""
        buffer = (c_char * count)()
        self._call("cuMemcpyDtoH_v2", buffer, address, count)
        return bytes(buffer)

    def stream(self) -> int:
        """A new stream that does not wait for the default stream."""
        return self._handle("cuStreamCreate", _NON_BLOCKING)

    def synchronise(self, stream: int) -> None:
        """Wait until all work of a stream is done."""
        self._call("cuStreamSynchronize", stream)

    def event(self) -> int:
        """A new event that keeps time."""
        return self._handle("cuEventCreate", 0)

    def elapsed_ms(
        self,
        stream: int,
        work: Callable[[], None],
        start: int,
        end: int,
        lead: Callable[[], None] = lambda: None,
    ) -> float:
        """What the work that a function puts on a stream takes on the card, between two events.

        ``lead`` puts other work before the first event. On a stream that idles, that event is over
        before the work has even reached the card.
        """
        lead()
        self._call("cuEventRecord", start, stream)
        work()
        self._call("cuEventRecord", end, stream)
        self._call("cuEventSynchronize", end)
        ms = c_float()
        self._call("cuEventElapsedTime", byref(ms), start, end)
        return ms.value

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """A graph, ready to launch, of what a function puts on a stream; nothing runs yet.

        The capture is ended if the function raises, so that the stream stays usable.

        Raises:
            MeasurementError: what the function puts there cannot be captured.
        """
        self._call("cuStreamBeginCapture_v2", stream, _CAPTURE_THREAD_LOCAL)
        try:
            work()
        except BaseException:
            self._library.cuStreamEndCapture(stream, byref(c_void_p()))
            raise
        graph = c_void_p()
        self._call("cuStreamEndCapture", stream, byref(graph))
        if not graph.value:
            raise MeasurementError("the work on the stream cannot be captured in a CUDA graph")
        executable = self._handle("cuGraphInstantiateWithFlags", graph, 0)
        self._call("cuGraphDestroy", graph)
        return executable

    def launch(self, graph: int, stream: int) -> None:
        """Run a captured graph."""
        self._call("cuGraphLaunch", graph, stream)

    def free_graph(self, graph: int) -> None:
        """Give a graph back."""
        self._call("cuGraphExecDestroy", graph)

    def _handle(self, function: str, *arguments: Any) -> int:
        """Call a function that writes a handle through its first argument."""
        handle = c_void_p()
        self._call(function, byref(handle), *arguments)
        return handle.value or 0

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status == 0:
            return
        name = c_char_p()
        self._library.cuGetErrorName(status, byref(name))
        what = f"{function} returned {status} ({(name.value or b'unknown').decode()})"
        if status == _OUT_OF_MEMORY:
            raise DeviceMemoryError(what)
        raise MeasurementError(
            f"{what}; an earlier kernel may have failed: see whether nvidia-smi shows the card"
        )

    def _describe(self, device: c_int) -> Card:
        name = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", name, 256, device)
        uuid = (c_char * 16)()
        self._call("cuDeviceGetUuid", uuid, device)
        parts = []
        for attribute in _CAPABILITY:
            value = c_int()
            self._call("cuDeviceGetAttribute", byref(value), attribute, device)
            parts.append(value.value)
        memory, version = c_size_t(), c_int()
        self._call("cuDeviceTotalMem_v2", byref(memory), device)
        self._call("cuDriverGetVersion", byref(version))
        cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
        capability = (parts[0], parts[1])
        return Card(name.value.decode(), bytes(uuid).hex(), capability, memory.value, cuda)
