"""What was measured, and in what a convolution lies outside of it."""

from dataclasses import dataclass

from hwnas.kernels.fused import ConvolutionShape

__all__ = ["MeasuredRange"]


@dataclass(frozen=True, slots=True)
class MeasuredRange:
    """The convolutions of a campaign: square, of regular or depthwise kinds.

    Attributes:
        batch, in_channels, out_channels, depthwise_channels, size: lowest and highest number.
        kernels, strides: every one that was measured, in order.
    """

    batch: tuple[int, int]
    in_channels: tuple[int, int]
    out_channels: tuple[int, int]
    depthwise_channels: tuple[int, int]
    size: tuple[int, int]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]

    def outside(self, shape: ConvolutionShape, batch: int) -> str | None:
        """The first thing that was not measured of a shape; None where there is nothing."""
        return next(filter(None, self._reasons(shape, batch)), None)

    def _reasons(self, shape: ConvolutionShape, batch: int) -> "tuple[str | None, ...]":
        rows, columns = shape.kernel
        down, across = shape.stride
        if shape.depthwise:
            channels = _beyond("channels", shape.in_channels, self.depthwise_channels)
        else:
            channels = _beyond("input channels", shape.in_channels, self.in_channels) or _beyond(
                "output channels", shape.out_channels, self.out_channels
            )
        expected = tuple(
            -(-size // step)
            for size, step in zip((shape.height, shape.width), shape.stride, strict=True)
        )
        square = (shape.height, shape.out_height) == (shape.width, shape.out_width)
        return (
            _beyond("batch", batch, self.batch),
            None
            if shape.groups == 1 or shape.depthwise
            else f"{shape.groups} groups: measured were regular and depthwise convolutions",
            _other("kernel", rows, columns, self.kernels),
            _other("stride", down, across, self.strides),
            "1x1 maps, a linear layer: estimated from smaller convolutions and its bytes"
            if shape.height == shape.width == 1
            else None,
            _beyond("size", min(shape.height, shape.width), self.size),
            _beyond("size", max(shape.height, shape.width), self.size),
            None if square else f"map {shape.height}x{shape.width}: measured were square ones",
            None
            if (shape.out_height, shape.out_width) == expected
            else f"map {shape.height}x{shape.width} to {shape.out_height}x{shape.out_width}: "
            "measured were paddings that keep the size",
            channels,
            "a residual is added to a depthwise convolution: measured were none"
            if shape.depthwise and shape.fused_add
            else None,
        )


def _beyond(what: str, got: int, measured: tuple[int, int]) -> str | None:
    low, high = measured
    if low <= got <= high:
        return None
    return f"{what} {got}: measured were {low} to {high}"


def _other(what: str, rows: int, columns: int, measured: tuple[int, ...]) -> str | None:
    if rows == columns and rows in measured:
        return None
    listed = ", ".join(map(str, measured))
    return f"{what} {rows}x{columns}: measured were {listed}"
