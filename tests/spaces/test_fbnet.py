"""The fbnet space: published networks, and the numbering of public measurements."""

import numpy as np
import pytest

import hwnas.spaces
from hwnas.errors import OptionError
from hwnas.ops import FBNetBlock, FBNetSkip, Identity, Workload
from hwnas.spaces.scaling import fewer_strides
from hwnas.testing.ops import run_onnx

SPACE = hwnas.spaces.space("fbnet")
TOKENS = ["k3e1", "k3e1g2", "k3e3", "k3e6", "k5e1", "k5e1g2", "k5e3", "k5e6", "skip"]

# The networks of the paper as facebookresearch/mobile-vision defines them (modeldef of FBNet-A, B,
# C; the second block at 64 channels of B is k5e1 in the first release and k5e6 in the second).
A = (
    "skip-k3e3-k3e1-skip-skip-k5e6-k3e3-k5e1-k3e3-k5e6-k5e3-"
    "k5e1g2-k5e6-k3e6-k5e1g2-k5e3-k3e1g2-k5e6-k5e6-k5e3-k5e6-k5e6"
)
B = (
    "k3e1-k3e6-k5e1-k3e1-k3e1-k5e6-k5e3-k3e6-k5e6-k5e6-k5e1-"
    "skip-k5e3-k5e6-k3e1-k5e1-k5e3-k5e6-k5e1-k5e6-k5e6-k3e6"
)
C = (
    "k3e1-k3e6-skip-k3e1-k3e1-k5e6-k5e3-k5e6-k3e6-k5e6-k5e3-"
    "k5e6-k5e6-k5e6-k5e6-k5e6-k5e3-k5e6-k5e6-k5e6-k5e6-k3e6"
)


def test_every_block_has_the_nine_operators_in_the_public_order() -> None:
    assert SPACE.n_choices == (9,) * 22
    for decision in SPACE.decisions:
        assert [op.token for op in decision.choices] == TOKENS


def test_skip_is_free_only_where_the_shape_stays() -> None:
    # the first block of each stage changes channels or stride, but for that from 16 to 16
    changes = {1, 5, 9, 13, 17, 21}
    for at, decision in enumerate(SPACE.decisions):
        assert isinstance(decision.choices[-1], FBNetSkip if at in changes else Identity)


def test_shapes_are_those_of_table_1() -> None:
    stem, head, *blocks = SPACE.workloads(np.zeros(22, int))
    assert (stem.out_channels, stem.stride, stem.height) == (16, 2, 224)
    assert (head.in_channels, head.out_channels, head.height) == (352, 1000, 7)
    rows = [(16, 1, 112), (24, 4, 56), (32, 4, 28), (64, 4, 14), (112, 4, 14), (184, 4, 7)]
    outputs = [(w.out_channels, w.height // w.stride) for w in blocks]
    assert outputs == [(c, size) for c, n, size in [*rows, (352, 1, 7)] for _ in range(n)]


@pytest.mark.parametrize(
    ("text", "head_width", "macs_m", "params_m"),
    [
        # "Flops (M)" and "Params (M)" of the table in mobile-vision's README, where B1 and C1 are B
        # and C with the narrow head. Parameters are exact, cut (not rounded) to a tenth; MACs
        # differ by up to 0.6 %: +0.5 M, +1.0 M, +1.1 M, +2.0 M, +2.0 M. The paper's own figures
        # (249, 295 and 375 M; 4.3, 4.5 and 5.5 M) mix both heads.
        (A, 1504, 249.4, 4.3),
        (B, 1984, 295.6, 4.8),
        (B, 1504, 286.8, 4.1),
        (C, 1984, 383.0, 5.5),
        (C, 1504, 374.2, 4.9),
    ],
)
def test_published_networks(text: str, head_width: int, macs_m: float, params_m: float) -> None:
    space = hwnas.spaces.space("fbnet", head_width=head_width)
    arch = space.parse(text)
    assert space.macs(arch)[0] / 1e6 == pytest.approx(macs_m, rel=0.006)
    assert space.params(arch)[0] // 100_000 == round(params_m * 10)


def test_block_in_two_groups_by_hand() -> None:
    plain, grouped = (SPACE.parse("-".join(["skip"] * 2 + [t] + ["skip"] * 19)) for t in TOKENS[:2])
    # two 1x1 from 24 to 24 channels at 56 x 56, halved; batch-norms and depthwise stay
    assert SPACE.macs(plain)[0] - SPACE.macs(grouped)[0] == 2 * (24 * 24 // 2) * 56**2
    assert SPACE.params(plain)[0] - SPACE.params(grouped)[0] == 2 * (24 * 24 // 2)


def test_shuffle_stands_between_the_groups() -> None:
    graph = Workload(FBNetBlock(3, 1, 2), 8, 8, 1, 6, 6).graph()
    kinds = [node.kind for node in graph.nodes]
    assert kinds[:6] == ["input", "conv", "batch_norm", "relu", "channel_shuffle", "conv"]
    assert [node.groups for node in graph.nodes if node.kind == "conv"] == [2, 8, 2]


@pytest.mark.parametrize("halvings", range(6))
def test_proxy_has_the_same_choices_and_ends_at_4_pixels(halvings: int) -> None:
    small = hwnas.spaces.proxy(SPACE, 4 * 2**halvings, 10, 0.5)
    (arch,) = SPACE.sample(1, seed=halvings)
    assert small.format(arch) == SPACE.format(arch)
    head = small.workloads(arch)[1]
    assert (head.height, head.width, head.out_channels) == (4, 4, 10)
    assert small.macs(arch)[0] < SPACE.macs(arch)[0]
    assert hwnas.spaces.proxy(small, 4, 10, 0.5).format(arch) == SPACE.format(arch)


def test_fewer_strides_keep_those_of_the_stem_and_of_the_middle() -> None:
    deployed = [1, 2, 2, 2, 1, 2, 1]
    assert fewer_strides(2, deployed, 224) == (2, deployed)
    assert fewer_strides(2, deployed, 32) == (2, [1, 2, 2, 1, 1, 1, 1])
    assert fewer_strides(2, deployed, 16) == (2, [1, 1, 2, 1, 1, 1, 1])
    assert fewer_strides(1, deployed, 16) == (1, [1, 2, 2, 1, 1, 1, 1])
    assert fewer_strides(1, [1, 1, 2, 1, 1, 1, 1], 16) == (1, [1, 1, 2, 1, 1, 1, 1])
    assert fewer_strides(2, deployed, 4) == (1, [1] * 7)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"stage_strides": [2] * 6}, "stage_strides of fbnet are 7, got 6"),
        ({"width_mult": 0}, "width_mult of fbnet .*got 0"),
        ({"head_width": 0}, "head_width of fbnet .*got 0"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        hwnas.spaces.space("fbnet", **arguments)


def test_int8_model_is_written_for_groups_and_shuffles() -> None:
    space = hwnas.spaces.space("fbnet", input_size=16, classes=3, width_mult=0.25, head_width=16)
    model = space.to_onnx(np.ones(22, int), precision="int8")
    assert np.isfinite(run_onnx(model, np.ones((1, 3, 16, 16), np.float32))).all()
