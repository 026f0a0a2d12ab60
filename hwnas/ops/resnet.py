"""ResNet (He et al. 2016) with few-bit residual blocks, as Single Path One-Shot searches it."""

from dataclasses import dataclass

from hwnas.ops.graph import Graph

__all__ = ["LinearHead", "QuantizedBasicBlock", "ResNetStem"]


@dataclass(frozen=True, slots=True)
class QuantizedBasicBlock:
    """Two 3x3 convolutions beside the input, or beside a 1x1 where the shape changes.

    All three have weights of ``weight_bits`` (DoReFa) and read values of ``activation_bits``
    (PACT); the identity that is added is not rounded. The batch-norms and the sum are floats.

    Attributes:
        weight_bits, activation_bits: of the convolutions.
        tenths: channels between the two 3x3 over the output's, times ten.
    """

    weight_bits: int
    activation_bits: int
    tenths: int = 10
    no_op = False

    @property
    def token(self) -> str:
        """``w2a4``, or ``w2a4@0.5`` with half the channels between."""
        bits = f"w{self.weight_bits}a{self.activation_bits}"
        return bits if self.tenths == 10 else f"{bits}@{self.tenths // 10}.{self.tenths % 10}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the block; its input is not negative."""
        in_channels = graph.shape(x)[0]
        middle = max(1, out_channels * self.tenths // 10)
        bits = self.weight_bits
        source = graph.pact(x, "pact1", self.activation_bits)
        y = graph.conv_bn(source, "conv1", middle, 3, stride, bits=bits)
        y = graph.pact(y, "pact2", self.activation_bits)
        y = graph.conv_bn(y, "conv2", out_channels, 3, bits=bits)
        if stride != 1 or in_channels != out_channels:
            x = graph.conv_bn(source, "shortcut", out_channels, 1, stride, bits=bits)
        return graph.activation(graph.add(y, x), "relu")


@dataclass(frozen=True, slots=True)
class ResNetStem:
    """Convolution, batch-norm, ReLU, and a 3x3 max-pooling of stride 2 where ``pool`` is 1."""

    kernel: int = 7
    pool: int = 1
    token = "stem"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the convolution and the pooling."""
        x = graph.conv_bn(x, "stem", out_channels, self.kernel, stride, activation="relu")
        return graph.max_pool(x, 3, 2) if self.pool else x


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Global pooling, linear layer."""

    token = "head"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return stride == 1

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the head; ``out_channels`` are the classes."""
        return graph.linear(graph.global_avg_pool(x), "classifier", out_channels)
