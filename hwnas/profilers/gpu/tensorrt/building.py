"""From an ONNX model to an engine: built, or loaded where it was built before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.errors import ModelRejectedError
from hwnas.profilers.gpu.engine_cache import EngineCache
from hwnas.profilers.gpu.tensorrt.callbacks import GoOn, Log, monitor

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["EngineBuilder", "free_layouts", "network_flags"]

#: What a cached engine depends on besides its model, the version and the card.
_MADE_WITH = "detailed, tf32 off, layouts of half maps free"
#: Layouts of half-precision maps on a GPU. A tensor core reads eight channels at once.
_LAYOUTS = ("LINEAR", "CHW2", "HWC8", "CHW32")
_FEATURES = 8


class EngineBuilder:
    """Builds engines, and keeps them and the timing cache in the user's own folder.

    Args:
        api: the module ``tensorrt``.
        log: that TensorRT writes to.
        cache: of this user.
        identity: the version and the card.

    Raises:
        TypeError: TensorRT does not start; its bindings make that of a null pointer.
    """

    def __init__(self, api: Any, log: Log, cache: EngineCache, identity: tuple[str, ...]):
        self._api, self._log, self._cache = api, log, cache
        self._identity = (*identity, _MADE_WITH)
        self._name = f"TensorRT {api.__version__}"
        self._builder: trt.Builder = api.Builder(log.logger)
        self._runtime: trt.Runtime = api.Runtime(log.logger)

    def engine(self, model: bytes, go_on: GoOn) -> trt.ICudaEngine:
        """The engine of a model: from the cache, or built now and kept there.

        Args:
            model: ONNX.
            go_on: told how far a build is, by TensorRT 10 and later; False cancels it.

        Raises:
            ModelRejectedError: TensorRT does not read the model, or builds no engine.
            DeviceMemoryError: it does not fit on the card.
        """
        self._log.clear()  # an error from before is no reason for one of this model
        made_from: tuple[bytes | str, ...] = (model, *self._identity)
        plan = self._cache.read("engine", made_from)
        if plan is not None:
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is not None:
                return engine
            self._log.clear()
        plan = self._build(model, go_on)
        self._cache.write("engine", made_from, plan)
        self._log.clear()
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._log.failure("TensorRT does not load the engine that it has just built")
        return engine

    def _build(self, model: bytes, go_on: GoOn) -> bytes:
        network: trt.INetworkDefinition = self._builder.create_network(network_flags(self._api))
        self._parse(model, network)
        free_layouts(self._api, network)
        config: trt.IBuilderConfig = self._builder.create_builder_config()
        self._configure(config, model, network)
        self._use_timings(config)
        if hasattr(config, "progress_monitor"):
            config.progress_monitor = monitor(self._api, go_on)
        plan = self._builder.build_serialized_network(network, config)
        if plan is None:
            raise self._log.failure(f"{self._name} builds no engine")
        timing: trt.ITimingCache = config.get_timing_cache()
        self._cache.write("timing", self._identity, bytes(timing.serialize()))
        return bytes(plan)

    def _parse(self, model: bytes, network: trt.INetworkDefinition) -> None:
        parser: trt.OnnxParser = self._api.OnnxParser(network, self._log.logger)
        if parser.parse(model):
            return
        problems = []
        for index in range(parser.num_errors):
            problem: trt.ParserError = parser.get_error(index)
            problems.append(problem.desc())
        why = "; ".join(problems) or "it gives no reason"
        raise ModelRejectedError(f"{self._name} does not read the model: {why}")

    def _configure(
        self, config: trt.IBuilderConfig, model: bytes, network: trt.INetworkDefinition
    ) -> None:
        api = self._api
        config.clear_flag(api.BuilderFlag.TF32)  # it is on by default, and is not fp32
        config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
        if hasattr(api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
            return
        # TensorRT 8: the graph names the types, but they must be allowed as well, and no others
        source: trt.ITensor = network.get_input(0)
        if source.dtype == api.DataType.HALF:
            config.set_flag(getattr(api.BuilderFlag, "FP16"))  # noqa: B009 - not in 11
        if b"QuantizeLinear" in model:
            config.set_flag(getattr(api.BuilderFlag, "INT8"))  # noqa: B009 - not in 11

    def _use_timings(self, config: trt.IBuilderConfig) -> None:
        cached = self._cache.read("timing", self._identity) or b""
        timing: trt.ITimingCache = config.create_timing_cache(cached)
        if timing is None or not config.set_timing_cache(timing, False):
            timing = config.create_timing_cache(b"")
            config.set_timing_cache(timing, False)


def network_flags(api: Any) -> int:
    """Precision lives in the graph where the version can do that (10 and 11)."""
    flags = api.NetworkDefinitionCreationFlag
    for name in ("STRONGLY_TYPED", "EXPLICIT_BATCH"):
        if hasattr(flags, name):
            return 1 << int(getattr(flags, name))
    return 0


def free_layouts(api: Any, network: trt.INetworkDefinition) -> None:
    """Let half-precision feature maps come and go in the layout that the engine works in.

    Else a block is charged for laying them out anew, which no network does between its blocks. An
    image, whose channels are few, and what is no map stay as an application hands them over.
    """
    allowed = sum(1 << int(getattr(api.TensorFormat, name)) for name in _LAYOUTS)
    tensors = [network.get_input(index) for index in range(network.num_inputs)]
    tensors += [network.get_output(index) for index in range(network.num_outputs)]
    for each in tensors:
        tensor: trt.ITensor = each
        shape = tuple(tensor.shape)
        if tensor.dtype == api.DataType.HALF and len(shape) == 4 and shape[1] >= _FEATURES:
            tensor.allowed_formats = allowed
