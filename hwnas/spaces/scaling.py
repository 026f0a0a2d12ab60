"""How networks are made wider or narrower, and which strides and cells a proxy keeps."""

import math
from collections.abc import Sequence

from hwnas.ops.divisible import divisible
from hwnas.spaces.space import SearchSpace

__all__ = ["PROXY_CELLS", "fewer_strides", "kept_strides", "narrowed", "scaled"]

#: Cells of a proxy whose cells share their decisions: three normal ones around two reductions.
PROXY_CELLS = 5


def kept_strides(strides: Sequence[int], input_size: int, order: Sequence[int]) -> list[int]:
    """Keep as many strides as bring ``input_size`` down to about 4 pixels; the others become 1.

    Args:
        strides: of the full network.
        input_size: pixels.
        order: positions in ``strides``, those to keep first at the front.

    Returns:
        A list of the same length.
    """
    halvings = max(0, round(math.log2(max(input_size, 1) / 4)))
    kept = set(order[:halvings])
    return [stride if at in kept else 1 for at, stride in enumerate(strides)]


def scaled(channels: int, width_mult: float) -> int:
    """Channels times a factor, rounded to a multiple of 8 unless the factor is 1."""
    return channels if width_mult == 1 else divisible(channels * width_mult)


def narrowed(space: SearchSpace, width_mult: float) -> int:
    """The argument ``channels`` of a space, `scaled`."""
    return scaled(space.arguments["channels"], width_mult)


def fewer_strides(
    stem_stride: int, stage_strides: Sequence[int], input_size: int
) -> tuple[int, list[int]]:
    """`kept_strides` of a stem, and of each stage's first block.

    The stem's is kept first, then that of the second stage with a stride above 1, of the first one
    and of all later ones.
    """
    strided = [at for at, stride in enumerate(stage_strides, 1) if stride > 1]
    order = [*([0] if stem_stride > 1 else []), *strided[1:2], *strided[:1], *strided[2:]]
    stem, *stages = kept_strides((stem_stride, *stage_strides), input_size, order)
    return stem, stages
