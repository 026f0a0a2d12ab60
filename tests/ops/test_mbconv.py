"""The inverted bottleneck, by hand."""

import pytest

from hwnas.costs import workload_costs
from hwnas.ops import Identity, MBConv, Workload


def test_bottleneck_with_expansion_and_stride() -> None:
    # 24 -> 72 at 56x56, depthwise 5x5 to 28x28, 72 -> 40 at 28x28
    costs = workload_costs(Workload(MBConv(kernel=5, expand=3), 24, 40, 2, 56, 56))
    assert costs["macs"] == 24 * 72 * 56**2 + 72 * 5**2 * 28**2 + 72 * 40 * 28**2
    assert costs["params"] == (24 * 72 + 2 * 72) + (72 * 5**2 + 2 * 72) + (72 * 40 + 2 * 40)
    # read and write of three kernels, and their weights, at 4 bytes
    moved = (24 * 56**2 + 72 * 56**2) + (72 * 56**2 + 72 * 28**2) + (72 * 28**2 + 40 * 28**2)
    assert costs["bytes"] == 4 * (moved + costs["params"])


def test_bottleneck_with_residual_at_an_odd_size() -> None:
    # 10 -> 60 -> 10 at 7x5, 3x3
    costs = workload_costs(Workload(MBConv(kernel=3, expand=6), 10, 10, 1, 7, 5))
    assert costs["macs"] == (10 * 60 + 60 * 3**2 + 60 * 10) * 7 * 5
    assert costs["params"] == (10 * 60 + 2 * 60) + (60 * 3**2 + 2 * 60) + (60 * 10 + 2 * 10)
    kernels = (10 + 60) + (60 + 60) + (60 + 10) + (10 + 10 + 10)  # the sum reads two, writes one
    assert costs["bytes"] == 4 * (kernels * 7 * 5 + costs["params"])


def test_bottleneck_without_expansion_is_depthwise_and_project() -> None:
    # the first block of MobileNetV2: 32 -> 16 at 112x112
    costs = workload_costs(Workload(MBConv(kernel=3, expand=1), 32, 16, 1, 112, 112))
    assert costs["macs"] == (32 * 3**2 + 32 * 16) * 112**2
    assert costs["params"] == (32 * 3**2 + 2 * 32) + (32 * 16 + 2 * 16)


@pytest.mark.parametrize(
    ("inp", "out", "stride", "residual"),
    [(8, 8, 1, True), (8, 8, 2, False), (8, 16, 1, False), (16, 8, 1, False), (8, 16, 2, False)],
)
@pytest.mark.parametrize("expand", [1, 3])
def test_residual_only_where_nothing_changes_shape(
    inp: int, out: int, stride: int, residual: bool, expand: int
) -> None:
    graph = Workload(MBConv(3, expand), inp, out, stride, 8, 8).graph()
    sums = [node for node in graph.nodes if node.kind == "add"]
    assert [0 in node.inputs for node in sums] == ([True] if residual else [])
    assert Identity().fits(inp, out, stride) == residual


def test_odd_sizes_are_halved_upwards() -> None:
    graph = Workload(MBConv(7, 3), 4, 6, 2, 15, 8).graph()
    assert graph.nodes[-1].shape == (6, 8, 4)


def test_token() -> None:
    assert MBConv(kernel=5, expand=3).token == "k5e3"
