"""NVIDIA cards: three runtimes, the driver, the card's state, and which of them works here."""

from hwnas.profilers.gpu.choice import GPU_RUNTIMES, gpu_problem, gpu_runtime

__all__ = ["GPU_RUNTIMES", "gpu_problem", "gpu_runtime"]
