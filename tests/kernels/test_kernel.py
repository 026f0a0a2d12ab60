import pytest

from hwnas.errors import UnknownNameError
from hwnas.kernels import Kernel, Operand, features, parse_kernel, work

DENSE = "nchwc.Conv{activation=Relu,group=1,strides=2x2}(1x16x8x8,w32x16x3x3,w32)->(1x32x4x4)"
DEPTHWISE = "nchwc.Conv{group=32}(1x32x8x8,w32x1x3x3,w32)->(1x32x8x8)"
PRODUCT = "Gemm{transA=0,transB=1}(1x20,w10x20,w10)->(1x10)"


@pytest.mark.parametrize(
    "key", [DENSE, DEPTHWISE, PRODUCT, "Relu{}(?)->(?)", "Shape{}(3)->(int64:1)"]
)
def test_a_key_reads_back(key):
    assert parse_kernel(key).key == key


@pytest.mark.parametrize(
    "key", ["", "Conv", "Conv{}()", DENSE + " ", DENSE.replace("16x8", "016x8"), "Relu{}(ax3)->(1)"]
)
def test_what_is_no_key_is_refused(key):
    with pytest.raises(UnknownNameError, match="unknown kernel"):
        parse_kernel(key)


def test_work_is_counted_from_shapes():
    macs = 32 * 4 * 4 * 16 * 3 * 3
    read, written, weights = 16 * 8 * 8, 32 * 4 * 4, 32 * 16 * 3 * 3 + 32
    assert work(parse_kernel(DENSE)).tolist() == [macs, 4 * read, 4 * written, 4 * weights]
    assert parse_kernel(DEPTHWISE).macs == 32 * 8 * 8 * 3 * 3
    assert parse_kernel(PRODUCT).macs == 20 * 10
    assert parse_kernel("MatMul{}(1x4x7x8,1x4x8x9)->(1x4x7x9)").macs == 4 * 7 * 8 * 9


def test_families_tell_convolutions_apart():
    assert parse_kernel(DENSE).family == "nchwc.Conv dense"
    assert parse_kernel(DEPTHWISE).family == "nchwc.Conv depthwise"
    grouped = "Conv{group=4}(1x32x8x8,w32x8x3x3)->(1x32x6x6)"
    assert parse_kernel(grouped).family == "Conv grouped"
    assert parse_kernel(PRODUCT).family == "Gemm"


def test_views_are_free_and_unknown_shapes_are_seen():
    view = Kernel("Reshape", (), (Operand((1, 8)), Operand((2,), "int64", True)), (Operand((8,)),))
    assert view.no_op
    assert not parse_kernel(DENSE).no_op
    assert parse_kernel(DENSE).static
    assert not parse_kernel("Relu{}(?)->(?)").static
    assert not parse_kernel("Relu{}(int64:3)->(int64:3)").static


def test_features_have_one_length_and_tell_what_matters():
    rows = [features(parse_kernel(key)) for key in (DENSE, DEPTHWISE, PRODUCT, "Relu{}(3)->(3)")]
    assert len({len(row) for row in rows}) == 1
    for changed in ("activation=Relu,", ",strides=2x2"):
        other = parse_kernel(DENSE.replace(changed, ""))
        assert (features(other) != rows[0]).any(), changed
