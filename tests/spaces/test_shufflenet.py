"""The spaces of Single Path One-Shot by its table 2, its published costs, and pairs of choices."""

from itertools import product

import numpy as np
import pytest
import torch

import hwnas
from hwnas.costs import graph_macs, workload_costs
from hwnas.errors import ArchitectureError, OptionError
from hwnas.latency_tables import LatencyTable
from hwnas.ops import Graph, ShuffleHead, ShuffleStem, ShuffleUnit, ShuffleXception, Workload
from hwnas.ops.module import GraphModule
from hwnas.predictors import AdditivePredictor
from hwnas.profilers import Plan, profile_space
from hwnas.spaces import SearchSpace
from hwnas.spaces.shufflenet import CHANNEL_SCALES
from hwnas.testing import SyntheticRuntime

BLOCKS = hwnas.space("shufflenet")
JOINT = hwnas.space("shufflenet", scales=CHANNEL_SCALES)
#: Guo et al., Single Path One-Shot (2020), figure 2a, as its released code lists it: 319 M.
PAPER = [0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2]


def test_table_2() -> None:
    assert BLOCKS.size == 4**20
    stem, head, *blocks = BLOCKS.workloads([0] * 20)
    assert stem == Workload(ShuffleStem(), 3, 16, 2, 224, 224)
    assert head == Workload(ShuffleHead(1024), 640, 1000, 1, 7, 7)
    expected, channels, size = [], 16, 112
    for width, repeat in ((64, 4), (160, 4), (320, 8), (640, 4)):
        for stride in [2] + [1] * (repeat - 1):
            expected.append(Workload(ShuffleUnit(3), channels, width, stride, size, size))
            channels, size = width, size // stride
    assert blocks == expected
    assert [op.token for op in BLOCKS.decisions[7].choices] == ["3", "5", "7", "x"]


def test_the_papers_architecture_has_the_papers_macs() -> None:
    assert BLOCKS.format(PAPER) == "3-3-x-5-5-5-3-3-7-3-7-5-5-3-7-3-7-5-x-7"
    assert round(BLOCKS.macs(PAPER)[0] / 1e6, 1) == 318.7


@pytest.mark.parametrize(
    ("widths", "millions"), [((116, 232, 464), 145.8), ((176, 352, 704), 299.0)], ids=["1x", "1.5x"]
)
def test_shufflenet_v2_is_made_of_these_units(widths: tuple[int, ...], millions: float) -> None:
    # Ma et al., ShuffleNet V2 (2018), table 5: 146 M and 299 M
    graph = Graph((3, 224, 224))
    with graph.scope("stem"):
        x = ShuffleStem().emit(graph, 0, 24, 2)
    x = graph.max_pool(x, 3, 2)
    for width, depth in zip(widths, (4, 8, 4), strict=True):
        for at in range(depth):
            with graph.scope(f"{width}.{at}"):
                x = ShuffleUnit(3).emit(graph, x, width, 2 if at == 0 else 1)
    ShuffleHead(1024).emit(graph, x, 1000, 1)
    assert round(graph_macs(graph) / 1e6, 1) == millions


def test_a_unit_is_the_shuffle_unit_written_by_hand() -> None:
    module = GraphModule(Workload(ShuffleUnit(5), 8, 8, 1, 6, 6).graph()).eval()
    x = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        y = module(x)
        worked = x[:, 1::2]
        for name in ("pw1", "dw", "pw2"):
            worked = module.get_submodule(f"{name}.bn")(
                module.get_submodule(f"{name}.conv")(worked)
            )
            worked = worked if name == "dw" else worked.relu()
    assert torch.equal(y[:, :4], x[:, 0::2])
    torch.testing.assert_close(y[:, 4:], worked)


def test_unit_costs_by_hand() -> None:
    # 40 to 40 channels at 10 x 10: halves of 20, a middle of int(20 * 1.4) = 28
    unit = workload_costs(Workload(ShuffleUnit(7, 14), 40, 40, 1, 10, 10))["macs"]
    assert unit == (20 * 28 + 28 * 49 + 28 * 20) * 100
    # 16 to 64 at stride 2: 16 pass by, 48 are worked on, the middle is 32
    down = workload_costs(Workload(ShuffleXception(), 16, 64, 2, 10, 10))["macs"]
    worked = 16 * 9 + 16 * 32 + 32 * 9 + 32 * 32 + 32 * 9 + 32 * 48
    assert down == (worked + 16 * 9 + 16 * 16) * 25


