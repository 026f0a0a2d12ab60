"""NVIDIA cards through torch with CUDA graphs, where there is no TensorRT."""

from collections.abc import Callable
from typing import Any

import torch

from hwnas.errors import (
    DeviceMemoryError,
    DeviceUnavailableError,
    HwnasError,
    ModelRejectedError,
)
from hwnas.latency_tables import Conditions, Target
from hwnas.profilers.gpu.card_support import (
    NEWEST_CUDA,
    card_precisions,
    card_target,
    torch_advice,
)
from hwnas.profilers.gpu.cuda_driver import CudaDriver
from hwnas.profilers.gpu.nvml import Nvml
from hwnas.profilers.gpu.windows import CardWatch, Window, runs_in_window
from hwnas.profilers.onnx_torch import OnnxFunction

__all__ = ["TorchCuda"]

_WARM_UP_RUNS = 3
_DEVICE = "cuda"
_Inputs = tuple[torch.Tensor, ...]
_Run = Callable[[_Inputs], Any]


class TorchCuda:
    """torch on the first visible card; each model is captured in a CUDA graph.

    fp32 is real fp32: TF32 is switched off for this process.

    Args:
        channels_last: keep the channels innermost, which fp16 on tensor cores prefers.
        compiled: run what torch.compile makes of a model, its weights frozen.

    Raises:
        DeviceUnavailableError: no driver or card, or a torch that was not built for it.
    """

    chain = 4

    def __init__(self, *, channels_last: bool = False, compiled: bool = False):
        card = CudaDriver().card
        problem = torch_problem(card.capability, card.cuda)
        if problem is not None:
            raise DeviceUnavailableError(problem)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True  # cuDNN tries its kernels in the first run
        half = "fp16" in card_precisions(card.capability)
        self.precisions: tuple[str, ...] = ("fp32", "fp16") if half else ("fp32",)
        self._card, self._channels_last, self._compiled = card, channels_last, compiled
        self._stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool: Any = None  # the graphs run one at a time and share their scratch memory
        self._watch = CardWatch(Nvml.find(card.uuid), torch.version.cuda or "unknown")

    def target(self, precision: str, batch: int) -> Target:
        """This card."""
        name = "torch-channels-last" if self._channels_last else "torch"
        name = "torch-compile" if self._compiled else name
        return card_target(self._card, name, torch.__version__, precision, batch)

    def conditions(self) -> Conditions:
        """How the card has been since this runtime was made."""
        return self._watch.conditions()

    def load(self, model: bytes, *, warm: bool = False) -> Window:
        """The model on the card, and a CUDA graph of as many runs as fill a window.

        Runs follow each other, so that the cache is warm whatever ``warm`` says.

        Raises:
            ModelRejectedError: torch cannot run or capture it.
            DeviceMemoryError: it does not fit on the card.
        """
        try:
            return self._load(model)
        except torch.cuda.OutOfMemoryError as error:
            raise DeviceMemoryError(str(error).split(".")[0]) from None
        except HwnasError:
            raise
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            raise ModelRejectedError(f"torch does not run it: {error}") from None

    @torch.no_grad()
    def _load(self, model: bytes) -> Window:
        function = OnnxFunction(model, _DEVICE, channels_last=self._channels_last)
        inputs = function.examples()
        torch.cuda.synchronize()
        with torch.cuda.stream(self._stream):
            run = _compiled(function, inputs) if self._compiled else lambda given: function(*given)
            for _ in range(_WARM_UP_RUNS):  # libraries choose kernels and allocate, uncaptured
                run(inputs)
            self._stream.synchronize()
            once = self._captured(run, inputs, 1)
            once()  # the first launch uploads the graph
            repeats = runs_in_window(min(once() for _ in range(3)))
            window = self._captured(run, inputs, repeats)
        return Window(window, repeats, self._watch)

    def _captured(self, function: _Run, inputs: _Inputs, repeats: int) -> Any:
        graph = torch.cuda.CUDAGraph()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            for _ in range(repeats):
                function(inputs)
        event: Any = torch.cuda.Event  # torch does not type it
        start, end = event(enable_timing=True), event(enable_timing=True)
        stream = self._stream

        @torch.no_grad()
        def run() -> float:
            with torch.cuda.stream(stream):
                graph.replay()  # untimed, so that the stream does not idle when the start is noted
                start.record()
                graph.replay()
                end.record()
            end.synchronize()
            ms: float = start.elapsed_time(end)
            return ms

        run.keeps = (function, inputs)  # type: ignore[attr-defined]  # the graph reads their memory
        return run


def _compiled(function: OnnxFunction, inputs: _Inputs) -> _Run:
    from hwnas.profilers.inductor import compiling, first_run

    run = compiling(function)
    with first_run():
        run(inputs)
    return run


def torch_problem(capability: tuple[int, int], cuda: str = NEWEST_CUDA) -> str | None:
    """Why torch cannot use a card of this compute capability and a driver of this CUDA, or None."""
    advice = torch_advice(capability, cuda)
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA: {advice}"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} does not start CUDA {torch.version.cuda}: {advice}"
    try:
        torch.ones(1, device="cuda").add(1).item()
    except RuntimeError as error:
        return f"torch {torch.__version__} was not built for this card ({error}): {advice}"
    return None
