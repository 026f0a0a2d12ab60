"""The proxyless space, by its published description."""

import numpy as np
import pytest

import hwnas.spaces
from hwnas.errors import ArchitectureError, OptionError
from hwnas.ops import Identity, MBConv

SPACE = hwnas.spaces.space("proxyless")
GOOD = "-".join(["k3e3"] * 21)


def test_size() -> None:
    # 6 blocks change shape and offer 3 kernels x 2 expansions; 15 also offer the identity
    assert SPACE.size == 6**6 * 7**15
    first = [0, 4, 8, 12, 16, 20]
    assert SPACE.n_choices == tuple(6 if d in first else 7 for d in range(21))


def test_choices() -> None:
    tokens = [op.token for op in SPACE.decisions[1].choices]
    assert sorted(tokens) == ["k3e3", "k3e6", "k5e3", "k5e6", "k7e3", "k7e6", "skip"]
    assert [op.token for op in SPACE.decisions[0].choices] == tokens[:6]


def test_shapes_of_the_network() -> None:
    workloads = SPACE.workloads(SPACE.parse(GOOD))
    shapes = [(w.in_channels, w.out_channels, w.stride, w.height) for w in workloads]
    stem, first, head, *blocks = shapes
    assert stem == (3, 32, 2, 224)
    assert first == (32, 16, 1, 112)
    assert head == (320, 1000, 1, 7)
    expected = []
    channels, size = 16, 112
    for width, depth, stride in zip(
        (24, 40, 80, 96, 192, 320), (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1), strict=True
    ):
        for step in [stride] + [1] * (depth - 1):
            expected.append((channels, width, step, size))
            channels, size = width, size // step
    assert blocks == expected


def test_workloads_to_profile() -> None:
    # 6 candidates for each stage's first block, and for the equal blocks behind it in five stages
    assert len(SPACE.distinct_workloads) == 6 * (6 + 5) + len(["stem", "first", "head"])


def test_skipped_blocks_are_free_of_workloads_and_cost() -> None:
    full = SPACE.parse(GOOD)
    skipped = SPACE.parse(GOOD.replace("k3e3-k3e3-k3e3-k3e3", "k3e3-skip-skip-k3e3", 1))
    # two MBConv at 24 channels and 56 x 56
    block = (24 * 72 + 72 * 9 + 72 * 24) * 56**2
    assert SPACE.macs(full)[0] - SPACE.macs(skipped)[0] == 2 * block
    assert sum(isinstance(w.op, Identity) for w in SPACE.workloads(skipped)) == 2
    assert len(SPACE.graph(full).nodes) - len(SPACE.graph(skipped).nodes) == 2 * 9


def test_first_block_of_equal_channels_and_stride_1_offers_the_identity() -> None:
    space = hwnas.spaces.space("proxyless", stage_widths=(24, 40, 80, 80, 192, 320))
    assert space.n_choices[12] == 7
    assert space.size == SPACE.size // 6 * 7
    text = "-".join("skip" if d == 12 else "k3e3" for d in range(21))
    assert isinstance(space.workloads(space.parse(text))[3 + 12].op, Identity)


def test_identity_can_be_taken_away() -> None:
    space = hwnas.spaces.space("proxyless", skippable=[False] * 21)
    assert space.n_choices == (6,) * 21


@pytest.mark.parametrize(
    ("width_mult", "expected"),
    [
        # by hand: round to the nearest multiple of 8, one more where that takes away over 10 %
        # (12 -> 16; 18 -> 16 is below 16.2, so 24; 30 -> 32; 60 -> 64)
        (0.75, [24, 16, 24, 32, 64, 72, 144, 240, 1280]),
        (0.5, [16, 8, 16, 24, 40, 48, 96, 160, 1280]),
        (1.0, [32, 16, 24, 40, 80, 96, 192, 320, 1280]),
        # 44.8 -> 48; 22.4 -> 24; 33.6 -> 32; 134.4 -> 136; 268.8 -> 272; only here the head grows
        (1.4, [48, 24, 32, 56, 112, 136, 272, 448, 1792]),
    ],
)
def test_widths_are_rounded_as_mobilenet_v2_rounds(width_mult: float, expected: list[int]) -> None:
    space = hwnas.spaces.space("proxyless", width_mult=width_mult)
    workloads = space.workloads(np.zeros(21, int))
    stem, first, head, *blocks = workloads
    widths = [stem.out_channels, first.out_channels]
    widths += [blocks[d].out_channels for d in (0, 4, 8, 12, 16, 20)]
    assert [*widths, head.op.hidden] == expected  # type: ignore[attr-defined]


