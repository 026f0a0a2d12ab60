"""The operators of DARTS (Liu et al., ICLR 2019, section 3.1.1), besides the identity.

All begin with a ReLU, but for the poolings. NAO takes its operators from here as well.
"""

from dataclasses import dataclass

from hwnas.errors import OptionError
from hwnas.ops.graph import Graph

__all__ = ["DilConv", "FactorizedReduction", "MaxPool", "MeanPool", "SepConv"]


@dataclass(frozen=True, slots=True)
class SepConv:
    """Twice ReLU, depthwise ``kernel`` x ``kernel``, 1x1, batch-norm; the first one strides."""

    kernel: int
    no_op = False

    @property
    def token(self) -> str:
        """``sep3``."""
        return f"sep{self.kernel}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add both separable convolutions; the first keeps the channels."""
        channels = graph.shape(x)[0]
        for name, out, step in (("first", channels, stride), ("second", out_channels, 1)):
            with graph.scope(name):
                x = graph.activation(x, "relu")
                x = graph.conv(x, "depthwise", channels, self.kernel, step, groups=channels)
                x = graph.conv_bn(x, "pointwise", out)
        return x


@dataclass(frozen=True, slots=True)
class DilConv:
    """ReLU, depthwise ``kernel`` x ``kernel`` dilated by 2, 1x1, batch-norm."""

    kernel: int
    no_op = False

    @property
    def token(self) -> str:
        """``dil3``."""
        return f"dil{self.kernel}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the nodes, under names of their own: no slice of a convolution without gaps."""
        channels = graph.shape(x)[0]
        with graph.scope("dilated"):
            x = graph.activation(x, "relu")
            x = graph.conv(
                x, "depthwise", channels, self.kernel, stride, groups=channels, dilation=2
            )
            return graph.conv_bn(x, "pointwise", out_channels)


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Max-pooling, with a batch-norm behind it that learns nothing where ``norm`` is 1."""

    kernel: int
    norm: int = 0
    no_op = False

    @property
    def token(self) -> str:
        """``max3``."""
        return f"max{self.kernel}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where the channels stay."""
        return in_channels == out_channels

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the pooling."""
        x = graph.max_pool(x, self.kernel, stride)
        return graph.batch_norm(x, "bn", affine=False) if self.norm else x


@dataclass(frozen=True, slots=True)
class MeanPool:
    """Average pooling that does not count its padding, with a batch-norm as `MaxPool` has it."""

    kernel: int
    norm: int = 0
    no_op = False

    @property
    def token(self) -> str:
        """``avg3``."""
        return f"avg{self.kernel}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where the channels stay."""
        return in_channels == out_channels

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the pooling."""
        x = graph.avg_pool(x, self.kernel, stride)
        return graph.batch_norm(x, "bn", affine=False) if self.norm else x


@dataclass(frozen=True, slots=True)
class FactorizedReduction:
    """What skipping leaves at stride 2: ReLU, two 1x1, batch-norm.

    Each 1x1 gives half of the channels. One reads the pixels of even rows and columns, the other
    those of odd ones.
    """

    token = "skip"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """At stride 2, to channels that have two halves."""
        return stride == 2 and out_channels % 2 == 0

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add both halves and join them.

        Raises:
            OptionError: the map has odd sides, so that the halves would differ in size.
        """
        _, height, width = graph.shape(x)
        if height % 2 or width % 2:
            raise OptionError(
                f"a factorised reduction halves a map of even sides, got {height}x{width}"
            )
        x = graph.activation(x, "relu")
        even = graph.conv(x, "even", out_channels // 2, stride=stride)
        odd = graph.conv(graph.crop(x, 1), "odd", out_channels // 2, stride=stride)
        return graph.batch_norm(graph.concat(even, odd), "bn")
