"""Workload keys: readable, stable, and safe to read from any file."""

from dataclasses import fields

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwnas.errors import HwnasError, OptionError, UnknownNameError
from hwnas.ops import (
    FAMILIES,
    Classifier,
    Identity,
    MBConv,
    Op,
    ResidualReduction,
    ShuffleUnit,
    ShuffleXception,
    Workload,
    Zero,
    parse_workload,
)

sizes = st.integers(1, 2000)


def ops() -> st.SearchStrategy[Op]:
    """Any operator of any family."""
    return st.sampled_from(sorted(FAMILIES)).flatmap(
        lambda name: st.builds(
            FAMILIES[name], **{f.name: st.integers(1, 9) for f in fields(FAMILIES[name])}
        )
    )


@given(ops(), sizes, sizes, st.integers(1, 2), sizes, sizes)
def test_key_reads_back(op: Op, inp: int, out: int, stride: int, height: int, width: int) -> None:
    if not op.fits(inp, out, stride):
        out = inp if op.fits(inp, inp, stride) else out
        stride = 2 if isinstance(op, ResidualReduction) else 1
        out = inp if isinstance(op, (Zero, Identity)) else out
        if isinstance(op, (ShuffleUnit, ShuffleXception)):  # an odd number, or one channel
            inp = out = 2 * inp
    assume(op.fits(inp, out, stride))
    workload = Workload(op, inp, out, stride, height, width)
    assert parse_workload(workload.key) == workload


def test_key_is_one_readable_line() -> None:
    workload = Workload(MBConv(kernel=5, expand=3), 24, 40, 2, 56, 28)
    assert workload.key == "MBConv(kernel=5,expand=3) in=24 out=40 stride=2 size=56x28"
    assert Workload(Classifier(), 64, 10, 1, 8, 8).key == (
        "Classifier() in=64 out=10 stride=1 size=8x8"
    )


@pytest.mark.parametrize(
    "op",
    [
        "__import__('os').system('true')",
        "__import__(os=1)",
        "eval(kernel=3)",
        "MBConv(kernel=__import__,expand=3)",
        "MBConv(kernel=3,expand=1+2)",
        "MBConv(kernel=3,expand=-3)",
        "MBConv(kernel=3)",
        "MBConv(expand=3,kernel=3)",
        "MBConv(kernel=3,expand=3,kernel=5)",
        "MBConv(kernel=3,expand=3,)",
        "MBConv(kernel=03,expand=3)",
        "MBConv(kernel=\N{ARABIC-INDIC DIGIT THREE},expand=3)",
        "MBConv(kernel=" + "3" * 5000 + ",expand=3)",
        "MBConv",
        "MBConv()",
        "Workload()",
        "Graph(input_shape=3)",
        "",
    ],
    ids=lambda key: key[:40],
)
def test_hostile_operator_is_refused(op: str) -> None:
    with pytest.raises(UnknownNameError, match="choose one of"):
        parse_workload(f"{op} in=24 out=24 stride=1 size=8x8")


@pytest.mark.parametrize(
    "rest",
    [
        "",
        " in=24",
        " in=24 out=24 stride=1 size=8",
        " in=24 out=24 stride=1 size=8x8 ",
        " in=24 out=24 stride=1 size=8x8\n",
        "  in=24 out=24 stride=1 size=8x8",
        " in=-24 out=24 stride=1 size=8x8",
        " in=24.0 out=24 stride=1 size=8x8",
        " in=024 out=24 stride=1 size=8x8",
        " in=\N{ARABIC-INDIC DIGIT THREE} out=24 stride=1 size=8x8",
        " in=" + "3" * 5000 + " out=24 stride=1 size=8x8",
        " out=24 in=24 stride=1 size=8x8",
    ],
)
def test_damaged_sizes_are_refused(rest: str) -> None:
    with pytest.raises(UnknownNameError, match="choose one of"):
        parse_workload("MBConv(kernel=3,expand=3)" + rest)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_our_error(text: str) -> None:
    try:
        workload = parse_workload(text)
    except HwnasError:
        return
    assert workload.key == text


@pytest.mark.parametrize("size", ["in=0 out=24", "in=24 out=0"])
def test_sizes_are_at_least_one(size: str) -> None:
    with pytest.raises(OptionError, match="at least 1"):
        parse_workload(f"MBConv(kernel=3,expand=3) {size} stride=1 size=8x8")


@pytest.mark.parametrize(
    ("op", "inp", "out", "stride"),
    [(Identity(), 8, 16, 1), (Zero(), 8, 8, 2), (ResidualReduction(), 8, 16, 1)],
)
def test_operator_that_does_not_fit_is_refused(op: Op, inp: int, out: int, stride: int) -> None:
    with pytest.raises(OptionError, match=r"does not exist at these shapes: \w+\(\) in=8"):
        Workload(op, inp, out, stride, 4, 4)


@pytest.mark.parametrize(
    "key",
    [
        "MBConv(kernel=0,expand=3) in=4 out=4 stride=1 size=8x8",
        "MBConv(kernel=4,expand=3) in=4 out=4 stride=1 size=8x8",
        "MBConv(kernel=3,expand=0) in=4 out=4 stride=1 size=8x8",
        "ConvHead(hidden=0) in=4 out=4 stride=1 size=8x8",
        "ResidualReduction() in=4 out=4 stride=2 size=7x8",
    ],
)
def test_operator_of_impossible_layers_is_an_error_not_a_wrong_cost(key: str) -> None:
    with pytest.raises(OptionError, match=r"kernel|channels|sum"):
        parse_workload(key).graph()
