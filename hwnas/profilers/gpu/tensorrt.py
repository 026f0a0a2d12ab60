"""NVIDIA cards through TensorRT 8.6, 10 and 11: an engine a model, timed as a CUDA graph.

Only what all these versions have is used; the rest is asked for with ``hasattr``. Buffers, streams,
events and graphs go through `cuda_driver`, so that neither torch nor CUDA's Python is needed.
``benchmarks/tensorrt_api.py`` checks every attribute used here on the versions' real bindings.
"""

from __future__ import annotations

import importlib
import json
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import DeviceMemoryError, DeviceUnavailableError, ModelRejectedError
from hwnas.latency_tables import Conditions, Target
from hwnas.profilers.gpu.build_phases import BuildPhases
from hwnas.profilers.gpu.card_support import (
    card_precisions,
    card_target,
    tensorrt_advice,
    tensorrt_problem,
)
from hwnas.profilers.gpu.cuda_driver import CudaDriver
from hwnas.profilers.gpu.engine_cache import EngineCache, cache_folder
from hwnas.profilers.gpu.nvml import Nvml
from hwnas.profilers.gpu.windows import CardWatch, Window, runs_in_window
from hwnas.profilers.layers import LayerTime

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["LayerTime", "TensorRt"]

_EXPLAINED_RUNS = 20


