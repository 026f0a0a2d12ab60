"""An operator at fixed shapes: what a profiler measures and a latency table holds."""

import re
from dataclasses import dataclass

from hwnas.errors import OptionError, UnknownNameError
from hwnas.ops.graph import Graph
from hwnas.ops.op import Op, op_key, parse_op

__all__ = ["Workload", "parse_workload"]


@dataclass(frozen=True, slots=True)
class Workload:
    """An operator with its channels, stride and input height and width (pixels)."""

    op: Op
    in_channels: int
    out_channels: int
    stride: int
    height: int
    width: int

    def __post_init__(self) -> None:
        sizes = (self.in_channels, self.out_channels, self.stride, self.height, self.width)
        if min(sizes) < 1:
            raise OptionError(f"a workload's sizes are at least 1, got {sizes}")
        if not self.op.fits(self.in_channels, self.out_channels, self.stride):
            raise OptionError(f"the operator does not exist at these shapes: {self.key}")

    @property
    def key(self) -> str:
        """One stable line: ``MBConv(kernel=5,expand=3) in=24 out=40 stride=2 size=56x56``."""
        return (
            f"{op_key(self.op)} in={self.in_channels} out={self.out_channels} "
            f"stride={self.stride} size={self.height}x{self.width}"
        )

    def graph(self) -> Graph:
        """The workload alone: one input, the operator, one output."""
        graph = Graph((self.in_channels, self.height, self.width))
        self.op.emit(graph, 0, self.out_channels, self.stride)
        return graph


def parse_workload(key: str, families: dict[str, type[Op]]) -> Workload:
    """The workload that ``Workload.key`` printed.

    Raises:
        UnknownNameError: the key is not one, or not letter by letter what `Workload.key` prints.
        OptionError: the operator does not exist at these shapes.
    """
    number = r"(0|[1-9]\d{0,8})"
    pattern = rf"(\S+) in={number} out={number} stride={number} size={number}x{number}"
    match = re.fullmatch(pattern, key, re.ASCII)
    if match is None:
        raise UnknownNameError("workload", key, ["OP in=N out=N stride=N size=HxW"])
    return Workload(parse_op(match[1], families), *(int(group) for group in match.groups()[1:]))
