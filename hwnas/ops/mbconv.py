"""The mobile inverted bottleneck of MobileNetV2, MnasNet and ProxylessNAS."""

from dataclasses import dataclass

from hwnas.ops.graph import Graph

__all__ = ["MBConv"]


@dataclass(frozen=True, slots=True)
class MBConv:
    """1x1 to ``expand`` times the channels, depthwise ``kernel`` x ``kernel``, 1x1 to the output.

    ReLU6 after the first two, nothing after the last; the input is added where stride is 1 and the
    channels are equal. ``expand=1`` has no first 1x1 (MobileNetV2, table 1).
    """

    kernel: int
    expand: int
    no_op = False

    @property
    def token(self) -> str:
        """For example ``k5e3``."""
        return f"k{self.kernel}e{self.expand}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the nodes ``expand``, ``depthwise``, ``project`` and the residual sum."""
        in_channels = graph.shape(x)[0]
        mid = in_channels * self.expand
        y = x
        if self.expand > 1:
            y = graph.conv_bn(y, "expand", mid, activation="relu6")
        y = graph.conv_bn(y, "depthwise", mid, self.kernel, stride, groups=mid, activation="relu6")
        y = graph.conv_bn(y, "project", out_channels)
        return graph.add(y, x) if stride == 1 and in_channels == out_channels else y