class TensorRt:
    """TensorRT on the first visible card.

    fp32 is real fp32: TF32 is switched off. fp16 and int8 are what the model's graph says. Engines
    and the timing cache are kept on disk (`engine_cache`), so that a second profile builds nothing.

    Attributes:
        compiling: told how far the building of an engine is, by TensorRT 10 and later.

    Raises:
        DeviceUnavailableError: no driver, card or TensorRT, or one that does not run the card.
    """

    #: Blocks that take microseconds are measured as so many in a row, see `profile_space`.
    chain = 4

    def __init__(self) -> None:
        self._driver = CudaDriver()  # first: without a card, TensorRT may crash
        card = self._driver.card
        try:
            self._trt: Any = importlib.import_module("tensorrt")
        except (ImportError, OSError, RuntimeError) as error:
            raise DeviceUnavailableError(
                f"TensorRT cannot be imported ({error}): {tensorrt_advice(card.capability)}"
            ) from None
        self.version = str(self._trt.__version__)
        problem = tensorrt_problem(self.version, card.capability)
        if problem is not None:
            raise DeviceUnavailableError(problem)
        self.precisions = card_precisions(card.capability)
        self.compiling: Callable[[float, str], None] = lambda share, phase: None
        self._logged: list[tuple[bool, str]] = []  # whether it is an error, and what was said
        self._logger = self._make_logger()
        try:
            self._builder: trt.Builder = self._trt.Builder(self._logger)
        except TypeError:  # what its bindings make of a null pointer
            what = f"TensorRT {self.version} does not start on {card.name}"
            raise DeviceUnavailableError(self._said(what)) from None
        self._runtime: trt.Runtime = self._trt.Runtime(self._logger)
        self._cache = EngineCache(cache_folder())
        self._stream = self._driver.stream()
        self._start, self._end = self._driver.event(), self._driver.event()
        self._watch = CardWatch(Nvml.find(card.uuid), card.cuda)

    def target(self, precision: str, batch: int) -> Target:
        """This card."""
        return card_target(self._driver.card, "tensorrt", self.version, precision, batch)

    def conditions(self) -> Conditions:
        """How the card has been since this runtime was made."""
        return self._watch.conditions()

    def load(self, model: bytes, *, warm: bool = False) -> Window:
        """An engine, its buffers and a CUDA graph of as many runs as fill a window.

        Runs follow each other, so that the cache is warm whatever ``warm`` says.

        Raises:
            ModelRejectedError: TensorRT does not read the model, or finds no kernels for it.
            DeviceMemoryError: it does not fit on the card.
        """
        engine = self._engine(model)
        context, buffers = self._bound_context(engine)
        run = self._enqueue(context)
        run()  # TensorRT sets itself up in the first run, which cannot be captured
        self._driver.synchronise(self._stream)
        single_ms = min(self._elapsed_ms(run) for _ in range(3))
        repeats = runs_in_window(single_ms)

        def all_runs() -> None:
            for _ in range(repeats):
                run()

        graph = self._driver.capture(self._stream, all_runs)

        def window() -> float:
            return self._elapsed_ms(lambda: self._driver.launch(graph, self._stream))

        keeps = (engine, context)  # the graph uses their memory
        job = Window(window, repeats, self._watch, keeps)
        freeing = weakref.finalize(job, self._free, graph, buffers)
        freeing.atexit = False  # the driver frees all of it then
        return job

    def explain(
        self, model: bytes, between: Callable[[], object] = lambda: None
    ) -> list[LayerTime]:
        """What each layer of the engine takes, by TensorRT's own profiler.

        It waits after every layer, so the sum is more than the network takes: an explanation of
        shares, not a measurement. ``between`` is called before each run.
        """
        engine: trt.ICudaEngine = self._engine(model)
        bound = self._bound_context(engine)
        context: trt.IExecutionContext = bound[0]
        inspector: trt.EngineInspector = engine.create_engine_inspector()
        kind = self._trt.LayerInformationFormat.JSON
        described = json.loads(inspector.get_engine_information(kind)).get("Layers", [])
        known = {d.get("Name", ""): d for d in described if isinstance(d, dict)}
        times: dict[str, list[float]] = {}

        class Collector(self._trt.IProfiler):  # type: ignore[misc, name-defined]
            def __init__(self, base: Any):
                base.__init__(self)

            def report_layer_time(self, layer_name: str, ms: float) -> None:
                times.setdefault(layer_name, []).append(ms)

        collector = Collector(self._trt.IProfiler)
        context.profiler = collector
        run = self._enqueue(context)
        for _ in range(_EXPLAINED_RUNS):
            between()
            run()
            self._driver.synchronise(self._stream)
        for address in bound[1]:
            self._driver.free(address)
        return [LayerTime(name, float(np.mean(ms)), known.get(name)) for name, ms in times.items()]

    def _engine(self, model: bytes) -> trt.ICudaEngine:
        """The engine of a model: from the user's own cache, or built now and kept there."""
        made_from: tuple[bytes | str, ...] = (model, *self._identity())
        plan = self._cache.read("engine", made_from)
        if plan is not None:
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is not None:
                return engine
        plan = self._build(model)
        self._cache.write("engine", made_from, plan)
        self._logged.clear()
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._failure("TensorRT does not load the engine that it has just built")
        return engine

    def _build(self, model: bytes) -> bytes:
        api = self._trt
        self._logged.clear()
        network: trt.INetworkDefinition = self._builder.create_network(self._network_flags())
        parser: trt.OnnxParser = api.OnnxParser(network, self._logger)
        if not parser.parse(model):
            problems = []
            for index in range(parser.num_errors):
                problem: trt.ParserError = parser.get_error(index)
                problems.append(problem.desc())
            why = "; ".join(problems) or "it gives no reason"
            raise ModelRejectedError(f"TensorRT {self.version} does not read the model: {why}")
        config: trt.IBuilderConfig = self._builder.create_builder_config()
        config.clear_flag(api.BuilderFlag.TF32)  # it is on by default, and is not fp32
        config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
        if not hasattr(api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"):
            # TensorRT 8: the graph names the types, but they must be allowed as well, and no others
            source: trt.ITensor = network.get_input(0)
            if source.dtype == api.DataType.HALF:
                config.set_flag(getattr(api.BuilderFlag, "FP16"))  # noqa: B009 - not in 11
            if b"QuantizeLinear" in model:
                config.set_flag(getattr(api.BuilderFlag, "INT8"))  # noqa: B009 - not in 11
        cached = self._cache.read("timing", self._identity()) or b""
        timing: trt.ITimingCache = config.create_timing_cache(cached)
        if timing is None or not config.set_timing_cache(timing, False):
            timing = config.create_timing_cache(b"")
            config.set_timing_cache(timing, False)
        if hasattr(config, "progress_monitor"):
            config.progress_monitor = self._make_monitor()
        plan = self._builder.build_serialized_network(network, config)
        if plan is None:
            raise self._failure(f"TensorRT {self.version} builds no engine")
        timing = config.get_timing_cache()
        self._cache.write("timing", self._identity(), bytes(timing.serialize()))
        return bytes(plan)

    def _identity(self) -> tuple[str, ...]:
        """What an engine depends on besides its model."""
        card = self._driver.card
        return ("tensorrt", self.version, card.name, card.uuid, "detailed, tf32 off")

    def _network_flags(self) -> int:
        """Precision lives in the graph where the version can do that (10 and 11)."""
        flags = self._trt.NetworkDefinitionCreationFlag
        for name in ("STRONGLY_TYPED", "EXPLICIT_BATCH"):
            if hasattr(flags, name):
                return 1 << int(getattr(flags, name))
        return 0

    def _bound_context(self, engine: trt.ICudaEngine) -> tuple[Any, list[int]]:
        """An execution context with random input and all its tensors on the card; and where."""
        context: trt.IExecutionContext = engine.create_execution_context()
        if context is None:
            raise self._failure("TensorRT makes no execution context")
        rng = np.random.default_rng(0)
        buffers = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            shape = tuple(engine.get_tensor_shape(name))
            half = engine.get_tensor_dtype(name) == self._trt.DataType.HALF
            values = rng.standard_normal(shape).astype(np.float16 if half else np.float32)
            address = self._driver.allocate(values.nbytes)
            buffers.append(address)
            self._driver.upload(address, values.tobytes())
            if not context.set_tensor_address(name, address):
                raise self._failure(f"TensorRT takes no memory for tensor {name}")
        return context, buffers

    def _free(self, graph: int, buffers: list[int]) -> None:
        self._driver.free_graph(graph)
        for address in buffers:
            self._driver.free(address)

    def _enqueue(self, context: trt.IExecutionContext) -> Callable[[], None]:
        def run() -> None:
            if not context.execute_async_v3(self._stream):
                raise self._failure("TensorRT does not run its engine")

        return run

    def _elapsed_ms(self, work: Callable[[], None]) -> float:
        return self._driver.elapsed_ms(self._stream, work, self._start, self._end)

    def _make_logger(self) -> Any:
        api, logged = self._trt, self._logged

        class Logger(api.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                api.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                is_error = severity in (api.ILogger.INTERNAL_ERROR, api.ILogger.ERROR)
                if is_error or severity == api.ILogger.WARNING:
                    logged.append((is_error, msg))

        return Logger()

    def _make_monitor(self) -> Any:
        base: Any = getattr(self._trt, "IProgressMonitor")  # noqa: B009 - not in 8
        phases, compiling = BuildPhases(), self.compiling

        class Monitor(base):  # type: ignore[misc]
            def __init__(self) -> None:
                base.__init__(self)

            def phase_start(self, phase_name: str, parent: str | None, num_steps: int) -> None:
                phases.start(phase_name, parent, num_steps)

            def step_complete(self, phase_name: str, step: int) -> bool:
                phases.step(phase_name, step)
                compiling(phases.share, phase_name)
                return True  # go on

            def phase_finish(self, phase_name: str) -> None:
                phases.finish(phase_name)

        return Monitor()

    def _failure(self, what: str) -> ModelRejectedError | DeviceMemoryError:
        """The error for what TensorRT logged: out of memory, or a model that it cannot run."""
        said = self._said(what)
        if "outofmemory" in said.replace(" ", "").lower():
            return DeviceMemoryError(said)
        return ModelRejectedError(said)

    def _said(self, what: str) -> str:
        errors = [message for is_error, message in self._logged if is_error]
        # that CUDA does not start is a warning to TensorRT 8
        reasons = errors[-3:] or [message for _, message in self._logged[-1:]]
        return f"{what}: {'; '.join(reasons) or 'it logged no reason'}"
