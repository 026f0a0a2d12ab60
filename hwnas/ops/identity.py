"""The operator that does nothing."""

from dataclasses import dataclass

from hwnas.ops.graph import Graph

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Hands its input on; where it can be chosen, depth is searched."""

    token = "skip"
    no_op = True

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where the output has the shape of the input."""
        return stride == 1 and in_channels == out_channels

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add nothing."""
        return x
