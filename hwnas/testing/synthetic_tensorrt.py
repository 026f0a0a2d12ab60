"""A stand-in for the module ``tensorrt`` that drives the synthetic card as a version would.

`hwnas.testing.synthetic_gpu` puts it on the path under the name ``tensorrt``. It knows the names of
the version that ``SYNTHETIC_TENSORRT`` names (8.6.1, 10.4.0 or 11.4.0) and no others, refuses what
that version refuses, and its kernels take what `SyntheticRuntime` says, a tenth.

SYNTHETIC_TENSORRT_REJECTS: kernel size of convolutions for which no engine can be built.
"""

import ctypes
import enum
import json
import math
import os
from typing import Any

import onnx

from hwnas.profilers.gpu import cuda_driver
from hwnas.testing.devices import SyntheticRuntime

__version__ = os.environ.get("SYNTHETIC_TENSORRT", "10.4.0")
_MAJOR = int(__version__.split(".")[0])
_FASTER = 0.1
_BATCH_THAT_FITS = 64
_LAYERS = ("Conv", "Gemm")


class DataType(enum.Enum):
    """Types of tensors."""

    FLOAT = 0
    HALF = 1


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


class IProgressMonitor:
    """Told how far the building of an engine is; unknown to version 8."""


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

    def __init__(self, dtype: DataType):
        self.dtype = dtype


class INetworkDefinition:
    """What a parser read."""

    def __init__(self, flags: int):
        self._flags = flags
        self._model = b""

    def get_input(self, index: int) -> ITensor:
        """One input."""
        value = onnx.load_from_string(self._model).graph.input[index]
        return ITensor(_kind(value))


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
        self._network._model = model
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
        graph = onnx.load_from_string(network._model).graph
        problem = _refusal(graph, network._flags, config._flags)
        if problem is not None:
            self._logger.log(ILogger.ERROR, problem)
            return None
        _tell(getattr(config, "progress_monitor", None))
        values = {
            value.name: [[d.dim_value for d in value.type.tensor_type.shape.dim], _kind(value).name]
            for value in (*graph.input, *graph.output)
        }
        layers = [node.name for node in graph.node if node.op_type in _LAYERS] or ["all"]
        truth = SyntheticRuntime().true_ms(network._model)
        detailed = config.profiling_verbosity is ProfilingVerbosity.DETAILED
        plan = {"ms": _FASTER * truth, "tensors": values, "layers": layers, "detailed": detailed}
        return IHostMemory(json.dumps(plan).encode())


class Runtime:
    """Loads engines."""

    def __init__(self, logger: Any):
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> "ICudaEngine | None":
        """An engine of bytes."""
        return ICudaEngine(json.loads(bytes(plan)))


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

    def __init__(self, plan: dict[str, Any]):
        self._plan = plan
        self.num_io_tensors = len(plan["tensors"])

    def create_execution_context(self) -> "IExecutionContext":
        """What runs it."""
        return IExecutionContext(self._plan)

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


class IExecutionContext:
    """Runs an engine."""

    def __init__(self, plan: dict[str, Any]):
        self._plan = plan
        self._addresses: dict[str, int] = {}
        self._ran = False
        self.profiler: Any = None
        self._card: Any = ctypes.CDLL(cuda_driver.LIBRARIES[0])
        self._card.synthetic_enqueue.argtypes = (ctypes.c_void_p, ctypes.c_double)
        self._card.synthetic_enqueue.restype = None

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where a tensor lies."""
        self._addresses[name] = memory
        return memory > 2**32

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Put a run on a stream; the first one cannot be captured."""
        if self._addresses.keys() != self._plan["tensors"].keys() or not stream_handle:
            return False
        if self._card.synthetic_is_capturing() and not self._ran:
            return False
        self._ran = True
        self._card.synthetic_enqueue(stream_handle, self._plan["ms"])
        if self.profiler is not None:
            layers = self._plan["layers"]
            for name in layers:
                self.profiler.report_layer_time(name, self._plan["ms"] / len(layers))
        return True


def _tell(monitor: Any) -> None:
    """What a build tells: two steps, the first of which has two of its own."""
    if monitor is None:
        return
    monitor.phase_start("Building Engine", None, 2)
    monitor.phase_start("Selecting kernels", "Building Engine", 2)
    for step in range(2):
        if not monitor.step_complete("Selecting kernels", step):
            raise RuntimeError("the monitor cancelled the build")
    monitor.phase_finish("Selecting kernels")
    for step in range(2):
        monitor.step_complete("Building Engine", step)
    monitor.phase_finish("Building Engine")


def _kind(value: Any) -> DataType:
    half = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    return DataType.HALF if half else DataType.FLOAT


def _refusal(graph: onnx.GraphProto, network_flags: int, flags: set[int]) -> str | None:
    """Why this version builds no engine, or None."""
    typed = _MAJOR >= 10 and network_flags == 1 << _TYPED
    half = _kind(graph.input[0]) is DataType.HALF
    integers = any(node.op_type == "QuantizeLinear" for node in graph.node)
    wanted = {name for name, needed in (("FP16", half), ("INT8", integers)) if needed}
    set_ = {name for name, bit in _PRECISIONS.items() if bit in flags}
    if _TF32 in flags:
        return "TF32 was left on"
    if typed and set_:
        return "precision flags are not allowed in a strongly typed network"
    if not typed and set_ != wanted:
        return f"the graph is {wanted or 'fp32'}, the builder may use {set_ or 'fp32'}"
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.UINT8:
            return "only signed int8 with a zero point of 0 is supported"
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_value
    if batch > _BATCH_THAT_FITS:
        return f"[defaultAllocator.cpp::allocate] Error Code 1: OutOfMemory ({batch} images)"
    rejected = os.environ.get("SYNTHETIC_TENSORRT_REJECTS")
    for node in graph.node:
        if node.op_type == "Conv" and rejected is not None:
            sizes = next(a.ints for a in node.attribute if a.name == "kernel_shape")
            if math.prod(sizes) == int(rejected) ** 2:
                return f"Error Code 10: could not find any implementation for node {node.name}"
    return None
