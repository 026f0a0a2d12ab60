"""NVIDIA cards through ONNX Runtime's CUDA provider."""

from collections.abc import Callable
from typing import Any

import onnxruntime as ort

from hwnas.errors import DeviceMemoryError, DeviceUnavailableError, ModelRejectedError
from hwnas.latency_tables import Conditions, Target
from hwnas.profilers.gpu.card_support import card_precisions, card_target
from hwnas.profilers.gpu.cuda_driver import CudaDriver
from hwnas.profilers.gpu.nvml import Nvml
from hwnas.profilers.gpu.windows import CardWatch, Window, runs_in_window
from hwnas.profilers.onnxruntime_sessions import input_arrays, output_arrays

__all__ = ["OnnxRuntimeCuda"]

_ADVICE = "pip uninstall onnxruntime; pip install onnxruntime-gpu"
_WARM_UP_RUNS = 3


class OnnxRuntimeCuda:
    """ONNX Runtime on the first visible card, input and output bound to its memory.

    Runs follow each other on one stream without waiting, so that a window is what the card needs
    for them, or what the processor needs to launch them, whichever is more: as an application that
    calls the session sees it. No CUDA graph is captured. TF32 is off.

    Raises:
        DeviceUnavailableError: no driver or card, or an ONNX Runtime without the CUDA provider.
    """

    chain = 4

    def __init__(self) -> None:
        self._driver = CudaDriver()
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            raise DeviceUnavailableError(
                f"onnxruntime {ort.__version__} is built without CUDA: {_ADVICE}"
            )
        import torch  # its wheels bring the CUDA libraries that the provider loads

        card = self._driver.card
        self._stream = self._driver.stream()
        self._start, self._end = self._driver.event(), self._driver.event()
        half = "fp16" in card_precisions(card.capability)
        self.precisions: tuple[str, ...] = ("fp32", "fp16") if half else ("fp32",)
        self._watch = CardWatch(Nvml.find(card.uuid), torch.version.cuda or card.cuda)

    def target(self, precision: str, batch: int) -> Target:
        """This card."""
        return card_target(self._driver.card, "onnxruntime", ort.__version__, precision, batch)

    def conditions(self) -> Conditions:
        """How the card has been since this runtime was made."""
        return self._watch.conditions()

    def load(self, model: bytes, *, warm: bool = False) -> Window:
        """A session on the card, and a window of as many runs as fill it.

        Runs follow each other, so that the cache is warm whatever ``warm`` says.

        Raises:
            ModelRejectedError: a part of the model has no CUDA kernel.
            DeviceMemoryError: it does not fit on the card.
            DeviceUnavailableError: the CUDA provider's libraries do not load.
        """
        try:
            run = self._session(model)
        except (DeviceUnavailableError, DeviceMemoryError):
            raise
        except Exception as error:  # onnxruntime's own errors have no common root
            said = " ".join(str(error).split())
            if "allocate memory" in said or "out of memory" in said.lower():
                raise DeviceMemoryError(said[:200]) from None
            raise ModelRejectedError(f"ONNX Runtime does not run it on CUDA: {said}") from None
        repeats = runs_in_window(min(self._elapsed_ms(run, run) for _ in range(3)))

        def all_runs() -> None:
            for _ in range(repeats):
                run()

        return Window(lambda: self._elapsed_ms(all_runs, run), repeats, self._watch)

    def _session(self, model: bytes) -> Callable[[], None]:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        provider = {
            "device_id": "0",
            "user_compute_stream": str(self._stream),
            "use_tf32": "0",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
        }
        session = ort.InferenceSession(
            model, options, providers=[("CUDAExecutionProvider", provider)]
        )
        if session.get_providers()[:1] != ["CUDAExecutionProvider"]:
            raise DeviceUnavailableError(
                f"onnxruntime {ort.__version__} cannot load its CUDA provider: its CUDA and cuDNN "
                "versions must be those of torch's wheels (see docs/gpu.md)"
            )
        binding = session.io_binding()
        for name, array in input_arrays(session):
            binding.bind_ortvalue_input(name, _on_card(array))
        for name, array in output_arrays(session):
            if array is None:
                binding.bind_output(name, "cuda")
            else:
                binding.bind_ortvalue_output(name, _on_card(array))
        unwaited = ort.RunOptions()
        unwaited.add_run_config_entry("disable_synchronize_execution_providers", "1")

        def run() -> None:
            session.run_with_iobinding(binding, unwaited)

        for _ in range(_WARM_UP_RUNS):  # cuDNN chooses its kernels in the first
            run()
        self._driver.synchronise(self._stream)
        return run

    def _elapsed_ms(self, work: Callable[[], None], lead: Callable[[], None]) -> float:
        return self._driver.elapsed_ms(self._stream, work, self._start, self._end, lead)


def _on_card(array: Any) -> Any:
    return ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
