"""The MobileNetV3 search space of once-for-all (Cai et al., ICLR 2020, section 3.1)."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.errors import ArchitectureError, OptionError
from hwnas.ops import Identity, MobileNetV3Block, MobileNetV3Head, MobileNetV3Stem, Op
from hwnas.ops.divisible import divisible
from hwnas.spaces.arguments import check_sizes, check_width_mult
from hwnas.spaces.chain import BlockSpec, chain
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import fewer_strides
from hwnas.spaces.space import SearchSpace

__all__ = ["ENTRY", "ofa", "ofa_columns", "ofa_proxy"]

_KERNELS = (3, 5, 7)
_EXPANSIONS = (3, 4, 6)
_STEM_WIDTH = 16
_FIRST_WIDTH = 16
_WIDTHS = (24, 40, 80, 112, 160)
_SE = (0, 1, 0, 1, 1)
_HSWISH = (0, 0, 1, 1, 1)
_DEPTH = 4  # blocks a stage
_SHALLOWEST = 2  # of which the rest may be skipped
_SKIP = len(_KERNELS) * len(_EXPANSIONS)  # the choice behind all blocks


def ofa(
    input_size: int = 224,
    classes: int = 1000,
    *,
    width_mult: float = 1.0,
    mid_width: int = 960,
    head_width: int = 1280,
    stem_stride: int = 2,
    stage_strides: Sequence[int] = (2, 2, 2, 1, 2),
) -> SearchSpace:
    """Five stages of two to four blocks with kernel 3, 5 or 7 and expansion 3, 4 or 6.

    The third and fourth block of a stage may be skipped. Squeeze-and-excitation in the stages 2, 4
    and 5, ReLU in the first two and h-swish in the others, as in MobileNetV3-Large.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        width_mult: multiplies the widths up to the last stage, rounded as MobileNetV2 does.
        mid_width, head_width: channels of the last convolution and of the layer behind the pooling.
        stem_stride, stage_strides: strides of the stem and of the first block of the five stages.

    Raises:
        OptionError: sizes that are not whole or below 1, or not five strides.
    """
    sizes = {
        "input_size": input_size,
        "classes": classes,
        "mid_width": mid_width,
        "head_width": head_width,
        "stem_stride": stem_stride,
        "stage_strides": list(stage_strides),
    }
    check_sizes("ofa", sizes)
    check_width_mult("ofa", width_mult)
    if len(stage_strides) != len(_WIDTHS):
        raise OptionError(f"stage_strides of ofa are {len(_WIDTHS)}, got {len(stage_strides)}")

    def specs() -> Iterator[BlockSpec]:
        yield "stem", MobileNetV3Stem(3), divisible(_STEM_WIDTH * width_mult), stem_stride
        yield "first", MobileNetV3Block(3, 1, 0, 0), divisible(_FIRST_WIDTH * width_mult), 1
        block = 0
        for width, first_stride, se, hswish in zip(
            _WIDTHS, stage_strides, _SE, _HSWISH, strict=True
        ):
            blocks: list[Op] = [
                MobileNetV3Block(kernel, expand, se, hswish)
                for expand in _EXPANSIONS
                for kernel in _KERNELS
            ]
            for at in range(_DEPTH):
                ops = blocks if at < _SHALLOWEST else [*blocks, Identity()]
                stride = first_stride if at == 0 else 1
                yield f"blocks.{block}", ops, divisible(width * width_mult), stride
                block += 1
        yield "head", MobileNetV3Head(mid_width, head_width), classes, 1

    arguments = {**sizes, "width_mult": float(width_mult)}
    return SearchSpace("ofa", arguments, chain((3, input_size, input_size), specs()))


def ofa_proxy(space: SearchSpace, input_size: int, classes: int, width_mult: float) -> SearchSpace:
    """A smaller network with the same choices, to train where the full one would take days.

    It keeps the strides that `fewer_strides` keeps; the ends are narrowed as well.
    """
    deployed = space.arguments
    stem_stride, stage_strides = fewer_strides(
        deployed["stem_stride"], deployed["stage_strides"], input_size
    )
    return ofa(
        input_size,
        classes,
        width_mult=deployed["width_mult"] * width_mult,
        mid_width=divisible(deployed["mid_width"] * width_mult),
        head_width=divisible(deployed["head_width"] * width_mult),
        stem_stride=stem_stride,
        stage_strides=stage_strides,
    )


def ofa_columns(space: SearchSpace, archs: npt.ArrayLike) -> IntArray:
    """Architectures in the columns of public measurements, an int64 array (n, 46).

    Kernel and expansion of each of the 20 layers, 0 where there is none; the depths of the 5
    stages; the resolution, pixels. The blocks of a stage that are kept move to its front: behind
    the first block all have the same shapes, so that the network is the same.

    Args:
        space: an ``ofa`` space.
        archs: (n, 20).

    Raises:
        ArchitectureError: not architectures of an ``ofa`` space.
    """
    if space.name != "ofa":
        raise ArchitectureError(f"columns are known for the space ofa, got {space.name}")
    stages = space.check(archs).reshape(-1, len(_WIDTHS), _DEPTH)
    kept = stages != _SKIP
    stages = np.take_along_axis(stages, np.argsort(~kept, axis=2, kind="stable"), axis=2)
    layers = stages.reshape(len(stages), -1)
    kernels = np.array([*_KERNELS * len(_EXPANSIONS), 0])[layers]
    expansions = np.array([*np.repeat(_EXPANSIONS, len(_KERNELS)), 0])[layers]
    pairs = np.stack([kernels, expansions], axis=2).reshape(len(layers), -1)
    resolution = np.full((len(layers), 1), space.input_shape[1])
    return np.concatenate([pairs, kept.sum(2), resolution], axis=1).astype(np.int64)


ENTRY = SpaceEntry("ofa", ofa, ofa_proxy, columns=ofa_columns)
