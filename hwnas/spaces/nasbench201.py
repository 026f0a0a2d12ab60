"""NAS-Bench-201 (Dong and Yang, ICLR 2020): a cell of six edges, five operators each."""

import re
from collections.abc import Sequence

from hwnas.errors import OptionError
from hwnas.ops import AvgPool, Classifier, Identity, Op, ReLUConvBN, ResidualReduction, Stem, Zero
from hwnas.spaces.arguments import check_sizes
from hwnas.spaces.cells import Cells, Ends, Strings
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import narrowed
from hwnas.spaces.space import SearchSpace

__all__ = ["ENTRY", "nasbench201", "nasbench201_proxy"]

#: The benchmark's own names, in its own order.
_OPS: dict[str, Op] = {
    "none": Zero(),
    "skip_connect": Identity(),
    "nor_conv_1x1": ReLUConvBN(1),
    "nor_conv_3x3": ReLUConvBN(3),
    "avg_pool_3x3": AvgPool(3),
}
#: (from, to) of the edges, in the order in which architecture strings list them.
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_ENDS = Ends(Stem(3, relu6=0), ResidualReduction(), Classifier())


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
    layout = Cells(
        (3, input_size, input_size),
        classes,
        channels=(channels, 2 * channels, 4 * channels),
        cells=cells,
        edges=_EDGES,
        ops=tuple(_OPS.values()),
        ends=_ENDS,
        strings=Strings(_parse, _format),
    )
    return SearchSpace("nasbench201", arguments, layout)


def nasbench201_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A smaller network with the same decisions: one cell a stage, and narrower."""
    return nasbench201(input_size, classes, channels=narrowed(space, width_mult), cells=1)


def _parse(text: str) -> list[int]:
    pattern = r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|"
    match = re.fullmatch(pattern, text)
    if match is None:
        raise ValueError(f"it looks like {_format([3, 1, 0, 2, 4, 3])}, got {text!r}")
    names = list(_OPS)
    unknown = [name for name in match.groups() if name not in names]
    if unknown:
        raise ValueError(f"an edge is one of {', '.join(names)}, got {unknown[0]!r}")
    return [names.index(name) for name in match.groups()]


def _format(arch: Sequence[int]) -> str:
    names = [list(_OPS)[choice] for choice in arch]
    nodes = (
        "|"
        + "".join(
            f"{name}~{source}|"
            for name, (source, to) in zip(names, _EDGES, strict=True)
            if to == node
        )
        for node in (1, 2, 3)
    )
    return "+".join(nodes)


#: Of five supernets that were trained for half a minute, accuracies rank 150 networks at chance
#: (Kendall -0.15 to 0.25), separations at 0.56 to 0.64.
ENTRY = SpaceEntry("nasbench201", nasbench201, nasbench201_proxy, rank_by="separation")