def test_widths_that_are_given_are_taken_as_they_are() -> None:
    space = hwnas.spaces.space("proxyless", stem_width=33, first_width=7, stage_widths=[9] * 6)
    stem, first, _, *blocks = space.workloads(np.zeros(21, int))
    assert (stem.out_channels, first.out_channels) == (33, 7)
    assert {block.out_channels for block in blocks} == {9}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "21 tokens joined by '-' are needed, got 1"),
        (GOOD + "-k3e3", "got 22"),
        (GOOD[5:], "got 20"),
        (GOOD.replace("k3e3", "k4e3", 1), "blocks.0 is one of k3e3, .*k7e6, got 'k4e3'"),
        (GOOD.replace("k3e3", "skip", 1), "blocks.0 is one of .*, got 'skip'"),
        (GOOD.replace("k3e3", "K3E3", 1), "got 'K3E3'"),
        (GOOD.replace("k3e3", " k3e3"), "got ' k3e3'"),
        (GOOD.replace("-", "--", 1), "got 22"),
        (GOOD.replace("-", ","), "got 1"),
    ],
)
def test_wrong_strings_say_what_is_allowed(text: str, complaint: str) -> None:
    with pytest.raises(ArchitectureError, match=f"not an architecture of proxyless: .*{complaint}"):
        SPACE.parse(text)


@pytest.mark.parametrize("halvings", range(6))
@pytest.mark.parametrize("width_mult", [0.25, 0.5, 1.0])
def test_proxy_has_the_same_decisions_and_ends_at_4_pixels(
    halvings: int, width_mult: float
) -> None:
    small = hwnas.spaces.proxy(SPACE, 4 * 2**halvings, 10, width_mult)
    assert small.decisions == SPACE.decisions
    arch = SPACE.sample(1, seed=halvings)[0]
    assert small.format(arch) == SPACE.format(arch)
    head = small.workloads(arch)[2]
    assert (head.height, head.width, head.out_channels) == (4, 4, 10)
    assert small.macs(arch)[0] < SPACE.macs(arch)[0]


def test_proxy_of_a_proxy_and_of_special_spaces_keeps_the_decisions() -> None:
    wide = hwnas.spaces.space(
        "proxyless", width_mult=1.4, stage_widths=(24, 40, 80, 80, 192, 320), stage_depths=[2] * 6
    )
    small = hwnas.spaces.proxy(wide, 32, 10, 0.5)
    assert small.decisions == wide.decisions
    assert hwnas.spaces.proxy(small, 16, 10, 0.5).decisions == wide.decisions


@pytest.mark.parametrize("input_size", [0, -4])
def test_proxy_needs_an_input(input_size: int) -> None:
    with pytest.raises(OptionError, match=f"input_size .*got {input_size}"):
        hwnas.spaces.proxy(SPACE, input_size, 10, 0.5)


def test_network_runs_at_the_smallest_input() -> None:
    import torch

    space = hwnas.spaces.space("proxyless", input_size=1, classes=2, width_mult=0.25)
    y = space.build(space.sample(1, seed=0)[0]).eval()(torch.zeros(1, 3, 1, 1))
    assert y.shape == (1, 2)


def test_candidates_are_bottlenecks() -> None:
    ops = SPACE.decisions[0].choices
    assert all(isinstance(op, MBConv) for op in ops)
