"""A stand-in for the module ``tensorrt`` that drives the synthetic card as a version would.

`hwnas.testing.synthetic_gpu` puts it on the path under the name ``tensorrt``. It knows the names of
the version that ``SYNTHETIC_TENSORRT`` names (8.6.1, 10.0.1, 10.4.0 or 11.4.0) and no others,
refuses what that version refuses, and its kernels take what `SyntheticRuntime` says, a tenth. Half-
precision feature maps that must come or go in rows take longer: they are laid out anew.

SYNTHETIC_TENSORRT_REJECTS: kernel size of convolutions for which no engine can be built.
SYNTHETIC_TENSORRT_UNCAPTURED: kernel size of convolutions that no CUDA graph can hold.
SYNTHETIC_TENSORRT_INTERRUPTED: when Ctrl-C comes, see `synthetic_callbacks`.
"""

import ctypes
import enum
import json
import math
import os
import weakref
from typing import Any

import onnx

from hwnas.profilers.gpu import cuda_driver
from hwnas.testing.devices import SyntheticRuntime
from hwnas.testing.synthetic_callbacks import Callbacks
from hwnas.testing.synthetic_models import (
    convolution_of,
    is_half,
    layers_of,
    refusal,
    scratch_bytes,
    shape_of,
)

__version__ = os.environ.get("SYNTHETIC_TENSORRT", "10.4.0")
_MAJOR, _MINOR = (int(part) for part in __version__.split(".")[:2])
_FASTER = 0.1
#: What it takes to lay out a feature map anew, ms; an image of few channels is read as it is.
_LAYOUT_MS, _IMAGE_CHANNELS = 0.05, 4
_VECTOR = 8
_CALLBACKS = Callbacks()


class DataType(enum.Enum):
    """Types of tensors."""

    FLOAT = 0
    HALF = 1


class TensorFormat(enum.IntEnum):
    """Layouts of feature maps."""

    LINEAR = 0
    CHW2 = 1
    HWC8 = 2
    CHW32 = 5


if _MAJOR >= 10:

    class ExecutionContextAllocationStrategy(enum.Enum):
        """Who gives a context its memory."""

        STATIC = 0
        USER_MANAGED = 2


class LayerInformationFormat(enum.Enum):
    """How an engine describes itself."""

    ONELINE = 0
    JSON = 1


class ProfilingVerbosity(enum.Enum):
    """How much an engine knows of its layers."""

    LAYER_NAMES_ONLY = 0
    DETAILED = 2


#: The flags of each major version.
_NETWORK_FLAGS = {8: "EXPLICIT_BATCH", 10: "EXPLICIT_BATCH STRONGLY_TYPED", 11: "STRONGLY_TYPED"}
_TYPED, _TF32 = (1 if _MAJOR < 11 else 0), 7
_BITS = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": _TYPED}
_PRECISIONS = {"FP16": 0, "INT8": 1} if _MAJOR < 11 else {}
NetworkDefinitionCreationFlag = enum.IntEnum(  # type: ignore[misc]
    "NetworkDefinitionCreationFlag", [(n, _BITS[n]) for n in _NETWORK_FLAGS[_MAJOR].split()]
)
BuilderFlag = enum.IntEnum("BuilderFlag", [("TF32", _TF32), *_PRECISIONS.items()])  # type: ignore[misc]


class ILogger:
    """Told what happens."""

    INTERNAL_ERROR, ERROR, WARNING = 0, 1, 2


class IProfiler:
    """Told what layers take."""


if _MAJOR >= 10:

    class IProgressMonitor:
        """Told how far the building of an engine is."""


class IHostMemory(bytes):
    """Serialised engines and caches."""


class ITimingCache:
    """What kernels took."""

    def __init__(self, content: bytes):
        self._content = content

    def serialize(self) -> IHostMemory:
        """As bytes."""
        return IHostMemory(self._content or b"timings")


