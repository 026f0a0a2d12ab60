"""NVIDIA cards through TensorRT: what it calls back, how engines are built, and how they run."""

from hwnas.profilers.gpu.tensorrt.runtime import LayerTime, TensorRt

__all__ = ["LayerTime", "TensorRt"]
