"""TensorRT 8.6, 10 and 11 as a runtime: an engine a model, timed as a CUDA graph.

Only what all these versions have is used; the rest is asked for with ``hasattr`` or ``getattr``.
Buffers, streams, events and graphs go through `cuda_driver`, so that neither torch nor CUDA's
Python is needed. ``benchmarks/tensorrt_api.py`` checks every attribute that is used in this folder
on the versions' real bindings.
"""

from __future__ import annotations

import importlib
import json
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import DeviceMemoryError, DeviceUnavailableError, MeasurementError
from hwnas.latency_tables import Conditions, Target
from hwnas.profilers.gpu.card_support import (
    card_precisions,
    card_target,
    tensorrt_advice,
    tensorrt_problem,
)
from hwnas.profilers.gpu.cuda_driver import Card, CudaDriver
from hwnas.profilers.gpu.deferred import Deferred, deferred_interrupts
from hwnas.profilers.gpu.engine_cache import EngineCache, cache_folder
from hwnas.profilers.gpu.memory import SharedMemory
from hwnas.profilers.gpu.nvml import Nvml
from hwnas.profilers.gpu.tensorrt.building import EngineBuilder
from hwnas.profilers.gpu.tensorrt.callbacks import Log, layer_times
from hwnas.profilers.gpu.tensorrt.running import BoundEngine
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
    What engines compute in is shared, since one runs at a time.

    Attributes:
        compiling: told how far the building of an engine is, by TensorRT 10 and later.

    Raises:
        DeviceUnavailableError: no driver, card or TensorRT, or one that does not run the card.
    """

    #: Blocks that take microseconds are measured as so many in a row, see `profile_space`.
    chain = 4
    #: Engines share one piece of memory if the largest comes first, see `SharedMemory`.
    largest_first = True

    def __init__(self) -> None:
        self._driver = CudaDriver()  # first: without a card, TensorRT may crash
        card = self._driver.card
        self._api = _imported(card)
        self.version = str(self._api.__version__)
        problem = tensorrt_problem(self.version, card.capability, card.cuda)
        if problem is not None:
            raise DeviceUnavailableError(problem)
        self.precisions = card_precisions(card.capability)
        self.compiling: Callable[[float, str], None] = lambda share, phase: None
        self._log = Log(self._api)
        identity = ("tensorrt", self.version, card.name, card.uuid)
        try:
            with deferred_interrupts():
                self._builder = EngineBuilder(
                    self._api, self._log, EngineCache(cache_folder()), identity
                )
        except TypeError:  # what its bindings make of a null pointer
            what = f"TensorRT {self.version} does not start on {card.name}"
            advice = tensorrt_advice(card.capability, card.cuda)
            raise DeviceUnavailableError(f"{self._log.said(what)}: {advice}") from None
        self._shared = SharedMemory(self._driver)
        self._stream = self._driver.stream()
        self._start, self._end = self._driver.event(), self._driver.event()
        self._watch = CardWatch(Nvml.find(card.uuid), card.cuda)

    def target(self, precision: str, batch: int) -> Target:
        """This card."""
        return card_target(self._driver.card, "tensorrt", self.version, precision, batch)

    def conditions(self) -> Conditions:
        """How the card has been since this runtime was made, or since it was asked last."""
        return self._watch.conditions()

    def load(self, model: bytes, *, warm: bool = False) -> Window:
        """An engine, its buffers and a CUDA graph of as many runs as fill a window.

        Runs follow each other, so that the cache is warm whatever ``warm`` says. Where the runs
        cannot be captured, they are launched one by one.

        Raises:
            ModelRejectedError: TensorRT does not read the model, or finds no kernels for it.
            DeviceMemoryError: it does not fit on the card.
        """
        with deferred_interrupts() as deferred:
            return self._window(self._bound(model, deferred))

    def explain(
        self, model: bytes, between: Callable[[], object] = lambda: None
    ) -> list[LayerTime]:
        """What each layer of the engine takes, by TensorRT's own profiler.

        It waits after every layer, so the sum is more than the network takes: an explanation of
        shares, not a measurement. ``between`` is called before each run.
        """
        times: dict[str, list[float]] = {}
        with deferred_interrupts() as deferred:
            bound = self._bound(model, deferred)
            inspector: trt.EngineInspector = bound.engine.create_engine_inspector()
            kind = self._api.LayerInformationFormat.JSON
            described = json.loads(inspector.get_engine_information(kind)).get("Layers", [])
            context: trt.IExecutionContext = bound.context
            context.profiler = layer_times(self._api, times)
            for _ in range(_EXPLAINED_RUNS):
                between()
                bound.enqueue(self._stream)
                self._driver.synchronise(self._stream)
        known = {d.get("Name", ""): d for d in described if isinstance(d, dict)}
        return [LayerTime(name, float(np.mean(ms)), known.get(name)) for name, ms in times.items()]

    def _bound(self, model: bytes, deferred: Deferred) -> BoundEngine:
        def go_on(share: float, phase: str) -> bool:
            if not deferred:
                deferred.call(self.compiling, share, phase)
            return not deferred

        engine = self._builder.engine(model, go_on)
        return BoundEngine(self._api, self._log, self._driver, self._shared, engine)

    def _window(self, bound: BoundEngine) -> Window:
        run = partial(bound.enqueue, self._stream)
        run()  # TensorRT sets itself up in the first run, which cannot be captured
        self._driver.synchronise(self._stream)
        repeats = runs_in_window(min(self._elapsed_ms(run) for _ in range(3)))

        def all_runs() -> None:
            for _ in range(repeats):
                run()

        try:
            graph = self._driver.capture(self._stream, all_runs)
        except DeviceMemoryError:
            raise
        except MeasurementError:
            self._log.clear()
            run()  # the stream is as it was, or this is no model to measure
            self._driver.synchronise(self._stream)
            plainly = partial(self._elapsed_ms, all_runs)
            return Window(plainly, repeats, self._watch, keeps=bound, captured=False)
        launch = partial(self._driver.launch, graph, self._stream)
        job = Window(partial(self._elapsed_ms, launch), repeats, self._watch, keeps=bound)
        weakref.finalize(job, self._driver.free_graph, graph).atexit = False  # the driver does it
        return job

    def _elapsed_ms(self, work: Callable[[], None]) -> float:
        return self._driver.elapsed_ms(self._stream, work, self._start, self._end, lead=work)


def _imported(card: Card) -> Any:
    """The module ``tensorrt``."""
    try:
        return importlib.import_module("tensorrt")
    except (ImportError, OSError, RuntimeError) as error:
        advice = tensorrt_advice(card.capability, card.cuda)
        raise DeviceUnavailableError(f"TensorRT cannot be imported ({error}): {advice}") from None
