"""What a convolution is read as: arithmetic."""

import numpy as np
import pytest

from hwnas.kernels.fused import ConvolutionShape
from hwnas.predictors.tensorrt.features import RATES, columns_of, roofline_ms
from hwnas.predictors.tensorrt.measured_range import MeasuredRange
from hwnas.predictors.tensorrt.squares import squares_of

REGULAR = ConvolutionShape(64, 128, 28, 28, 14, 14, (3, 3), (2, 2))
DEPTHWISE = ConvolutionShape(96, 96, 28, 28, 28, 28, (5, 5), groups=96)
RANGE = MeasuredRange(
    batch=(1, 128),
    in_channels=(3, 4096),
    out_channels=(8, 2560),
    depthwise_channels=(8, 2560),
    size=(5, 480),
    kernels=(1, 3, 5, 7),
    strides=(1, 2),
)


def test_a_measured_convolution_stays_as_it_is():
    c = squares_of([REGULAR, DEPTHWISE], 32)
    assert c.images.tolist() == [32, 32]
    assert c.in_channels.tolist() == [64, 96]
    assert c.out_channels.tolist() == [128, 96]
    assert (c.side.tolist(), c.out_side.tolist()) == ([28, 28], [14, 28])
    assert (c.kernel.tolist(), c.stride.tolist()) == ([3, 5], [2, 1])
    assert (c.depthwise.tolist(), c.fused_add.tolist()) == ([False, True], [False, False])


@pytest.mark.parametrize(
    "shape",
    [
        ConvolutionShape(48, 96, 8, 32, 4, 16, (1, 7), (2, 2)),
        ConvolutionShape(64, 128, 16, 16, 16, 16, (3, 3), groups=4),
        ConvolutionShape(512, 1000, 1, 1, 1, 1),
        REGULAR,
    ],
)
def test_what_stands_for_a_shape_does_as_many_macs_and_moves_as_much(shape):
    c = squares_of([shape], 32)
    macs = c.images * c.out_side**2 * c.out_channels * c.in_channels * c.kernel**2
    np.testing.assert_allclose(macs, 32 * shape.macs)
    read, written = c.images * c.side**2 * c.in_channels, c.images * c.out_side**2 * c.out_channels
    np.testing.assert_allclose(read, 32 * shape.in_channels * shape.height * shape.width)
    np.testing.assert_allclose(
        written, 32 * shape.out_channels * shape.out_height * shape.out_width
    )


def test_images_of_one_pixel_are_pixels_of_one_image():
    linear = squares_of([ConvolutionShape(512, 1000, 1, 1, 1, 1)], 64)
    image = squares_of([ConvolutionShape(512, 1000, 8, 8, 8, 8)], 1)
    assert (linear.images, linear.side) == (image.images, image.side)


def test_the_roofline_is_a_launch_and_the_slower_of_arithmetic_and_memory():
    slow = ConvolutionShape(512, 512, 64, 64, 64, 64, (3, 3))
    rates = RATES["fp32"]
    macs = 8 * 64**2 * 512 * 512 * 9
    found = roofline_ms(squares_of([slow], 8), rates, 0.01)
    np.testing.assert_allclose(found, 0.01 + macs / (5120 * 1.53e6), rtol=0.01)  # cores x clock

    added = ConvolutionShape(16, 16, 64, 64, 64, 64, fused_add=True)
    moved = 4 * (8 * 64**2 * 16 * 3 + 16 * 16)  # input, residual, output; weights
    found = roofline_ms(squares_of([added], 8), rates, 0.01)
    np.testing.assert_allclose(found, 0.01 + moved / 900e6)


def test_columns_are_finite_numbers_however_odd_a_shape_is():
    odd = ConvolutionShape(1, 1, 1, 1, 1, 1, (1, 1), (4, 4))
    huge = ConvolutionShape(50_000, 50_000, 2000, 1, 2000, 1, (31, 1), groups=50_000)
    for precision, rates in RATES.items():
        columns = columns_of(squares_of([odd, huge, REGULAR], 1), rates, 0.01)
        assert np.isfinite(columns).all(), precision


@pytest.mark.parametrize(
    ("shape", "batch", "reason"),
    [
        (REGULAR, 32, None),
        (DEPTHWISE, 128, None),
        (REGULAR, 129, "batch 129: measured were 1 to 128"),
        (ConvolutionShape(64, 64, 28, 28, 28, 28, (9, 9)), 1, "kernel 9x9: measured were 1, 3, 5"),
        (ConvolutionShape(64, 64, 28, 28, 28, 28, (1, 7)), 1, "kernel 1x7: measured were 1, 3, 5"),
        (ConvolutionShape(3, 64, 224, 224, 56, 56, (7, 7), (4, 4)), 1, "stride 4x4: measured"),
        (ConvolutionShape(64, 64, 28, 28, 28, 28, groups=2), 1, "2 groups: measured were regular"),
        (ConvolutionShape(64, 4, 28, 28, 28, 28), 1, "output channels 4: measured were 8 to 2560"),
        (ConvolutionShape(2, 64, 28, 28, 28, 28), 1, "input channels 2: measured were 3 to 4096"),
        (ConvolutionShape(4, 4, 28, 28, 28, 28, groups=4), 1, "channels 4: measured were 8 to"),
        (ConvolutionShape(64, 64, 28, 14, 28, 14), 1, "map 28x14: measured were square"),
        (ConvolutionShape(64, 64, 512, 512, 512, 512), 1, "size 512: measured were 5 to 480"),
        (ConvolutionShape(64, 64, 28, 28, 26, 26, (3, 3)), 1, "28x28 to 26x26: measured were padd"),
        (ConvolutionShape(512, 1000, 1, 1, 1, 1), 1, "1x1 maps, a linear layer"),
        (
            ConvolutionShape(64, 64, 28, 28, 28, 28, (3, 3), groups=64, fused_add=True),
            *(1, "a residual is added to a depthwise convolution"),
        ),
    ],
)
def test_what_lies_outside_says_why(shape, batch, reason):
    found = RANGE.outside(shape, batch)
    assert found is None if reason is None else found.startswith(reason) or reason in found
