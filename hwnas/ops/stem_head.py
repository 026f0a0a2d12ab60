"""The first and the last layers of networks: a convolution, and classifiers."""

from dataclasses import dataclass

from hwnas.ops.graph import Graph

__all__ = ["Classifier", "ConvHead", "Stem"]


@dataclass(frozen=True, slots=True)
class Stem:
    """Convolution and batch-norm, with ReLU6 behind it where ``relu6`` is 1."""

    kernel: int
    relu6: int = 1
    token = "stem"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the convolution."""
        activation = "relu6" if self.relu6 else None
        return graph.conv_bn(x, "stem", out_channels, self.kernel, stride, activation=activation)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ConvHead:
    """1x1 convolution to ``hidden`` channels with ReLU6, global pooling, linear layer."""

    hidden: int
    token = "head"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return stride == 1

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the head; ``out_channels`` are the classes."""
        x = graph.conv_bn(x, "conv", self.hidden, activation="relu6")
        return graph.linear(graph.global_avg_pool(x), "classifier", out_channels)


@dataclass(frozen=True, slots=True)
class Classifier:
    """Batch-norm, ReLU, global pooling, linear layer."""

    token = "head"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return stride == 1

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the head; ``out_channels`` are the classes."""
        x = graph.activation(graph.batch_norm(x, "bn"), "relu")
        return graph.linear(graph.global_avg_pool(x), "classifier", out_channels)
