"""The search spaces of Single Path One-Shot (section 4, table 2): blocks, channels, and both.

A block's operator and the scale of its middle channels cost together: neither sum nor product of
one price each is right. They are therefore one decision, whose choices are the pairs; so whatever
is exact for sums over decisions (budgets, counts, sampling, expectations) is exact here.
"""

from collections.abc import Iterator, Sequence

from hwnas.errors import OptionError
from hwnas.ops import Op, ShuffleHead, ShuffleStem, ShuffleUnit, ShuffleXception
from hwnas.ops.divisible import divisible
from hwnas.spaces.arguments import check_sizes, check_width_mult
from hwnas.spaces.chain import BlockSpec, chain, stages
from hwnas.spaces.record import SpaceEntry
from hwnas.spaces.scaling import kept_strides, scaled
from hwnas.spaces.space import SearchSpace

__all__ = ["CHANNEL_SCALES", "ENTRY", "shufflenet", "shufflenet_proxy"]

#: The paper's scales of the middle channels (section 4, channel search).
CHANNEL_SCALES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
_BLOCKS = ("3", "5", "7", "x")


def shufflenet(
    input_size: int = 224,
    classes: int = 1000,
    *,
    width_mult: float = 1.0,
    scales: Sequence[float] = (1.0,),
    blocks: str | None = None,
    stem_width: int = 16,
    stage_widths: Sequence[int] = (64, 160, 320, 640),
    head_width: int = 1024,
    stage_depths: Sequence[int] = (4, 4, 8, 4),
    stem_stride: int = 2,
    stage_strides: Sequence[int] = (2, 2, 2, 2),
) -> SearchSpace:
    """20 choice blocks: units of ShuffleNetV2 with kernel 3, 5 or 7, or three separable ones.

    Args:
        input_size: height and width of the RGB input, pixels.
        classes: outputs of the classifier, which has no bias.
        width_mult: multiplies the widths of the stages, rounded to multiples of 8.
        scales: of the middle channels, tenths from 0.1 to 9.9: what each block may choose beside
            its operator.
        blocks: the operator of each block, such as ``3-5-x-7-...``, or one token for all blocks;
            then only scales are searched. By default each block chooses among ``3``, ``5``, ``7``
            and ``x``. Scales in the tokens (``3@1.4``) are ignored.
        stem_width, stage_widths, head_width: channels of the stem, of the stages, of the last
            convolution.
        stage_depths: choice blocks of each stage.
        stem_stride, stage_strides: strides of the stem and of each stage's first block.

    Raises:
        OptionError: sizes that are not whole or below 1, stages that do not widen, scales that are
            not tenths, or unknown blocks.
    """
    sizes = {
        "input_size": input_size,
        "classes": classes,
        "stem_width": stem_width,
        "stage_widths": list(stage_widths),
        "head_width": head_width,
        "stage_depths": list(stage_depths),
        "stem_stride": stem_stride,
        "stage_strides": list(stage_strides),
    }
    check_sizes("shufflenet", sizes)
    check_width_mult("shufflenet", width_mult)
    if not len(stage_widths) == len(stage_depths) == len(stage_strides):
        raise OptionError(
            "stage_widths, stage_depths and stage_strides need one value a stage each, got "
            f"{len(stage_widths)}, {len(stage_depths)} and {len(stage_strides)}"
        )
    tenths = _tenths(scales)
    names = _names(blocks, sum(stage_depths))
    arguments = {
        **sizes,
        "width_mult": float(width_mult),
        "scales": [t / 10 for t in tenths],
        "blocks": None if blocks is None else "-".join(name for (name,) in names),
    }

    def specs() -> Iterator[BlockSpec]:
        yield "stem", ShuffleStem(), stem_width, stem_stride
        for block, channels, stride in stages(stage_widths, stage_depths, stage_strides):
            ops = [_operator(name, t) for name in names[block] for t in tenths]
            yield f"blocks.{block}", ops, scaled(channels, width_mult), stride
        yield "head", ShuffleHead(head_width), classes, 1

    return SearchSpace("shufflenet", arguments, chain((3, input_size, input_size), specs()))


def shufflenet_proxy(
    space: SearchSpace, input_size: int, classes: int, width_mult: float
) -> SearchSpace:
    """A smaller network with the same decisions: narrower, and with fewer strides."""
    strides = (space.arguments["stem_stride"], *space.arguments["stage_strides"])
    # a stage halves before the stem does, and the first stages before the last
    stem, *stages = kept_strides(strides, input_size, order=(1, 2, 3, 0, 4))
    changed = {
        "input_size": input_size,
        "classes": classes,
        "width_mult": space.arguments["width_mult"] * width_mult,
        "stem_width": min(space.arguments["stem_width"], 8),
        "head_width": divisible(space.arguments["head_width"] * width_mult),
        "stem_stride": stem,
        "stage_strides": stages,
    }
    return shufflenet(**{**space.arguments, **changed})


def _operator(name: str, tenths: int) -> Op:
    return ShuffleXception(tenths) if name == "x" else ShuffleUnit(int(name), tenths)


def _tenths(scales: Sequence[float]) -> list[int]:
    """The scales times ten, as integers."""
    tenths = [round(10 * scale) for scale in scales if isinstance(scale, int | float)]
    exact = len(tenths) == len(scales) and all(
        1 <= t <= 99 and t / 10 == scale for t, scale in zip(tenths, scales, strict=True)
    )
    if not tenths or not exact or len(set(tenths)) != len(tenths):
        raise OptionError(
            f"scales of shufflenet are different tenths from 0.1 to 9.9, got {list(scales)!r}"
        )
    return tenths


def _names(blocks: str | None, count: int) -> list[tuple[str, ...]]:
    """The operators that each block may choose."""
    if blocks is None:
        return [_BLOCKS] * count
    tokens = [token.partition("@")[0] for token in blocks.split("-")]
    tokens = tokens * count if len(tokens) == 1 else tokens
    wrong = [token for token in tokens if token not in _BLOCKS]
    if wrong or len(tokens) != count:
        raise OptionError(
            f"blocks of shufflenet are {count} of {', '.join(_BLOCKS)} joined by '-', or one for "
            f"all, got {wrong[0] if wrong else len(tokens)!r} in {blocks!r}"
        )
    return [(token,) for token in tokens]


#: On digits, random paths of the proxy were right on 81 % of the images after 400 steps of 64 at a
#: learning rate of 1e-2, and at chance after 150 at 2e-3.
ENTRY = SpaceEntry(
    "shufflenet", shufflenet, shufflenet_proxy, base_lr=1e-2, channel_scales=CHANNEL_SCALES
)
