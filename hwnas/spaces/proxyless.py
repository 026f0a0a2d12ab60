"""The chain of mobile bottlenecks of MnasNet, ProxylessNAS and BetaNAS (section 4.1)."""

from collections.abc import Iterator, Sequence

from hwnas.errors import OptionError
from hwnas.ops import ConvHead, Identity, MBConv, Op, Stem
from hwnas.ops.divisible import divisible
from hwnas.spaces.arguments import check_sizes, check_width_mult
from hwnas.spaces.chain import BlockSpec, chain, stages
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import fewer_strides, scaled
from hwnas.spaces.space import SearchSpace

__all__ = ["ENTRY", "proxyless", "proxyless_proxy"]

_BOTTLENECKS: tuple[Op, ...] = tuple(
    MBConv(kernel, expand) for expand in (3, 6) for kernel in (3, 5, 7)
)
_STRIDES = (2, 2, 2, 1, 2, 1)
_DEPTHS = (4, 4, 4, 4, 4, 1)


def proxyless(
    input_size: int = 224,
    classes: int = 1000,
    *,
    width_mult: float = 1.0,
    stem_width: int = 32,
    first_width: int = 16,
    stage_widths: Sequence[int] = (24, 40, 80, 96, 192, 320),
    head_width: int = 1280,
    stage_depths: Sequence[int] = _DEPTHS,
    stem_stride: int = 2,
    stage_strides: Sequence[int] = _STRIDES,
    skippable: Sequence[bool] | None = None,
) -> SearchSpace:
    """MBConv with kernel 3, 5 or 7 and expansion 3 or 6 in each block, or none where shapes allow.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        width_mult: multiplies all widths, rounded to multiples of 8 as MobileNetV2 does; the head
            is not made narrower than ``head_width``.
        stem_width, first_width, stage_widths, head_width: channels of the stem, of the fixed first
            bottleneck, of the stages, of the last convolution.
        stage_depths: choice blocks of each stage.
        stem_stride, stage_strides: strides of the stem and of each stage's first block.
        skippable: for each choice block whether the identity may be chosen; by default where
            stride is 1 and the channels are equal.

    Raises:
        OptionError: sizes that are not whole or below 1, stage arguments of different lengths, or
            an identity where shapes do not allow it.
    """
    sizes = {
        "input_size": input_size,
        "classes": classes,
        "stem_width": stem_width,
        "first_width": first_width,
        "stage_widths": list(stage_widths),
        "head_width": head_width,
        "stage_depths": list(stage_depths),
        "stem_stride": stem_stride,
        "stage_strides": list(stage_strides),
    }
    check_sizes("proxyless", sizes)
    check_width_mult("proxyless", width_mult)
    if not len(stage_widths) == len(stage_depths) == len(stage_strides):
        raise OptionError(
            "stage_widths, stage_depths and stage_strides need one value a stage each, got "
            f"{len(stage_widths)}, {len(stage_depths)} and {len(stage_strides)}"
        )
    if skippable is not None and len(skippable) != sum(stage_depths):
        raise OptionError(
            f"skippable needs one value for each of {sum(stage_depths)} choice blocks, got "
            f"{len(skippable)}"
        )
    arguments = {
        **sizes,
        "width_mult": float(width_mult),
        "skippable": None if skippable is None else [bool(s) for s in skippable],
    }

    def specs() -> Iterator[BlockSpec]:
        yield "stem", Stem(3), scaled(stem_width, width_mult), stem_stride
        before = scaled(first_width, width_mult)
        yield "first", MBConv(3, 1), before, 1
        for block, width, stride in stages(stage_widths, stage_depths, stage_strides):
            channels = scaled(width, width_mult)
            skip = Identity().fits(before, channels, stride)
            if skippable is not None:
                skip = skippable[block]
            ops = (*_BOTTLENECKS, Identity()) if skip else _BOTTLENECKS
            yield f"blocks.{block}", ops, channels, stride
            before = channels
        head = divisible(head_width * width_mult) if width_mult > 1 else head_width
        yield "head", ConvHead(head), classes, 1

    return SearchSpace("proxyless", arguments, chain((3, input_size, input_size), specs()))


def proxyless_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A smaller network with the same decisions, to train where the full one would take days.

    It keeps the strides that `fewer_strides` keeps; the head is narrowed as well.
    """
    stem_stride, stage_strides = fewer_strides(
        space.arguments["stem_stride"], space.arguments["stage_strides"], input_size
    )
    changed = {
        "input_size": input_size,
        "classes": classes,
        "width_mult": space.arguments["width_mult"] * width_mult,
        "head_width": divisible(space.arguments["head_width"] * width_mult),
        "stem_stride": stem_stride,
        "stage_strides": stage_strides,
        "skippable": [Identity() in decision.choices for decision in space.decisions],
    }
    return proxyless(**{**space.arguments, **changed})


ENTRY = SpaceEntry("proxyless", proxyless, proxyless_proxy)
