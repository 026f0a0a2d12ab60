"""The choice blocks of Single Path One-Shot (appendix 1), which are units of ShuffleNetV2.

One half of the channels passes by, the other is worked on, and both are joined. Where the shape
stays, a unit begins by dealing the channels out in turn: ShuffleNetV2's shuffle and split in one.
Where it changes, both halves get the whole input, and the one that passes by keeps its channels, or
half of the output's if that is less, behind a depthwise convolution and a 1x1. The kernel there is
the unit's own: with it, and not with 3x3 throughout, the paper's architecture has its 319 M MACs.
"""

from dataclasses import dataclass

from hwnas.ops.graph import Graph

__all__ = ["ShuffleHead", "ShuffleStem", "ShuffleUnit", "ShuffleXception"]


@dataclass(frozen=True, slots=True)
class ShuffleUnit:
    """1x1 to the middle, depthwise ``kernel`` x ``kernel``, 1x1; ReLU behind the 1x1s only.

    Attributes:
        kernel: of the depthwise convolutions.
        tenths: the scale of the middle channels times ten; see `_middle`.
    """

    kernel: int
    tenths: int = 10
    no_op = False

    @property
    def token(self) -> str:
        """``5``, or ``5@1.4`` with 1.4 times the middle channels."""
        return _token(str(self.kernel), self.tenths)

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where there are two halves."""
        return _fits(in_channels, out_channels, stride)

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add both halves and join them."""
        passed, y, rest = _halves(graph, x, out_channels, stride, self.kernel)
        middle = _middle(out_channels, self.tenths)
        y = graph.conv_bn(y, "pw1", middle, activation="relu")
        y = graph.conv_bn(y, "dw", middle, self.kernel, stride, groups=middle)
        y = graph.conv_bn(y, "pw2", rest, activation="relu")
        return graph.concat(passed, y)


@dataclass(frozen=True, slots=True)
class ShuffleXception:
    """Three times a depthwise 3x3 and a 1x1, the first depthwise one on the input itself.

    It is a `ShuffleUnit` of kernel 3 with three more layers, and is named so: in a supernet of
    slices it shares that unit's layers, and its own start as the identity.

    Attributes:
        tenths: the scale of the middle channels times ten; see `_middle`.
    """

    tenths: int = 10
    no_op = False

    @property
    def token(self) -> str:
        """``x``, or ``x@1.4`` with 1.4 times the middle channels."""
        return _token("x", self.tenths)

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Where there are two halves."""
        return _fits(in_channels, out_channels, stride)

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add both halves and join them."""
        passed, y, rest = _halves(graph, x, out_channels, stride, 3)
        middle = _middle(out_channels, self.tenths)
        in_channels = graph.shape(y)[0]
        y = graph.conv_bn(y, "extra_first", in_channels, 3, stride, groups=in_channels)
        y = graph.conv_bn(y, "pw1", middle, activation="relu")
        y = graph.conv_bn(y, "dw", middle, 3, groups=middle)
        y = graph.conv_bn(y, "extra_between", middle, activation="relu")
        y = graph.conv_bn(y, "extra_last", middle, 3, groups=middle)
        y = graph.conv_bn(y, "pw2", rest, activation="relu")
        return graph.concat(passed, y)


@dataclass(frozen=True, slots=True)
class ShuffleStem:
    """3x3 convolution, batch-norm, ReLU."""

    token = "stem"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return True

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the convolution."""
        return graph.conv_bn(x, "stem", out_channels, 3, stride, activation="relu")


@dataclass(frozen=True, slots=True)
class ShuffleHead:
    """1x1 convolution to ``hidden`` channels, ReLU, global pooling, linear layer without bias."""

    hidden: int
    token = "head"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        """Always."""
        return stride == 1

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        """Add the head; ``out_channels`` are the classes."""
        x = graph.conv_bn(x, "conv", self.hidden, activation="relu")
        return graph.linear(graph.global_avg_pool(x), "classifier", out_channels, bias=False)


def _keeps_shape(in_channels: int, out_channels: int, stride: int) -> bool:
    return stride == 1 and in_channels == out_channels


def _fits(in_channels: int, out_channels: int, stride: int) -> bool:
    return out_channels > 1 and (
        in_channels % 2 == 0 or not _keeps_shape(in_channels, out_channels, stride)
    )


def _middle(out_channels: int, tenths: int) -> int:
    """Channels inside a unit: ``int((out // 2) * scale)`` in whole numbers, at least one."""
    return max(1, out_channels // 2 * tenths // 10)


def _halves(
    graph: Graph, x: int, out_channels: int, stride: int, kernel: int
) -> tuple[int, int, int]:
    """What passes by, what is worked on, and the channels that the work has to give."""
    in_channels = graph.shape(x)[0]
    if _keeps_shape(in_channels, out_channels, stride):
        passed, worked = graph.take(x, "passed", 0, 2), graph.take(x, "worked", 1, 2)
        return passed, worked, out_channels // 2
    with graph.scope("passed"):
        passed = graph.conv_bn(x, "dw", in_channels, kernel, stride, groups=in_channels)
        kept = min(in_channels, out_channels // 2)
        passed = graph.conv_bn(passed, "pw", kept, activation="relu")
    return passed, x, out_channels - kept


def _token(name: str, tenths: int) -> str:
    return name if tenths == 10 else f"{name}@{tenths // 10}.{tenths % 10}"