class IBuilderConfig:
    """How to build."""

    def __init__(self) -> None:
        self._flags = {_TF32}
        self._timing: ITimingCache | None = None
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        if _MAJOR >= 10:
            self.progress_monitor: Any = None

    def set_flag(self, flag: Any) -> None:
        """Allow something."""
        self._flags.add(int(flag))

    def clear_flag(self, flag: Any) -> None:
        """Forbid something."""
        self._flags.discard(int(flag))

    def create_timing_cache(self, content: bytes) -> ITimingCache:
        """From bytes."""
        return ITimingCache(content)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Use a cache, if it is one."""
        assert ignore_mismatch is False
        self._timing = cache
        return cache.serialize() == b"timings"

    def get_timing_cache(self) -> ITimingCache | None:
        """The cache in use."""
        return self._timing


class ITensor:
    """A tensor of a network."""

    def __init__(self, value: onnx.ValueInfoProto):
        self.name = value.name
        self.dtype = DataType.HALF if is_half(value) else DataType.FLOAT
        self.shape = shape_of(value)
        self.allowed_formats = 1 << TensorFormat.LINEAR


class INetworkDefinition:
    """What a parser read."""

    def __init__(self, flags: int):
        self._flags = flags
        self._model = b""
        self._inputs: list[ITensor] = []
        self._outputs: list[ITensor] = []
        self.num_inputs = self.num_outputs = 0

    def get_input(self, index: int) -> ITensor:
        """One input."""
        return self._inputs[index]

    def get_output(self, index: int) -> ITensor:
        """One output."""
        return self._outputs[index]


class ParserError:
    """Why a parser stopped."""

    def desc(self) -> str:
        """In words."""
        return "not a protobuf of ONNX"


class OnnxParser:
    """Reads ONNX."""

    def __init__(self, network: INetworkDefinition, logger: ILogger):
        self._network = network
        self.num_errors = 0

    def parse(self, model: bytes) -> bool:
        """Whether it could be read."""
        try:
            graph = onnx.load_from_string(model).graph
        except Exception:  # whatever protobuf raises
            graph = onnx.GraphProto()
        if not graph.node:
            self.num_errors = 1
            return False
        network = self._network
        network._model = model
        network._inputs = [ITensor(value) for value in graph.input]
        network._outputs = [ITensor(value) for value in graph.output]
        network.num_inputs, network.num_outputs = len(network._inputs), len(network._outputs)
        return True

    def get_error(self, index: int) -> ParserError:
        """One of the reasons."""
        assert index < self.num_errors
        return ParserError()


class Builder:
    """Makes engines."""

    def __init__(self, logger: Any):
        self._logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        """An empty network."""
        allowed = {1 << int(flag) for flag in NetworkDefinitionCreationFlag}
        assert flags in allowed, f"{__version__} has no network flags {flags:b}"
        return INetworkDefinition(flags)

    def create_builder_config(self) -> IBuilderConfig:
        """The default configuration."""
        return IBuilderConfig()

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None:
        """An engine as bytes, or None and a word to the logger."""
        _CALLBACKS.builds += 1
        graph = onnx.load_from_string(network._model).graph
        problem = _refusal(graph, network._flags, config._flags)
        if problem is not None:
            _CALLBACKS.call(self._logger, "log", ILogger.ERROR, problem)
            return None
        if _CALLBACKS.interrupts("log"):
            _CALLBACKS.call(self._logger, "log", ILogger.WARNING, "a tactic is left out")
        if not _CALLBACKS.goes_on(getattr(config, "progress_monitor", None)):
            return None
        tensors = [*network._inputs, *network._outputs]
        formats = {tensor.name: _format(tensor) for tensor in tensors}
        anew = sum(
            tensor.dtype is DataType.HALF
            and len(tensor.shape) == 4
            and tensor.shape[1] > _IMAGE_CHANNELS
            and formats[tensor.name] is TensorFormat.LINEAR
            for tensor in tensors
        )
        plan = {
            "ms": _FASTER * SyntheticRuntime().true_ms(network._model) + _LAYOUT_MS * anew,
            "tensors": {t.name: [t.shape, t.dtype.name, formats[t.name]] for t in tensors},
            "layers": layers_of(graph),
            "detailed": config.profiling_verbosity is ProfilingVerbosity.DETAILED,
            "scratch": scratch_bytes(network._model),
            "captured": not convolution_of(graph, os.environ.get("SYNTHETIC_TENSORRT_UNCAPTURED")),
        }
        return IHostMemory(json.dumps(plan).encode())


class Runtime:
    """Loads engines."""

    def __init__(self, logger: Any):
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> "ICudaEngine | None":
        """An engine of bytes, or None and a word to the logger."""
        try:
            return ICudaEngine(json.loads(bytes(plan)), self._logger)
        except ValueError:
            _CALLBACKS.call(
                self._logger, "log", ILogger.ERROR, "the engine cannot be read: OutOfMemory"
            )
            return None


class EngineInspector:
    """Describes an engine."""

    def __init__(self, plan: dict[str, Any]):
        self._plan = plan

    def get_engine_information(self, form: LayerInformationFormat) -> str:
        """As JSON; the key of the tensors changed with version 11."""
        assert form is LayerInformationFormat.JSON
        layers = [{"Name": name, "LayerType": "Convolution"} for name in self._plan["layers"]]
        tensors = "Bindings" if _MAJOR < 11 else "I/O Tensors"
        shown: list[Any] = layers if self._plan["detailed"] else self._plan["layers"]
        return json.dumps({"Layers": shown, tensors: list(self._plan["tensors"])})


class ICudaEngine:
    """A compiled network."""

    def __init__(self, plan: dict[str, Any], logger: Any):
        self._plan, self._logger = plan, logger
        self.num_io_tensors = len(plan["tensors"])
        if _MAJOR < 11:
            self.device_memory_size = plan["scratch"]
        if (_MAJOR, _MINOR) >= (10, 1):
            self.device_memory_size_v2 = plan["scratch"]

    def create_execution_context(self, *strategy: Any) -> "IExecutionContext | None":
        """What runs it, with memory of its own unless the strategy says otherwise."""
        assert len(strategy) <= (_MAJOR >= 10), "version 8 knows no strategies"
        if strategy and strategy[0].name == "USER_MANAGED":
            return IExecutionContext(self._plan, self._logger)
        made = IExecutionContext(self._plan, self._logger)
        return made if made._takes_own_memory() else None

    if _MAJOR < 11:

        def create_execution_context_without_device_memory(self) -> "IExecutionContext":
            """What runs it once it is given memory."""
            return IExecutionContext(self._plan, self._logger)

    def create_engine_inspector(self) -> EngineInspector:
        """What describes it."""
        return EngineInspector(self._plan)

    def get_tensor_name(self, index: int) -> str:
        """Of an input or output."""
        return str(list(self._plan["tensors"])[index])

    def get_tensor_shape(self, name: str) -> list[int]:
        """Its sizes."""
        shape: list[int] = self._plan["tensors"][name][0]
        return shape

    def get_tensor_dtype(self, name: str) -> DataType:
        """Its type."""
        return DataType[self._plan["tensors"][name][1]]

    def get_tensor_vectorized_dim(self, name: str) -> int:
        """The dimension that is padded to whole vectors, or -1."""
        return 1 if self._plan["tensors"][name][2] == TensorFormat.HWC8 else -1

    def get_tensor_components_per_element(self, name: str) -> int:
        """How long a vector is; -1 where there is none."""
        return _VECTOR if self._plan["tensors"][name][2] == TensorFormat.HWC8 else -1


class IExecutionContext:
    """Runs an engine."""

    def __init__(self, plan: dict[str, Any], logger: Any):
        self._plan, self._logger = plan, logger
        self._addresses: dict[str, int] = {}
        self._scratch = 0
        self._ran = False
        self.profiler: Any = None
        self._card = _card()

    def _takes_own_memory(self) -> bool:
        address = ctypes.c_uint64()
        size = self._plan["scratch"]
        if size and self._card.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(size)):
            _CALLBACKS.call(self._logger, "log", ILogger.ERROR, f"OutOfMemory: {size} bytes")
            return False
        self._scratch = address.value
        weakref.finalize(self, self._card.cuMemFree_v2, address).atexit = False
        return True

    def _set_device_memory(self, memory: int) -> None:
        assert memory % 256 == 0
        self._scratch = memory

    device_memory = property(None, _set_device_memory, doc="Where activations lie.")

    if (_MAJOR, _MINOR) >= (10, 1):

        def set_device_memory(self, memory: int, size: int) -> None:
            """Where activations lie, and how much there is."""
            assert self._plan["scratch"] <= size <= self._card.synthetic_bytes_at(memory)
            self._set_device_memory(memory)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where a tensor lies, which must hold all of it, padding included."""
        shape, kind, layout = self._plan["tensors"][name]
        if layout == TensorFormat.HWC8:
            shape = [shape[0], math.ceil(shape[1] / _VECTOR) * _VECTOR, *shape[2:]]
        self._addresses[name] = memory
        needed = math.prod(shape) * (2 if kind == "HALF" else 4)
        return bool(self._card.synthetic_bytes_at(memory) >= needed)

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Put a run on a stream; the first one cannot be captured."""
        if self._addresses.keys() != self._plan["tensors"].keys() or not stream_handle:
            return False
        if self._card.synthetic_bytes_at(self._scratch) < self._plan["scratch"]:
            return False
        if self._card.synthetic_is_capturing() and not (self._ran and self._plan["captured"]):
            _CALLBACKS.call(
                self._logger, "log", ILogger.ERROR, "operation not permitted when capturing"
            )
            return False
        self._ran = True
        self._card.synthetic_enqueue(stream_handle, self._plan["ms"])
        if self.profiler is not None:
            layers = self._plan["layers"]
            for name in layers:
                ms = self._plan["ms"] / len(layers)
                _CALLBACKS.call(self.profiler, "report_layer_time", name, ms)
        return True


def _card() -> Any:
    """The synthetic card's library."""
    card: Any = ctypes.CDLL(cuda_driver.LIBRARIES[0])
    card.synthetic_enqueue.argtypes = (ctypes.c_void_p, ctypes.c_double)
    card.synthetic_enqueue.restype = None
    card.synthetic_bytes_at.argtypes = (ctypes.c_uint64,)
    card.synthetic_bytes_at.restype = ctypes.c_uint64
    return card


def _format(tensor: ITensor) -> TensorFormat:
    """The layout that a tensor gets: the one for tensor cores where it is allowed."""
    fast = tensor.dtype is DataType.HALF and tensor.allowed_formats & 1 << TensorFormat.HWC8
    return TensorFormat.HWC8 if fast else TensorFormat.LINEAR


def _refusal(graph: onnx.GraphProto, network_flags: int, flags: set[int]) -> str | None:
    """Why this version builds no engine, or None."""
    typed = _MAJOR >= 10 and network_flags == 1 << _TYPED
    half = is_half(graph.input[0])
    integers = any(node.op_type == "QuantizeLinear" for node in graph.node)
    wanted = {name for name, needed in (("FP16", half), ("INT8", integers)) if needed}
    set_ = {name for name, bit in _PRECISIONS.items() if bit in flags}
    if _TF32 in flags:
        return "TF32 was left on"
    if typed and set_:
        return "precision flags are not allowed in a strongly typed network"
    if not typed and set_ != wanted:
        return f"the graph is {wanted or 'fp32'}, the builder may use {set_ or 'fp32'}"
    return refusal(graph, os.environ.get("SYNTHETIC_TENSORRT_REJECTS"))
