"""Memory of networks: chains by their worst part, and all as their exported file holds them."""

import math

import onnx
import pytest

from hwnas import spaces
from hwnas.costs.memory import graph_weight_bytes
from hwnas.spaces import memory
from hwnas.spaces.memory import network_memory

CHAINS = ["proxyless", "shufflenet", "fbnet", "ofa", "resnet18-bits"]


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_takes_what_its_worst_part_takes(name):
    space = spaces.space(name, input_size=64)
    archs = space.sample(12, seed=0)
    expected = [network_memory(space.graph(arch)) for arch in archs]
    assert space.memory(archs).tolist() == expected
    assert len(set(expected)) > 1


def test_a_network_of_cells_is_looked_at_as_a_whole():
    space = spaces.space("nasbench201", input_size=8)
    archs = space.sample(4, seed=0)
    assert space.memory(archs).tolist() == [network_memory(space.graph(arch)) for arch in archs]


@pytest.mark.parametrize("name", ["proxyless", "shufflenet", "ofa", "nasbench201"])
def test_weights_are_those_of_the_exported_file(name):
    space = spaces.space(name, input_size=32)
    (arch,) = space.sample(1, seed=1)
    model = onnx.load_from_string(space.to_onnx(arch))
    floats = onnx.TensorProto.FLOAT
    held = sum(
        4 * math.prod(t.dims)
        for t in model.graph.initializer
        if t.data_type == floats and t.dims  # limits of a Clip are scalars
    )
    assert graph_weight_bytes(space.graph(arch).pruned()) == held


def test_a_network_of_cells_is_looked_at_once(monkeypatch):
    looked = []
    monkeypatch.setattr(memory, "network_memory", lambda graph: looked.append(1) or len(looked))
    space = spaces.space("nasbench201", cells=1)
    archs = space.sample(3, seed=0)
    assert space.memory(archs).tolist() == [1, 2, 3]
    assert space.memory(archs[::-1]).tolist() == [3, 2, 1]
    assert len(looked) == 3
