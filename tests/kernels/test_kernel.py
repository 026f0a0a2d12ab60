import math

import numpy as np
import pytest

from hwnas.errors import UnknownNameError
from hwnas.kernels import NAMES, Kernel, Operand, features, parse_kernel, work

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
    moved = [4 * read, 4 * written, 4 * weights]
    windows = 4 * 4 * 16 * 3 * 3
    assert work(parse_kernel(DENSE)).tolist() == [macs, *moved, 0, 1, windows]
    for key, beyond, pieces in (
        ("Relu{}(1024x1024)->(1024x1024)", 2 * 4 * 2**20 - 2**20, 1),
        ("Add{}(2x3x4x5,w5)->(2x3x4x5)", 0, 2 * 3 * 4),
        ("Softmax{axis=-1}(2x3x5)->(2x3x5)", 0, 6),
        ("LSTM{}(7x1x5,w1x24x5,w1x24x6)->(7x1x1x6)", 0, 7),
        ("MatMul{}(2x3x4x5,2x3x5x6)->(2x3x4x6)", 0, 6),
        ("Concat{axis=1}(2x3x4,2x3x4)->(2x6x4)", 0, 4),
    ):
        assert work(parse_kernel(key))[4:].tolist() == [beyond, pieces, 0], key
    one = "Conv{group=1}(1x16x8x8,w32x16x1x1)->(1x32x8x8)"  # is a product as it is
    assert work(parse_kernel(one))[-1] == 0
    upwards = "ConvTranspose{group=1}(1x8x9x9,w8x5x2x2)->(1x5x18x18)"
    assert work(parse_kernel(upwards))[-1] == 9 * 9 * 5 * 4
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
    assert parse_kernel("Relu{}(int64:3)->(int64:3)").static
    for key in ("Relu{}(string:3)->(string:3)", "If{}(bool:1)->(3)", "Relu{}(0x3)->(0x3)"):
        assert not parse_kernel(key).static, key


def test_families_tell_bytes_apart_and_join_what_runs_the_same_code():
    families = {
        "QLinearConv{group=1}(uint8:1x3x8x8,w1,wuint8:1,wint8:8x3x3x3)->(uint8:1x8x6x6)":
            "QLinearConv dense int8",
        "Conv{group=8}(1x8x9x9,8x1x3x3)->(1x8x7x7)": "Conv depthwise",
        "ConvTranspose{group=8}(1x8x9x9,w8x1x2x2)->(1x8x10x10)": "ConvTranspose depthwise",
        "ConvTranspose{group=1}(1x8x9x9,w8x1x2x2)->(1x1x10x10)": "ConvTranspose dense",
        "QLinearConv{group=1}(int8:1x3x8x8,w1,wint8:1,wint8:8x3x3x3)->(int8:1x8x6x6)":
            "QLinearConv dense signed int8",
        "QLinearAdd{}(int8:3,w1,int8:3,w1)->(int8:3)": "QLinearAdd int8",
        "Softmax{axis=-1}(2x3x4)->(2x3x4)": "Softmax",
        "Softmax{axis=2}(2x3x4)->(2x3x4)": "Softmax",
        "Softmax{axis=1}(2x3x4)->(2x3x4)": "Softmax across",
        "Resize{mode=linear}(1x3x4x4,wint64:4)->(1x3x8x8)": "Resize",
        "Resize{mode=cubic}(1x3x4x4,wint64:4)->(1x3x8x8)": "Resize cubic",
        "Resize{mode=linear}(1x3x4x4,wint64:4)->(1x3x4x4)": "Cast",
        "Transpose{perm=1x0}(int8:2x3)->(int8:3x2)": "Transpose int8",
        "Transpose{perm=1x0}(int64:2x3)->(int64:3x2)": "Transpose",
        "Cast{}(uint8:3)->(3)": "Cast",
        "Mul{}(3,3)->(3)": "Add, Mul, Sub",
        "Relu{}(float16:3)->(float16:3)": "Relu half",
    }  # fmt: skip
    assert {key: parse_kernel(key).family for key in families} == families


def test_bytes_are_those_of_the_type_and_lookups_read_what_they_write():
    kernel = parse_kernel("Cast{}(int64:3)->(uint8:3)")
    assert (kernel.bytes_in, kernel.bytes_out) == (24, 3)
    words = parse_kernel("Gather{axis=0}(w8000x256,int64:1x7)->(1x7x256)")
    assert words.bytes_constant == 2 * 7 * 256 * 4
    assert words.positions == {1: 8000}
    assert parse_kernel("Gather{axis=-1}(3x5,int64:2)->(3x2)").positions == {1: 5}


def feature(key, name):
    return features(parse_kernel(key))[NAMES.index(name)]


