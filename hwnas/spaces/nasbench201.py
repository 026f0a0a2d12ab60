"""NAS-Bench-201 (Dong and Yang, ICLR 2020): a cell of six edges, five operators each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hwnas.errors import OptionError
from hwnas.ops import (
    AvgPool,
    Classifier,
    Graph,
    Identity,
    Op,
    ReLUConvBN,
    ResidualReduction,
    Shape,
    Stem,
    Workload,
    Zero,
)
from hwnas.spaces.space import Decision, SearchSpace, check_sizes

__all__ = ["nasbench201"]

#: The benchmark's own names, in its own order.
_OPS: dict[str, Op] = {
    "none": Zero(),
    "skip_connect": Identity(),
    "nor_conv_1x1": ReLUConvBN(1),
    "nor_conv_3x3": ReLUConvBN(3),
    "avg_pool_3x3": AvgPool(3),
}
#: (to, from) of the edges, in the order in which architecture strings list them.
_EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))


@dataclass(frozen=True)
class _Cells:
    """Three stages of ``cells`` equal cells, with residual reductions between them."""

    input_shape: Shape
    classes: int
    channels: int
    cells: int

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(Decision(f"edge{to}{source}", tuple(_OPS.values())) for to, source in _EDGES)

    @cached_property
    def _stages(self) -> list[tuple[int, int, int]]:
        """Channels, height and width of each stage."""
        _, height, width = self.input_shape
        stages = []
        for stage in range(3):
            stages.append((self.channels * 2**stage, height, width))
            height, width = (height + 1) // 2, (width + 1) // 2
        return stages

    @cached_property
    def fixed_workloads(self) -> tuple[Workload, ...]:
        first, second, third = self._stages
        image = self.input_shape[0]
        return (
            Workload(Stem(3, relu6=0), image, first[0], 1, *first[1:]),
            Workload(ResidualReduction(), first[0], second[0], 2, *first[1:]),
            Workload(ResidualReduction(), second[0], third[0], 2, *second[1:]),
            Workload(Classifier(), third[0], self.classes, 1, *third[1:]),
        )

    def choice_workloads(self, decision: int, choice: int) -> tuple[Workload, ...]:
        op = tuple(_OPS.values())[choice]
        return tuple(
            Workload(op, channels, channels, 1, height, width)
            for channels, height, width in self._stages
            for _ in range(self.cells)
        )

    def emit(self, graph: Graph, arch: Sequence[int]) -> None:
        stem, *reductions, head = self.fixed_workloads
        with graph.scope("stem"):
            x = stem.op.emit(graph, 0, stem.out_channels, 1)
        for stage in range(3):
            for cell in range(self.cells):
                with graph.scope(f"stages.{stage}.{cell}"):
                    x = self._cell(graph, x, arch)
            if stage < 2:
                with graph.scope(f"reductions.{stage}"):
                    x = reductions[stage].op.emit(graph, x, reductions[stage].out_channels, 2)
        with graph.scope("head"):
            head.op.emit(graph, x, self.classes, 1)

    def _cell(self, graph: Graph, x: int, arch: Sequence[int]) -> int:
        states = [x]
        for target in (1, 2, 3):
            terms = []
            for (to, source), decision, choice in zip(_EDGES, self.decisions, arch, strict=True):
                if to == target:
                    with graph.scope(decision.name):
                        op = decision.choices[choice]
                        terms.append(op.emit(graph, states[source], graph.shape(x)[0], 1))
            with graph.scope(f"node{target}"):
                states.append(graph.add(*terms))
        return states[3]

    def parse(self, text: str) -> list[int]:
        pattern = r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|"
        match = re.fullmatch(pattern, text)
        if match is None:
            raise ValueError(f"it looks like {self.format([3, 1, 0, 2, 4, 3])}, got {text!r}")
        names = list(_OPS)
        unknown = [name for name in match.groups() if name not in names]
        if unknown:
            raise ValueError(f"an edge is one of {', '.join(names)}, got {unknown[0]!r}")
        return [names.index(name) for name in match.groups()]

    def format(self, arch: Sequence[int]) -> str:
        names = [list(_OPS)[choice] for choice in arch]
        nodes = (
            "|"
            + "".join(
                f"{name}~{source}|"
                for name, (to, source) in zip(names, _EDGES, strict=True)
                if to == node
            )
            for node in (1, 2, 3)
        )
        return "+".join(nodes)


def nasbench201(
    input_size: int = 32, classes: int = 10, *, channels: int = 16, cells: int = 5
) -> SearchSpace:
    """The benchmark's network: 3 stages of 5 cells at 16, 32 and 64 channels.

    The benchmark counts the classifier's bias as MACs; here MACs are ``classes`` fewer.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        channels: of the first stage.
        cells: in each stage.

    Raises:
        OptionError: sizes that are not whole or below 1, or an input that is no multiple of 4.
    """
    arguments = {
        "input_size": input_size,
        "classes": classes,
        "channels": channels,
        "cells": cells,
    }
    check_sizes("nasbench201", arguments)
    if input_size % 4:
        raise OptionError(f"input_size of nasbench201 is a multiple of 4, got {input_size}")
    layout = _Cells((3, input_size, input_size), classes, channels, cells)
    return SearchSpace("nasbench201", arguments, layout)
