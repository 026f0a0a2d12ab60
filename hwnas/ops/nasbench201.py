"""The operators of NAS-Bench-201 (Dong and Yang, ICLR 2020), besides the identity."""

from dataclasses import dataclass

from hwnas.ops.graph import Graph

__all__ = ["AvgPool", "ReLUConvBN", "ResidualReduction", "Zero"]


@dataclass(frozen=True, slots=True)
class ReLUConvBN:
    """ReLU, convolution, batch-norm."""

    kernel: int
    no_op = False

    @property
    def token(self) -> str:
        """``nor_conv_3x3`` or ``nor_conv_1x1``."""
        return f"nor_conv_{self.kernel}x{self.kernel}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the three nodes."""
        x = graph.activation(x, "relu")
        return graph.conv_bn(x, "conv_bn", out_channels, self.kernel, stride)


@dataclass(frozen=True, slots=True)
class AvgPool:
    """Average pooling that does not count its padding."""

    kernel: int
    no_op = False

    @property
    def token(self) -> str:
        """``avg_pool_3x3``."""
        return f"avg_pool_{self.kernel}x{self.kernel}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where the channels stay."""
        return in_channels == out_channels

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the pooling."""
        return graph.avg_pool(x, self.kernel, stride)


@dataclass(frozen=True, slots=True)
class Zero:
    """Zeros: the edge is not there."""

    token = "none"
    no_op = True

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where the output has the shape of the input."""
        return stride == 1 and in_channels == out_channels

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add a node of zeros."""
        return graph.zero(x)


@dataclass(frozen=True, slots=True)
class ResidualReduction:
    """The basic residual block between stages: two 3x3 beside 2x2 pooling and a 1x1."""

    token = "reduction"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """At stride 2."""
        return stride == 2

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add both branches and their sum; the shortcut's 1x1 has no batch-norm."""
        with graph.scope("conv_a"):
            y = graph.activation(x, "relu")
        y = graph.conv_bn(y, "conv_a", out_channels, 3, stride)
        with graph.scope("conv_b"):
            y = graph.activation(y, "relu")
        y = graph.conv_bn(y, "conv_b", out_channels, 3)
        return graph.add(graph.conv(graph.avg_pool(x, 2, 2), "shortcut", out_channels), y)
