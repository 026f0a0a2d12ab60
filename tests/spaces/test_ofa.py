"""The ofa space: its shapes, and the columns of public measurements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwnas.spaces
from hwnas.errors import ArchitectureError, OptionError
from hwnas.ops import Identity
from hwnas.spaces.ofa import ofa_columns
from hwnas.testing.ops import run_onnx

SPACE = hwnas.spaces.space("ofa", input_size=160)
BLOCKS = [f"k{kernel}e{expand}" for expand in (3, 4, 6) for kernel in (3, 5, 7)]
LARGEST = np.array([8, 8, 8, 8] * 5)
SMALLEST = np.array([0, 0, 9, 9] * 5)


def test_the_last_two_blocks_of_a_stage_may_be_skipped() -> None:
    for at, decision in enumerate(SPACE.decisions):
        tokens = [op.token for op in decision.choices]
        assert tokens == (BLOCKS if at % 4 < 2 else [*BLOCKS, "skip"])
    assert SPACE.size == (9**2 * 10**2) ** 5


def test_shapes_of_the_network() -> None:
    stem, first, head, *blocks = SPACE.workloads(LARGEST)
    assert (stem.out_channels, stem.height, stem.stride) == (16, 160, 2)
    assert (first.in_channels, first.out_channels, first.height, first.stride) == (16, 16, 80, 1)
    assert (head.in_channels, head.out_channels, head.height) == (160, 1000, 5)
    sizes = [(24, 40), (40, 20), (80, 10), (112, 10), (160, 5)]
    outputs = [(w.out_channels, w.height // w.stride) for w in blocks]
    assert outputs == [size for size in sizes for _ in range(4)]


def test_activations_and_gates_are_those_of_mobilenetv3() -> None:
    for arch in (LARGEST, SMALLEST):
        for at, workload in enumerate(SPACE.workloads(arch)[3:]):
            if not isinstance(workload.op, Identity):
                assert workload.op.hswish == (at // 4 >= 2)  # type: ignore[attr-defined]
                assert workload.op.se == (at // 4 in (1, 3, 4))  # type: ignore[attr-defined]


def test_smallest_network_by_hand() -> None:
    macs = 3 * 9 * 16 * 80**2 + (9 * 16 + 16 * 16) * 80**2  # stem and first block
    params = (3 * 9 * 16 + 32) + (9 * 16 + 32) + (16 * 16 + 32)
    channels, size = 16, 80
    for width, stride, se in ((24, 2, 0), (40, 2, 1), (80, 2, 0), (112, 1, 1), (160, 2, 1)):
        for step in (stride, 1):
            mid = 3 * channels
            # a fourth of mid, to a multiple of 8: 18, 30, 60, 84 and 120
            hidden = {72: 24, 120: 32, 240: 64, 336: 88, 480: 120}[mid] if se else 0
            macs += (channels * mid) * size**2
            size //= step
            macs += (9 * mid + mid * width) * size**2 + se * 2 * mid * hidden
            params += channels * mid + 9 * mid + mid * width + 2 * (2 * mid + width)
            params += se * (2 * mid * hidden + mid + hidden)
            channels = width
    macs += 160 * 960 * 5**2 + 960 * 1280 + 1280 * 1000
    params += 160 * 960 + 2 * 960 + (960 + 1) * 1280 + (1280 + 1) * 1000
    assert SPACE.macs(SMALLEST).tolist() == [macs]
    assert SPACE.params(SMALLEST).tolist() == [params]


def test_columns_by_hand() -> None:
    tokens = ["k3e3", "k7e6", "skip", "k5e4"] + ["k3e4", "k5e6", "skip", "skip"] * 4
    (row,) = ofa_columns(SPACE, SPACE.parse("-".join(tokens)))
    first = [3, 3, 7, 6, 5, 4, 0, 0]  # the fourth block moved to the third place
    others = [3, 4, 5, 6, 0, 0, 0, 0]
    assert row.tolist() == [*first, *others * 4, 3, 2, 2, 2, 2, 160]


def architectures_of(columns: np.ndarray) -> np.ndarray:
    """What kernels and expansions of columns say, by the tokens of the space."""
    pairs = columns[:, :40].reshape(-1, 20, 2).tolist()
    tokens = [["skip" if kernel == 0 else f"k{kernel}e{e}" for kernel, e in row] for row in pairs]
    return np.stack([SPACE.parse("-".join(row)) for row in tokens])


def test_moving_blocks_to_the_front_leaves_the_network_as_it_is() -> None:
    archs = SPACE.sample(50, seed=0)
    moved = architectures_of(ofa_columns(SPACE, archs))
    assert (moved != archs).any()
    for cost in ("macs", "params", "bytes"):
        assert np.array_equal(SPACE.cost(cost)(moved), SPACE.cost(cost)(archs))
    for one, other in zip(archs, moved, strict=True):
        kept = [
            [w for w in SPACE.workloads(a) if not isinstance(w.op, Identity)] for a in (one, other)
        ]
        assert kept[0] == kept[1]


stages = st.lists(st.integers(0, 8), min_size=2, max_size=4).map(lambda s: s + [9] * (4 - len(s)))


@settings(deadline=None)
@given(st.lists(st.tuples(*[stages] * 5), min_size=1, max_size=4))
def test_columns_read_back(rows: list[tuple[list[int], ...]]) -> None:
    archs = np.array([[choice for stage in row for choice in stage] for row in rows])
    columns = ofa_columns(SPACE, archs)
    assert columns.shape == (len(rows), 46)
    assert np.array_equal(architectures_of(columns), archs)


def test_columns_of_another_space_are_refused() -> None:
    other = hwnas.spaces.space("proxyless", input_size=32)
    with pytest.raises(ArchitectureError, match="for the space ofa, got proxyless"):
        ofa_columns(other, other.sample(1, seed=0))


@pytest.mark.parametrize("halvings", range(6))
def test_proxy_has_the_same_choices_and_ends_at_4_pixels(halvings: int) -> None:
    small = hwnas.spaces.proxy(SPACE, 4 * 2**halvings, 10, 0.5)
    assert small.decisions == SPACE.decisions
    head = small.workloads(LARGEST)[2]
    assert (head.height, head.width, head.out_channels) == (4, 4, 10)
    assert small.macs(LARGEST)[0] < SPACE.macs(LARGEST)[0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"stage_strides": [2] * 6}, "stage_strides of ofa are 5, got 6"),
        ({"width_mult": -1}, "width_mult of ofa .*got -1"),
        ({"mid_width": 0}, "mid_width of ofa .*got 0"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        hwnas.spaces.space("ofa", **arguments)


def test_int8_model_is_written_for_gates_and_hard_activations() -> None:
    space = hwnas.spaces.space("ofa", input_size=16, classes=3, width_mult=0.25, mid_width=16)
    model = space.to_onnx(SMALLEST, precision="int8")
    assert np.isfinite(run_onnx(model, np.ones((1, 3, 16, 16), np.float32))).all()
