"""Every operator family keeps the promises of `check_op`, and `check_op` sees broken ones."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwnas.ops
from hwnas.errors import UnknownNameError
from hwnas.ops import (
    FAMILIES,
    AvgPool,
    Classifier,
    ConvHead,
    DilConv,
    FactorizedReduction,
    FBNetBlock,
    FBNetHead,
    FBNetSkip,
    FBNetStem,
    Graph,
    Identity,
    LinearHead,
    MaxPool,
    MBConv,
    MeanPool,
    MobileNetV3Block,
    MobileNetV3Head,
    MobileNetV3Stem,
    Op,
    QuantizedBasicBlock,
    ReLUConvBN,
    ResidualReduction,
    ResNetStem,
    SepConv,
    ShuffleHead,
    ShuffleStem,
    ShuffleUnit,
    ShuffleXception,
    Stem,
    Workload,
    Zero,
    parse_workload,
)
from hwnas.testing.ops import check_op, count_macs

#: Operators with shapes: in channels, out channels, stride, height, width.
CASES: list[tuple[Op, list[tuple[int, int, int, int, int]]]] = [
    (MBConv(3, 1), [(6, 6, 1, 5, 7), (6, 4, 1, 6, 6), (3, 5, 2, 7, 4)]),
    (MBConv(5, 3), [(4, 4, 1, 5, 3), (4, 4, 2, 9, 9), (1, 2, 1, 1, 1)]),
    (MBConv(7, 6), [(3, 3, 1, 7, 8), (3, 4, 2, 5, 5)]),
    (Identity(), [(4, 4, 1, 5, 3), (4, 5, 1, 5, 3), (4, 4, 2, 5, 3)]),
    (Zero(), [(4, 4, 1, 5, 3), (4, 5, 1, 5, 3), (4, 4, 2, 5, 3)]),
    (AvgPool(3), [(4, 4, 1, 5, 3), (4, 4, 2, 5, 4), (4, 5, 1, 5, 3)]),
    (ReLUConvBN(1), [(4, 4, 1, 5, 3), (4, 6, 1, 1, 1)]),
    (ReLUConvBN(3), [(4, 4, 1, 5, 3), (4, 6, 2, 5, 4)]),
    (ResidualReduction(), [(4, 8, 2, 6, 4), (4, 8, 1, 6, 4)]),
    (SepConv(3), [(4, 4, 1, 5, 3), (4, 6, 2, 5, 4), (3, 5, 1, 1, 1)]),
    (SepConv(5), [(4, 4, 2, 6, 6), (2, 2, 1, 3, 3)]),
    (DilConv(3), [(4, 4, 1, 5, 3), (4, 6, 2, 5, 4), (3, 5, 1, 1, 1)]),
    (DilConv(5), [(4, 4, 2, 6, 7), (2, 2, 1, 3, 3)]),
    (MaxPool(3), [(4, 4, 1, 5, 3), (4, 4, 2, 5, 4), (4, 6, 1, 5, 3)]),
    (MaxPool(3, 1), [(4, 4, 1, 5, 3), (4, 4, 2, 5, 4)]),
    (MeanPool(3), [(4, 4, 1, 5, 3), (4, 4, 2, 5, 4), (4, 6, 1, 5, 3)]),
    (MeanPool(3, 1), [(4, 4, 1, 5, 3), (4, 4, 2, 5, 4)]),
    (FactorizedReduction(), [(4, 6, 2, 4, 6), (3, 2, 2, 2, 2), (4, 3, 2, 4, 4), (4, 4, 1, 4, 4)]),
    (ShuffleUnit(3), [(8, 8, 1, 5, 3), (6, 10, 2, 5, 4), (6, 6, 2, 4, 4), (7, 7, 1, 3, 3)]),
    (ShuffleUnit(7, 14), [(20, 20, 1, 5, 3), (6, 20, 1, 5, 4), (3, 1, 2, 4, 4)]),
    (ShuffleXception(), [(8, 8, 1, 5, 3), (6, 10, 2, 5, 4), (6, 4, 1, 4, 4), (7, 7, 1, 3, 3)]),
    (ShuffleXception(2), [(20, 20, 1, 5, 3), (6, 20, 2, 5, 4), (2, 2, 1, 3, 3)]),
    (ShuffleStem(), [(3, 8, 2, 9, 8), (3, 8, 1, 5, 5)]),
    (ShuffleHead(10), [(6, 4, 1, 3, 2), (6, 4, 2, 3, 2)]),
    (QuantizedBasicBlock(1, 2, 5), [(6, 6, 1, 5, 4), (6, 8, 2, 7, 6)]),
    (QuantizedBasicBlock(4, 4, 15), [(6, 6, 1, 5, 4), (6, 8, 1, 7, 6)]),
    (ResNetStem(), [(3, 8, 2, 9, 8)]),
    (ResNetStem(3, 0), [(3, 8, 1, 5, 5)]),
    (LinearHead(), [(6, 4, 1, 3, 2), (6, 4, 2, 3, 2)]),
    (Stem(3), [(3, 8, 2, 9, 8), (3, 8, 1, 5, 5)]),
    (Stem(3, relu6=0), [(3, 8, 1, 5, 5)]),
    (ConvHead(10), [(6, 4, 1, 3, 2), (6, 4, 2, 3, 2)]),
    (FBNetBlock(3, 1, 1), [(6, 6, 1, 5, 7), (6, 4, 2, 6, 6)]),
    (FBNetBlock(5, 1, 2), [(4, 4, 1, 5, 3), (4, 6, 2, 5, 4), (3, 4, 1, 5, 3), (4, 3, 1, 5, 3)]),
    (FBNetBlock(5, 6, 1), [(3, 3, 1, 7, 8), (3, 4, 2, 5, 5)]),
    (FBNetSkip(), [(4, 5, 1, 5, 3), (4, 4, 2, 5, 3), (4, 4, 1, 5, 3)]),
    (FBNetStem(3), [(3, 8, 2, 9, 8), (3, 8, 1, 5, 5)]),
    (FBNetHead(10), [(6, 4, 1, 3, 2), (6, 4, 2, 3, 2)]),
    (MobileNetV3Block(3, 1, 0, 0), [(6, 6, 1, 5, 7), (6, 4, 2, 6, 6)]),
    (MobileNetV3Block(5, 3, 1, 0), [(4, 4, 1, 5, 3), (4, 6, 2, 5, 4)]),
    (MobileNetV3Block(7, 6, 1, 1), [(3, 3, 1, 7, 8), (3, 4, 2, 5, 5)]),
    (MobileNetV3Stem(3), [(3, 8, 2, 9, 8), (3, 8, 1, 5, 5)]),
    (MobileNetV3Head(6, 10), [(6, 4, 1, 3, 2), (6, 4, 2, 3, 2)]),
    (Classifier(), [(6, 4, 1, 3, 2), (6, 4, 2, 3, 2)]),
]


def test_every_family_is_checked() -> None:
    assert {type(op) for op, _ in CASES} == set(FAMILIES.values())


@pytest.mark.parametrize(("op", "shapes"), CASES, ids=lambda case: str(case)[:30])
def test_family_keeps_its_promises(op: Op, shapes: list[tuple[int, int, int, int, int]]) -> None:
    check_op(op, *shapes)


@settings(max_examples=15, deadline=None)
@given(
    st.builds(MBConv, st.sampled_from([3, 5, 7]), st.sampled_from([1, 2, 3, 6])),
    st.tuples(
        st.integers(1, 6),
        st.integers(1, 6),
        st.integers(1, 2),
        st.integers(1, 9),
        st.integers(1, 9),
    ),
)
def test_bottleneck_keeps_its_promises_at_any_shape(
    op: MBConv, shape: tuple[int, int, int, int, int]
) -> None:
    check_op(op, shape)


@dataclass(frozen=True, slots=True)
class Plain:
    """A 1x1 convolution: a sound operator, from which the broken ones below differ in one thing."""

    width: int = 1
    token = "plain"
    no_op = False

    def fits(self, in_channels: int, out_channels: int, stride: int) -> bool:
        return stride == 1

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        return graph.conv(x, "conv", out_channels)


class ReadsTheInput(Plain):
    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        return graph.conv(0, "conv", out_channels)


class ReturnsAnEarlierNode(Plain):
    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        y = graph.conv(x, "conv", out_channels)
        graph.activation(y, "relu")
        return y


class SharesNames(Plain):
    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        return graph.conv(graph.conv(x, "conv", out_channels), "conv", out_channels)


class CallsItselfFree(Plain):
    no_op = True


class HasABlankInItsToken(Plain):
    token = "a plain one"


class Mutable:
    token = "mutable"
    no_op = False


@dataclass(frozen=True, slots=True)
class TakesText(Plain):
    width: str = "wide"  # type: ignore[assignment]


class Remembers(Plain):
    calls = 0

    def emit(self, graph: Graph, x: int, out_channels: int, stride: int) -> int:
        Remembers.calls += 1
        return graph.conv(x, f"conv{Remembers.calls}", out_channels)


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for family in (Plain, *Plain.__subclasses__()):
        monkeypatch.setitem(hwnas.ops.FAMILIES, family.__name__, family)


@pytest.mark.usefixtures("_registered")
def test_sound_operator_passes() -> None:
    check_op(Plain(), (3, 4, 1, 5, 5), (3, 4, 2, 5, 5))


@pytest.mark.usefixtures("_registered")
@pytest.mark.parametrize(
    ("op", "complaint"),
    [
        (ReadsTheInput(), "inside a network it is"),
        (ReturnsAnEarlierNode(), "emit returned node 2, but the last node it added is 3"),
        (SharesNames(), "nodes share the names conv"),
        (CallsItselfFree(), "is free, but costs"),
        (HasABlankInItsToken(), "the token of"),
        (Mutable(), "is not a dataclass"),
        (TakesText(), "width of .* is not an integer"),
        (Remembers(), "two graphs of it differ"),
    ],
    ids=lambda case: type(case).__name__,
)
def test_broken_operator_is_seen(op: Op, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_op(op, (3, 4, 1, 5, 5))


def test_operator_outside_the_families_is_known_by_itself() -> None:
    key = Workload(Plain(), 3, 4, 1, 5, 5).key
    with pytest.raises(UnknownNameError, match="unknown operator 'Plain"):
        parse_workload(key)
    assert parse_workload(key, {"Plain": Plain}).key == key
    check_op(Plain(), (3, 4, 1, 5, 5))


def test_operator_with_the_name_of_one_that_ships_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hwnas.ops.FAMILIES, "Plain", FAMILIES["Stem"])
    with pytest.raises(AssertionError, match="is that of a family that ships"):
        check_op(Plain(), (3, 4, 1, 5, 5))


@pytest.mark.usefixtures("_registered")
def test_operator_without_a_fitting_shape_is_seen() -> None:
    with pytest.raises(AssertionError, match="fits none of"):
        check_op(Plain(), (3, 4, 2, 5, 5))


@pytest.mark.usefixtures("_registered")
def test_wrong_formula_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hwnas.costs.counting.MACS, "conv", lambda node, source: 7)
    with pytest.raises(AssertionError, match="7 MACs counted, the module does 300"):
        check_op(Plain(), (3, 4, 1, 5, 5))  # 3 * 4 * 5 * 5 = 300


@pytest.mark.usefixtures("_registered")
def test_wrong_onnx_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(model: bytes, x: np.ndarray) -> np.ndarray:
        return np.zeros((len(x), 4, 5, 5), np.float32)

    monkeypatch.setattr(hwnas.testing.ops, "run_onnx", zeros)
    with pytest.raises(AssertionError, match="ONNX and torch differ by"):
        check_op(Plain(), (3, 4, 1, 5, 5))


def test_macs_are_counted_from_what_runs() -> None:
    import torch
    from torch import nn

    module = nn.Sequential(
        nn.Conv2d(4, 6, 3, 2, padding=1, groups=2), nn.Flatten(), nn.Linear(24, 5)
    )
    macs, y = count_macs(module, torch.zeros(3, 4, 4, 4))
    assert macs == 6 * 2 * 9 * (2 * 2) + 24 * 5
    assert y.shape == (3, 5)
