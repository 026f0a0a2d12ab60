"""The operators of FBNet (Wu et al., CVPR 2019, section 3.1 and table 2), besides the identity."""

from dataclasses import dataclass

from hwnas.ops.graph import Graph

__all__ = ["FBNetBlock", "FBNetHead", "FBNetSkip", "FBNetStem"]


@dataclass(frozen=True, slots=True)
class FBNetBlock:
    """1x1 to ``expand`` times the channels, depthwise ``kernel`` x ``kernel``, 1x1 to the output.

    Both 1x1 are in ``groups``, whose channels are shuffled behind the first. ReLU after the first
    two, nothing after the last; the input is added where stride is 1 and the channels are equal.
    Unlike in `MBConv`, ``expand=1`` keeps its first 1x1.
    """

    kernel: int
    expand: int
    groups: int
    no_op = False

    @property
    def token(self) -> str:
        """For example ``k5e3``, or ``k3e1g2`` with two groups."""
        return f"k{self.kernel}e{self.expand}" + (f"g{self.groups}" if self.groups > 1 else "")

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where the groups divide the channels."""
        return in_channels % self.groups == out_channels % self.groups == 0

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the nodes; 1x1 in groups have other names, so that none is a slice of a dense one."""
        in_channels = graph.shape(x)[0]
        mid = in_channels * self.expand
        suffix = f"_g{self.groups}" if self.groups > 1 else ""
        y = graph.conv_bn(x, f"expand{suffix}", mid, groups=self.groups, activation="relu")
        if self.groups > 1:
            y = graph.channel_shuffle(y, self.groups)
        y = graph.conv_bn(y, "depthwise", mid, self.kernel, stride, groups=mid, activation="relu")
        y = graph.conv_bn(y, f"project{suffix}", out_channels, groups=self.groups)
        return graph.add(y, x) if stride == 1 and in_channels == out_channels else y


@dataclass(frozen=True, slots=True)
class FBNetSkip:
    """1x1 with ReLU: what skipping leaves of a block that changes the shape."""

    token = "skip"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where `Identity` does not."""
        return stride != 1 or in_channels != out_channels

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the convolution."""
        return graph.conv_bn(x, "skip", out_channels, stride=stride, activation="relu")


@dataclass(frozen=True, slots=True)
class FBNetStem:
    """Convolution with ReLU."""

    kernel: int
    token = "stem"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the convolution."""
        return graph.conv_bn(x, "stem", out_channels, self.kernel, stride, activation="relu")


@dataclass(frozen=True, slots=True)
class FBNetHead:
    """1x1 convolution to ``hidden`` channels with ReLU, global pooling, linear layer."""

    hidden: int
    token = "head"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return stride == 1

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the head; ``out_channels`` are the classes."""
        x = graph.conv_bn(x, "conv", self.hidden, activation="relu")
        return graph.linear(graph.global_avg_pool(x), "classifier", out_channels)
