"""ResNet-18 and -34 whose blocks choose bits and middle channels (Single Path One-Shot, table 6).

Bits and channels of a block cost together, so each block has one decision, whose choices are all
pairs of them.
"""

from collections.abc import Iterator, Sequence

from hwnas.errors import OptionError
from hwnas.ops import LinearHead, Op, QuantizedBasicBlock, ResNetStem
from hwnas.spaces.arguments import check_sizes, check_width_mult
from hwnas.spaces.chain import BlockSpec, chain, stages
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import kept_strides, scaled
from hwnas.spaces.space import SearchSpace

__all__ = ["ENTRY_18", "ENTRY_34", "resnet18_bits", "resnet34_bits", "resnet_bits_proxy"]

_CHOICES: tuple[Op, ...] = tuple(
    QuantizedBasicBlock(weight_bits, activation_bits, tenths)
    for weight_bits, activation_bits in ((1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4))
    for tenths in (5, 10, 15)
)


def resnet18_bits(
    input_size: int = 224,
    classes: int = 1000,
    *,
    width_mult: float = 1.0,
    stem_width: int = 64,
    stem_kernel: int = 7,
    stem_pool: bool = True,
    stage_widths: Sequence[int] = (64, 128, 256, 512),
    stage_depths: Sequence[int] = (2, 2, 2, 2),
    stem_stride: int = 2,
    stage_strides: Sequence[int] = (1, 2, 2, 2),
) -> SearchSpace:
    """Eight residual blocks, each with its own bits and channels.

    1 to 4 bits of weights, 2 or 4 of activations, and 0.5, 1 or 1.5
    times the channels in between. First and last layer stay floats.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier.
        width_mult: multiplies all widths, rounded to multiples of 8.
        stem_width, stage_widths: channels of the stem and of the stages.
        stem_kernel: of the first convolution.
        stem_pool: whether a 3x3 max-pooling of stride 2 follows it.
        stage_depths: blocks of each stage.
        stem_stride, stage_strides: strides of the stem and of each stage's first block.

    Raises:
        OptionError: sizes that are not whole or below 1, or stage arguments of different lengths.
    """
    return _resnet_bits("resnet18-bits", **locals())


def resnet34_bits(
    input_size: int = 224,
    classes: int = 1000,
    *,
    width_mult: float = 1.0,
    stem_width: int = 64,
    stem_kernel: int = 7,
    stem_pool: bool = True,
    stage_widths: Sequence[int] = (64, 128, 256, 512),
    stage_depths: Sequence[int] = (3, 4, 6, 3),
    stem_stride: int = 2,
    stage_strides: Sequence[int] = (1, 2, 2, 2),
) -> SearchSpace:
    """Sixteen residual blocks; everything else is as in `resnet18_bits`."""
    return _resnet_bits("resnet34-bits", **locals())


def resnet_bits_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A smaller network with the same decisions: narrower, and with fewer strides."""
    known = space.arguments
    strides = (known["stem_stride"], 1 + known["stem_pool"], *known["stage_strides"])
    stem, pool, *stages = kept_strides(strides, input_size, order=(3, 4, 0, 5, 1))
    changed = {
        "input_size": input_size,
        "classes": classes,
        "width_mult": known["width_mult"] * width_mult,
        "stem_kernel": known["stem_kernel"] if stem > 1 else 3,
        "stem_pool": pool > 1,
        "stem_stride": stem,
        "stage_strides": stages,
    }
    return _resnet_bits(space.name, **{**known, **changed})


def _resnet_bits(
    name: str,
    *,
    input_size: int,
    classes: int,
    width_mult: float,
    stem_width: int,
    stem_kernel: int,
    stem_pool: bool,
    stage_widths: Sequence[int],
    stage_depths: Sequence[int],
    stem_stride: int,
    stage_strides: Sequence[int],
) -> SearchSpace:
    sizes = {
        "input_size": input_size,
        "classes": classes,
        "stem_width": stem_width,
        "stem_kernel": stem_kernel,
        "stage_widths": list(stage_widths),
        "stage_depths": list(stage_depths),
        "stem_stride": stem_stride,
        "stage_strides": list(stage_strides),
    }
    check_sizes(name, sizes)
    check_width_mult(name, width_mult)
    if not len(stage_widths) == len(stage_depths) == len(stage_strides):
        raise OptionError(
            "stage_widths, stage_depths and stage_strides need one value a stage each, got "
            f"{len(stage_widths)}, {len(stage_depths)} and {len(stage_strides)}"
        )
    arguments = {**sizes, "width_mult": float(width_mult), "stem_pool": bool(stem_pool)}

    def specs() -> Iterator[BlockSpec]:
        stem = ResNetStem(stem_kernel, int(stem_pool))
        yield "stem", stem, scaled(stem_width, width_mult), stem_stride
        for block, channels, stride in stages(stage_widths, stage_depths, stage_strides):
            yield f"blocks.{block}", _CHOICES, scaled(channels, width_mult), stride
        yield "head", LinearHead(), classes, 1

    return SearchSpace(name, arguments, chain((3, input_size, input_size), specs()))


ENTRY_18 = SpaceEntry("resnet18-bits", resnet18_bits, resnet_bits_proxy)
ENTRY_34 = SpaceEntry("resnet34-bits", resnet34_bits, resnet_bits_proxy)
