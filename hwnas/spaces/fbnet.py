"""The search space of FBNet (Wu et al., CVPR 2019, tables 1 and 2)."""

from collections.abc import Iterator, Sequence

from hwnas.errors import OptionError
from hwnas.ops import FBNetBlock, FBNetHead, FBNetSkip, FBNetStem, Identity, Op
from hwnas.ops.divisible import divisible
from hwnas.spaces.arguments import check_sizes, check_width_mult
from hwnas.spaces.chain import BlockSpec, chain, stages
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import fewer_strides
from hwnas.spaces.space import SearchSpace

__all__ = ["ENTRY", "fbnet", "fbnet_proxy"]

#: The blocks of table 2, in the order in which public measurements number them; then ``skip``.
_BLOCKS: tuple[Op, ...] = tuple(
    FBNetBlock(kernel, expand, groups)
    for kernel in (3, 5)
    for expand, groups in ((1, 1), (1, 2), (3, 1), (6, 1))
)
_STEM_WIDTH = 16
_WIDTHS = (16, 24, 32, 64, 112, 184, 352)
_DEPTHS = (1, 4, 4, 4, 4, 4, 1)


def fbnet(
    input_size: int = 224,
    classes: int = 1000,
    *,
    width_mult: float = 1.0,
    head_width: int = 1984,
    stem_stride: int = 2,
    stage_strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
) -> SearchSpace:
    """22 blocks of nine operators: kernel 3 or 5 with expansion 1 (in one or two groups), 3 or 6.

    The ninth, ``skip``, is in every block; where the shape changes a 1x1 convolution stands for it.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        width_mult: multiplies all widths but the head's, rounded as MobileNetV2 does.
        head_width: channels of the last convolution; 1984, and 1504 in FBNet-A.
        stem_stride, stage_strides: strides of the stem and of the first block of the seven stages.

    Raises:
        OptionError: sizes that are not whole or below 1, or not seven strides.
    """
    sizes = {
        "input_size": input_size,
        "classes": classes,
        "head_width": head_width,
        "stem_stride": stem_stride,
        "stage_strides": list(stage_strides),
    }
    check_sizes("fbnet", sizes)
    check_width_mult("fbnet", width_mult)
    if len(stage_strides) != len(_WIDTHS):
        raise OptionError(f"stage_strides of fbnet are {len(_WIDTHS)}, got {len(stage_strides)}")

    def specs() -> Iterator[BlockSpec]:
        before = divisible(_STEM_WIDTH * width_mult)
        yield "stem", FBNetStem(3), before, stem_stride
        for block, width, stride in stages(_WIDTHS, _DEPTHS, stage_strides):
            channels = divisible(width * width_mult)
            same = Identity().fits(before, channels, stride)
            ops = (*_BLOCKS, Identity() if same else FBNetSkip())
            yield f"blocks.{block}", ops, channels, stride
            before = channels
        yield "head", FBNetHead(head_width), classes, 1

    arguments = {**sizes, "width_mult": float(width_mult)}
    return SearchSpace("fbnet", arguments, chain((3, input_size, input_size), specs()))


def fbnet_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A smaller network with the same choices, to train where the full one would take days.

    It keeps the strides that `fewer_strides` keeps; the head is narrowed as well.
    """
    deployed = space.arguments
    stem_stride, stage_strides = fewer_strides(
        deployed["stem_stride"], deployed["stage_strides"], input_size
    )
    return fbnet(
        input_size,
        classes,
        width_mult=deployed["width_mult"] * width_mult,
        head_width=divisible(deployed["head_width"] * width_mult),
        stem_stride=stem_stride,
        stage_strides=stage_strides,
    )


ENTRY = SpaceEntry("fbnet", fbnet, fbnet_proxy)
