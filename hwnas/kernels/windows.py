"""Convolutions and products of any rank as convolutions of maps, with the same arithmetic."""

from math import ceil, prod

from hwnas.kernels.fused import ConvolutionShape
from hwnas.kernels.steps import Step

__all__ = ["is_window", "product_shape", "window_shape"]


def is_window(step: Step) -> bool:
    """Whether sizes and attributes of a convolution fit each other."""
    read, written, weights = step.read[0], step.written[0], step.constants[0]
    if read is None or written is None or weights is None or len(weights) < 3:
        return False
    rank, groups = len(weights) - 2, step.number("group", 1)
    windows = (step.ints("strides", (1,) * rank), step.ints("dilations", (1,) * rank))
    ends = (read[1], written[1]) if len(read) == len(written) == rank + 2 else (1, 1)
    return (
        len(read) == len(written) == rank + 2
        and all(len(sizes) == rank and min(sizes) > 0 for sizes in windows)
        and groups > 0
        and not any(channels % groups for channels in ends)
    )


def window_shape(step: Step) -> tuple[ConvolutionShape, str]:
    """A convolution of one image, and what is unusual in it; sizes fit, see `is_window`.

    One dimension is a column; of three the first two are one after the other. A transposed
    convolution is the convolution to ``stride`` times as many channels that gives the same pixels.
    """
    read, written, weights = step.read[0], step.written[0], step.constants[0]
    assert read is not None
    assert written is not None
    assert weights is not None
    rank = len(weights) - 2
    stride = step.ints("strides", (1,) * rank)
    dilation = step.ints("dilations", (1,) * rank)
    groups = step.number("group", 1)
    window = weights[2:]
    pixels, result = read[2:], written[2:]
    remark = "" if rank == 2 else f"it has {rank} dimensions"
    channels, out = read[1], written[1]
    if max(dilation) > 1:
        remark = f"its kernel is dilated {'x'.join(map(str, dilation))}"
    if step.op == "ConvTranspose":
        remark = "it is transposed"
        window = tuple(ceil(k / s) for k, s in zip(window, stride, strict=True))
        out *= prod(stride)
        result, stride = pixels, (1,) * rank
    return (
        ConvolutionShape(
            channels,
            out,
            *_plane(pixels),
            *_plane(result),
            _plane(window),
            _plane(stride),
            groups,
        ),
        remark,
    )


def product_shape(step: Step, batch: int) -> ConvolutionShape | None:
    """A product of matrices: rows are pixels, several products of an image are groups.

    None where it is no product of two known matrices.
    """
    read, written = step.read[0], step.written[0]
    if read is None or not written or not read:
        return None
    of_weights = len(step.inputs) == 1 and step.constants and step.constants[0]
    if of_weights:
        weights = step.constants[0]
        assert weights is not None
        out = written[-1]
        inner = prod(weights) // max(out, 1)
        pixels = max(prod(written) // (out * batch), 1)
        return ConvolutionShape(inner, out, pixels, 1, pixels, 1)
    if len(written) < 2:
        return None
    inner, rows, columns = read[-1], written[-2], written[-1]
    several = max(prod(written[:-2]) // batch, 1)
    return ConvolutionShape(inner * several, columns * several, rows, 1, rows, 1, groups=several)


def _plane(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Sizes of any number of dimensions as rows and columns."""
    if len(sizes) == 1:
        return sizes[0], 1
    return prod(sizes[:-1]), sizes[-1]