def test_dilation_rows_and_runs_are_features():
    wide = "Conv{dilations=4x4,group=1}(1x3x9x9,w8x3x3x3)->(1x8x1x1)"
    assert feature(wide, "dilation") == pytest.approx(math.log(4))
    assert feature("Gemm{}(256x512,w512x8)->(256x8)", "rows") == pytest.approx(math.log(256))
    for key, run in (
        ("Transpose{perm=0x2x1x3}(1x5x6x7)->(1x6x5x7)", 7),
        ("Transpose{perm=1x0}(5x6)->(6x5)", 1),
        ("Transpose{perm=0x2x3x1}(1x1x5x6)->(1x5x6x1)", 30),  # only copies
        ("Transpose{perm=1x0x2}(5x1x6)->(1x5x6)", 30),
        ("Transpose{perm=0x2x1x3}(4x5x1x6)->(4x1x5x6)", 120),
        ("Softmax{axis=1}(2x3x4x5)->(2x3x4x5)", 20),
        ("Concat{axis=-1}(2x3,2x3)->(2x6)", 3),
        ("ReduceMean{axes=1,keepdims=0}(2x3x4x5)->(2x4x5)", 20),
        ("ReduceMean{axes=2x3,keepdims=1}(2x3x4x5)->(2x3x1x1)", 1),
        ("ReduceSum{keepdims=0}(2x3x4x5,wint64:1)->(2x3x4)", 1),
        ("Add{}(2x3x4x5,2x3x4x5)->(2x3x4x5)", 120),
        ("Add{}(2x3x4x5,w3x1x1)->(2x3x4x5)", 20),
        ("Add{}(2x3x4x5,w5)->(2x3x4x5)", 5),
        ("Add{}(2x3x4x5,w1)->(2x3x4x5)", 120),
        ("Add{}(6x2x4x5,w6x1x4x5)->(6x2x4x5)", 20),
        ("BatchNormalization{}(1x5x4x7,w5,w5,w5,w5)->(1x5x4x7)", 28),
        ("BatchNormalization{}(9x7,w7,w7,w7,w7)->(9x7)", 1),
    ):
        assert feature(key, "run") == pytest.approx(math.log(run)), key


def test_channels_that_lie_last_make_the_same_convolution():
    key = "QLinearConv{{{}group=1}}(uint8:{},w1,wuint8:1,wint8:8x3x3x3)->(uint8:{})"
    first = key.format("", "1x3x8x9", "1x8x6x7")
    last = key.format("channels_last=1,", "1x8x9x3", "1x6x7x8")
    one, other = parse_kernel(first), parse_kernel(last)
    assert (features(one) == features(other)).all()
    assert (work(one) == work(other)).all()
    assert work(one)[-1] == 6 * 7 * 3 * 9  # windows: an input's channels at every output


def test_how_much_of_a_window_lies_in_the_image():
    for key, share in (
        ("Conv{dilations=1x1}(1x3x8x8,w8x3x3x3)->(1x8x6x6)", 1),
        # of three columns the outer two lie beyond a map that is narrower than the dilation
        ("Conv{dilations=24x24}(1x3x14x14,w8x3x3x3)->(1x8x14x14)", 1 / 9),
        # at both ends one of three is missing, of ten places along an axis
        ("Conv{dilations=1,strides=1}(1x3x10,w8x3x3)->(1x8x10)", 28 / 30),
        ("Conv{dilations=1x1,strides=2x2}(1x3x4x4,w8x3x1x1)->(1x8x2x2)", 1),
        ("MatMul{}(2x3,3x4)->(2x4)", 1),
    ):
        assert feature(key, "window inside") == pytest.approx(math.log(share)), key


def test_channels_that_fill_no_vector_are_told():
    for channels, told in ((3, 1), (16, 0), (24, 0)):
        key = f"nchwc.Conv{{group=1}}(1x{channels}x8x8,w16x{channels}x1x1)->(1x16x8x8)"
        assert feature(key, "channels in no vector") == told


def test_attributes_of_a_stranger_are_numbers_or_nothing():
    for attribute in (
        *("axis=many", "perm=1x", "strides=1e9", "group=-", "dilations=x", "axis=-99"),
        *("perm=9x0", "perm=-9x0"),
    ):
        kernel = parse_kernel(f"Conv{{{attribute}}}(1x3x8x8,w8x3x3x3)->(1x8x6x6)")
        assert np.isfinite(features(kernel)).all()
        assert np.isfinite(features(parse_kernel(f"Softmax{{{attribute}}}(2x3)->(2x3)"))).all()
    assert parse_kernel("Softmax{axis=-1}(2x3)->(2x3)").numbers("axis") == (-1,)
    assert parse_kernel("Conv{strides=2x3}(1)->(1)").numbers("strides") == (2, 3)


def test_features_have_one_length_and_tell_what_matters():
    rows = [features(parse_kernel(key)) for key in (DENSE, DEPTHWISE, PRODUCT, "Relu{}(3)->(3)")]
    assert {len(row) for row in rows} == {len(NAMES)}
    for changed in ("activation=Relu,", ",strides=2x2"):
        other = parse_kernel(DENSE.replace(changed, ""))
        assert (features(other) != rows[0]).any(), changed
