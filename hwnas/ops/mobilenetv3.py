"""The operators of MobileNetV3 (Howard et al., ICCV 2019), which once-for-all searches."""

from dataclasses import dataclass

from hwnas.ops.divisible import divisible
from hwnas.ops.graph import Graph

__all__ = ["MobileNetV3Block", "MobileNetV3Head", "MobileNetV3Stem", "bottleneck"]


def bottleneck(
    graph: Graph,
    x: int,
    kernel: int,
    mid: int,
    out_channels: int,
    stride: int,
    se: int,
    hswish: int,
) -> int:
    """Add the nodes of a bottleneck of ``mid`` channels behind node ``x`` (figure 4).

    1x1 unless there already are ``mid`` channels, depthwise ``kernel`` x ``kernel``,
    squeeze-and-excitation where ``se``, 1x1 to the output; h-swish or ReLU after the first two,
    nothing after the last; the input is added where stride is 1 and the channels are equal.
    """
    in_channels = graph.shape(x)[0]
    y = x
    if mid != in_channels:
        y = graph.conv_bn(y, "expand", mid, activation="hard_swish" if hswish else "relu")
    y = graph.conv_bn(
        y, "depthwise", mid, kernel, stride, mid, activation="hard_swish" if hswish else "relu"
    )
    if se:
        with graph.scope("se"):
            gate = graph.linear(graph.global_avg_pool(y), "reduce", divisible(mid // 4))
            gate = graph.linear(graph.activation(gate, "relu"), "expand", mid)
            y = graph.mul(y, graph.activation(gate, "hard_sigmoid"))
    y = graph.conv_bn(y, "project", out_channels)
    return graph.add(y, x) if stride == 1 and in_channels == out_channels else y


@dataclass(frozen=True, slots=True)
class MobileNetV3Block:
    """A `bottleneck` that expands its input ``expand`` times; ``se`` and ``hswish`` are 0 or 1."""

    kernel: int
    expand: int
    se: int
    hswish: int
    no_op = False

    @property
    def token(self) -> str:
        """For example ``k5e3``: where it stands decides about the rest."""
        return f"k{self.kernel}e{self.expand}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the nodes of `bottleneck`."""
        mid = graph.shape(x)[0] * self.expand
        return bottleneck(graph, x, self.kernel, mid, out_channels, stride, self.se, self.hswish)


@dataclass(frozen=True, slots=True)
class MobileNetV3Stem:
    """Convolution with h-swish."""

    kernel: int
    token = "stem"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the convolution."""
        return graph.conv_bn(x, "stem", out_channels, self.kernel, stride, activation="hard_swish")


@dataclass(frozen=True, slots=True)
class MobileNetV3Head:
    """1x1 to ``mid`` channels, global pooling, a layer to ``hidden``, the classifier; h-swish.

    The layers behind the pooling have biases, as in MobileNetV3 (the released once-for-all network
    leaves out that of the hidden layer).
    """

    mid: int
    hidden: int
    token = "head"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return stride == 1

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the head; ``out_channels`` are the classes."""
        x = graph.conv_bn(x, "conv", self.mid, activation="hard_swish")
        with graph.scope("hidden"):
            x = graph.linear(graph.global_avg_pool(x), "linear", self.hidden)
            x = graph.activation(x, "hard_swish")
        return graph.linear(x, "classifier", out_channels)
