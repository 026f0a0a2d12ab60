"""An operator family that hwnas does not have: the fire module of SqueezeNet."""

from dataclasses import dataclass

from hwnas.ops import Graph


@dataclass(frozen=True, slots=True)
class Fire:
    """1x1 to ``1 / squeeze`` of the output, then 1x1 and ``kernel`` x ``kernel`` side by side."""

    squeeze: int
    kernel: int
    no_op = False

    @property
    def token(self) -> str:
        return f"f{self.squeeze}k{self.kernel}"

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        return out_channels % (2 * self.squeeze) == 0

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        y = graph.conv_bn(x, "squeeze", out_channels // self.squeeze, activation="relu")
        half = out_channels // 2
        near = graph.conv_bn(y, "near", half, 1, stride, activation="relu")
        wide = graph.conv_bn(y, "wide", half, self.kernel, stride, activation="relu")
        return graph.concat(near, wide)
