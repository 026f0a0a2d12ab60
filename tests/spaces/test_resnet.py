"""Few-bit ResNets: the paper's BitOps, the network of torchvision, exact budgets."""

from itertools import product

import numpy as np
import pytest

import hwnas
from hwnas.costs import Constraint, FeasibleSet, graph_bitops, parse_budget
from hwnas.errors import OptionError
from hwnas.ops import Graph, LinearHead, QuantizedBasicBlock, ResNetStem, Workload

SPACE = hwnas.space("resnet18-bits")


@pytest.mark.parametrize(
    ("depths", "bits", "giga"),
    [
        ((2, 2, 2, 2), 2, 6.32),
        ((2, 2, 2, 2), 3, 14.21),
        ((2, 2, 2, 2), 4, 25.27),
        ((3, 4, 6, 3), 2, 13.21),
        ((3, 4, 6, 3), 3, 29.72),
        ((3, 4, 6, 3), 4, 52.83),
    ],
)
def test_bitops_of_the_papers_table_6(depths: tuple[int, ...], bits: int, giga: float) -> None:
    graph = Graph((3, 224, 224))
    with graph.scope("stem"):
        x = ResNetStem().emit(graph, 0, 64, 2)
    for stage, depth in enumerate(depths):
        for at in range(depth):
            with graph.scope(f"{stage}.{at}"):
                stride = 2 if stage and not at else 1
                x = QuantizedBasicBlock(bits, bits).emit(graph, x, 64 * 2**stage, stride)
    LinearHead().emit(graph, x, 1000, 1)
    assert abs(graph_bitops(graph) / 2**30 - giga) <= 0.0101  # the paper cuts some digits off


def test_macs_and_parameters_are_those_of_resnet18() -> None:
    arch = SPACE.parse("-".join(["w2a2"] * 8))
    assert SPACE.macs(arch) == 1_814_073_344  # torchvision's resnet18
    # its 11,689,512 parameters, and a bound for each of two quantised inputs a block
    assert SPACE.params(arch) == 11_689_512 + 2 * 8
    assert round(SPACE.bitops(arch)[0] / 2**30, 2) == 6.32


def test_eighteen_choices_a_block() -> None:
    assert SPACE.size == 18**8
    assert hwnas.space("resnet34-bits").size == 18**16
    tokens = {op.token for op in SPACE.decisions[3].choices}
    bits = ("w1a2", "w2a2", "w1a4", "w2a4", "w3a4", "w4a4")
    assert tokens == {b + scale for b in bits for scale in ("@0.5", "", "@1.5")}


def test_block_costs_by_hand() -> None:
    # 8 to 16 channels at stride 2 from 6 x 6, a middle of 24
    graph = Workload(QuantizedBasicBlock(2, 4, 15), 8, 16, 2, 6, 6).graph()
    macs = (8 * 24 * 9 + 24 * 16 * 9 + 8 * 16) * 3 * 3
    assert graph_bitops(graph) == macs * 2 * 4


def test_bits_and_channels_cost_together_exactly() -> None:
    space = hwnas.space("resnet18-bits", input_size=32, width_mult=0.25, stage_depths=[1, 1, 1, 1])
    archs = np.array(list(product(*(range(n) for n in space.n_choices))))
    bitops = space.bitops(archs)
    budget = parse_budget(f"bitops<={np.quantile(bitops, 0.3) / 2**20:.6f}M")
    feasible = FeasibleSet([Constraint(budget, space.cost("bitops"))], space.format)
    assert feasible.count == (bitops <= budget.limit).sum()
    drawn = feasible.sample(2000, np.random.default_rng(0))
    assert space.bitops(drawn).max() <= budget.limit


def test_only_few_bit_spaces_are_quantised() -> None:
    assert SPACE.quantised
    assert not hwnas.space("shufflenet").quantised
    assert hwnas.space("shufflenet").bitops([0] * 20) == 0


def test_wrong_stages_are_refused() -> None:
    with pytest.raises(OptionError, match="one value a stage each, got 4, 3 and 4"):
        hwnas.space("resnet18-bits", stage_depths=[2, 2, 2])


@pytest.mark.parametrize("input_size", [8, 16, 32])
def test_proxy_makes_the_same_decisions(input_size: int) -> None:
    proxy = hwnas.spaces.proxy(SPACE, input_size, 10, 0.25)
    assert proxy.name == SPACE.name
    assert [d.choices for d in proxy.decisions] == [d.choices for d in SPACE.decisions]
    *_, head = (w for w in proxy.fixed_workloads)
    assert (head.in_channels, head.height, head.out_channels) == (128, 4, 10)
