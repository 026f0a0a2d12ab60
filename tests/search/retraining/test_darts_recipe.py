"""The recipe of DARTS for cells: cutout, drop path, an auxiliary head."""

import numpy as np
import pytest
import torch

from hwnas import spaces
from hwnas.data import from_arrays
from hwnas.errors import OptionError
from hwnas.ops import Graph
from hwnas.ops.module import GraphModule
from hwnas.search.auxiliary import AuxiliaryHead, auxiliary_place
from hwnas.search.regularisation import edge_ends
from hwnas.search.retraining.retrain import check_regularisation, retrain
from hwnas.search.retraining.settings import RetrainSettings
from hwnas.search.runs.run import Run

SPACE = spaces.space("darts-s1", input_size=8, classes=3, channels=4, cells=3)
ARCH = SPACE.sample(1, seed=1)[0]
RECIPE = {"cutout": 4, "path_drop": 0.5, "auxiliary": 0.4, "batch_size": 16}


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3
    images = rng.integers(0, 99, (96, 3, 8, 8)) + 70 * labels[:, None, None, None]
    images = images.astype(np.uint8)
    return from_arrays((images[:64], labels[:64]), (images[64:], labels[64:]), name="bright")


def trained(folder, data, stop_at=2.0, **settings):
    def tell(task, share, remark):
        if share >= stop_at:
            raise StoppedError

    settings = RetrainSettings(**{"steps": 12, **RECIPE, **settings})
    return retrain(Run(folder, {}), SPACE, ARCH, data, settings, progress=tell)


def test_interrupted_it_ends_with_equal_weights_and_hands_back_the_plain_network(tmp_path, data):
    whole = trained(tmp_path / "whole", data)
    with pytest.raises(StoppedError):
        trained(tmp_path / "cut", data, 0.8)
    resumed = trained(tmp_path / "cut", data)
    plain = SPACE.build(ARCH).state_dict()
    assert whole.state_dict().keys() == resumed.state_dict().keys() == plain.keys()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


@pytest.mark.parametrize("part", ["cutout", "path_drop", "auxiliary"])
def test_each_part_changes_the_weights(tmp_path, data, part):
    whole = trained(tmp_path / "whole", data, steps=3)
    without = trained(tmp_path / "without", data, steps=3, **{part: 0})
    assert not torch.equal(next(whole.parameters()), next(without.parameters()))


def test_the_head_reads_the_second_reduction():
    at, channels = auxiliary_place(SPACE, ARCH)
    graph = SPACE.graph(ARCH)
    assert graph.nodes[at].name == "cells.2.output.concat"
    assert channels == 4 * 4 * 2 * 2  # four nodes, doubled twice
    # DARTS' head for CIFAR-10 at 36 channels and 20 cells: 576 channels at the second reduction
    head = AuxiliaryHead(576, 10)
    assert sum(p.numel() for p in head.parameters()) == (
        576 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10
    )
    head.look(torch.ones(2, 576, 8, 8))
    assert head().shape == (2, 10)


def test_edges_end_where_an_operator_gives_its_value():
    graph = SPACE.graph(ARCH)
    ends = edge_ends(SPACE, ARCH)
    inputs = {source for node in graph.nodes if node.kind == "add" for source in node.inputs}
    skips = sum(SPACE.format(ARCH).split("-").count(token) for token in ("skip",))
    assert set(ends) <= inputs
    assert skips == 0 or len(ends) < sum(s.decision is not None for s in SPACE.layout.slots)


def test_a_changed_value_is_what_later_nodes_read():
    graph = Graph((1, 1, 1))
    first = graph.activation(0, "relu")
    graph.activation(first, "relu")
    network = GraphModule(graph)
    x = torch.full((1, 1, 1, 1), 2.0)
    assert network(x).item() == 2
    assert network(x, change={first: lambda value: 3 * value}).item() == 6


def test_a_chain_has_no_place_for_them():
    chain = spaces.space("proxyless", input_size=32)
    arch = chain.sample(1, seed=0)[0]
    for settings, words in (
        ({"auxiliary": 0.4}, "auxiliary 0"),
        ({"path_drop": 0.2}, "has no cells"),
    ):
        with pytest.raises(OptionError, match=words):
            check_regularisation(chain, arch, RetrainSettings(**settings))