def test_middle_channels_are_those_of_the_paper() -> None:
    for out, scale in product((64, 160, 320, 640, 116, 250), CHANNEL_SCALES):
        graph = Workload(ShuffleUnit(3, round(10 * scale)), out, out, 1, 4, 4).graph()
        (node,) = (n for n in graph.nodes if n.name == "pw1.conv")
        assert node.shape[0] == int((out // 2) * scale)


def test_an_operator_and_its_scale_are_one_decision() -> None:
    assert JOINT.size == 32**20
    tokens = [op.token for op in JOINT.decisions[0].choices]
    names = {1.0: ""} | {s: f"@{s}" for s in CHANNEL_SCALES if s != 1}
    assert tokens == [op + names[s] for op in ("3", "5", "7", "x") for s in CHANNEL_SCALES]
    # distinct: four stages, with a first block and equal ones behind it, of 32 choices each
    assert len(JOINT.distinct_workloads) == 4 * 2 * 32 + len(["stem", "head"])
    # what an operator costs more at another scale depends on the operator: no sum of two prices
    entries = JOINT.cost("macs").entries[1].reshape(4, 8)
    rises = entries[:, 7] - entries[:, 0]
    assert rises[0] != rises[2]
    assert rises[0] != rises[3]


def test_block_architectures_are_joint_ones_at_scale_1() -> None:
    text = BLOCKS.format(PAPER)
    assert JOINT.format(JOINT.parse(text)) == text
    assert JOINT.macs(JOINT.parse(text)) == BLOCKS.macs(PAPER)
    assert JOINT.params(JOINT.parse(text)) == BLOCKS.params(PAPER)


def test_channels_alone_on_fixed_blocks() -> None:
    text = BLOCKS.format(PAPER)
    alone = hwnas.space("shufflenet", scales=CHANNEL_SCALES, blocks=text)
    assert alone.size == 8**20
    arch = alone.parse(text)
    assert alone.macs(arch) == BLOCKS.macs(PAPER)
    scaled = alone.sample(1, seed=0)
    assert JOINT.macs(JOINT.parse(alone.format(scaled))) == alone.macs(scaled)
    same = hwnas.space("shufflenet", scales=CHANNEL_SCALES, blocks=alone.format(scaled))
    assert same.identifier == alone.identifier  # scales of what was found are searched anew
    all_3 = hwnas.space("shufflenet", scales=CHANNEL_SCALES, blocks="3")
    assert all_3.arguments["blocks"] == "-".join("3" * 20)
    with pytest.raises(ArchitectureError, match=r"blocks.2 is one of x@0.2, .*got '3'"):
        alone.parse("-".join("3" * 20))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"scales": []}, "different tenths"),
        ({"scales": [1.0, 1.0]}, "different tenths"),
        ({"scales": [0.25]}, r"tenths from 0.1 to 9.9, got \[0.25\]"),
        ({"scales": [0.0]}, "tenths"),
        ({"blocks": "3-5"}, "20 of 3, 5, 7, x .* got 2 in '3-5'"),
        ({"blocks": "k3"}, "got 'k3'"),
        ({"stage_widths": [8, 8]}, "one value a stage each, got 2, 4 and 4"),
        ({"width_mult": 0}, "number above 0"),
        ({"stem_width": 0}, "stem_width of shufflenet takes whole numbers"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        hwnas.space("shufflenet", **arguments)


@pytest.fixture(scope="module")
def small() -> SearchSpace:
    return hwnas.space(
        "shufflenet",
        input_size=32,
        classes=10,
        width_mult=0.5,
        scales=(0.2, 1.0, 1.6),
        stage_depths=[1, 1, 1, 1],
    )


def test_joint_costs_are_exact_everywhere(small: SearchSpace) -> None:
    archs = np.array(list(product(*(range(n) for n in small.n_choices))))
    assert len(archs) == small.size == 12**4
    macs = small.macs(archs)
    cost = small.cost("macs")
    assert cost.minimum()[1] == macs.min()
    for share in (0.001, 0.2, 0.9):
        limit = float(np.quantile(macs, share))
        within = cost.within(limit)
        assert within.exact
        assert within.count == (macs <= limit).sum()
        assert (small.macs(within.sample(500, np.random.default_rng(0))) <= limit).all()


def test_joint_latency_is_exact_in_table_budget_and_expectation(small: SearchSpace) -> None:
    plan = Plan(tolerance=0.05, min_runs=10, max_runs=20)
    table = profile_space(small, SyntheticRuntime(noise=0.001, outliers=0), plan=plan)
    assert isinstance(table, LatencyTable)
    assert not table.missing(small.distinct_workloads)
    predictor = AdditivePredictor(table, small)
    archs = np.array(list(product(*(range(n) for n in small.n_choices))))
    ms = predictor.predict(archs)
    limit = float(np.quantile(ms, 0.1))
    assert predictor.cost.within(limit).count == (ms <= limit).sum()
    # operators and scales drawn apart: the expectation is the mean over the products of both
    rng = np.random.default_rng(0)
    drawn = [(rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3))) for _ in small.decisions]
    pairs = [np.outer(ops, scales).ravel() for ops, scales in drawn]
    weights = np.prod([p[archs[:, d]] for d, p in enumerate(pairs)], axis=0)
    expected = predictor.expected([torch.from_numpy(p) for p in pairs])
    assert abs(float(expected) - float(weights @ ms)) < 1e-9 * float(weights @ ms)


@pytest.mark.parametrize("input_size", [8, 16, 32])
def test_proxy_makes_the_same_decisions(input_size: int) -> None:
    proxy = hwnas.spaces.proxy(JOINT, input_size, 10, 0.25)
    assert [d.choices for d in proxy.decisions] == [d.choices for d in JOINT.decisions]
    *_, head = (w for w in proxy.fixed_workloads)
    assert (head.height, head.out_channels) == (4, 10)
    assert proxy.macs([0] * 20)[0] < JOINT.macs([0] * 20)[0] / 20
