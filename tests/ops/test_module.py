"""The torch reading of a graph."""

import copy
import weakref

import torch
from torch import nn

from hwnas.ops import Graph, MBConv, Node
from hwnas.ops.module import GraphModule, initialise, make_layer


def bottleneck() -> GraphModule:
    graph = Graph((4, 8, 8))
    with graph.scope("blocks.0"):
        x = MBConv(3, 2).emit(graph, 0, 4, 1)
    graph.linear(graph.global_avg_pool(x), "classifier", 3)
    return GraphModule(graph)


def test_state_dict_names_say_where_weights_are() -> None:
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = [
        f"blocks.0.{part}.{leaf}"
        for part in ("expand", "depthwise", "project")
        for leaf in ("conv.weight", *(f"bn.{name}" for name in norm))
    ]
    assert list(bottleneck().state_dict()) == [*expected, "classifier.weight", "classifier.bias"]


def test_module_computes_what_the_layers_written_out_compute() -> None:
    module = bottleneck().eval()
    initialise(module, 0)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    block = module.get_submodule("blocks.0")

    def conv_bn(part: str, x: torch.Tensor) -> torch.Tensor:
        return block.get_submodule(f"{part}.bn")(block.get_submodule(f"{part}.conv")(x))

    with torch.no_grad():
        y = conv_bn("expand", x).clamp(0, 6)
        y = conv_bn("depthwise", y).clamp(0, 6)
        y = x + conv_bn("project", y)
        y = module.get_submodule("classifier")(y.mean((2, 3)))
        assert torch.equal(module(x), y)


class Watch(nn.Module):
    """Hands on what its layer makes, and notes how many earlier outputs are still held."""

    def __init__(self, layer: nn.Module, made: list[weakref.ref[torch.Tensor]], held: list[int]):
        super().__init__()
        self.layer, self.made, self.held = layer, made, held

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        self.made.append(weakref.ref(y))
        self.held.append(sum(ref() is not None for ref in self.made))
        return y


def held_after_each_layer(graph: Graph) -> list[int]:
    made: list[weakref.ref[torch.Tensor]] = []
    held: list[int] = []

    def watched(node: Node, in_channels: int) -> nn.Module | None:
        layer = make_layer(node, in_channels)
        return None if layer is None else Watch(layer, made, held)

    with torch.no_grad():
        GraphModule(graph, watched)(torch.zeros(1, 2, 4, 4))
    return held


def test_intermediates_are_let_go_after_their_last_use() -> None:
    chain = Graph((2, 4, 4))
    x = 0
    for k in range(5):
        x = chain.conv(x, f"conv{k}", 2)
    assert held_after_each_layer(chain) == [1, 2, 2, 2, 2]  # a layer's input and its output


def test_what_is_needed_later_is_kept() -> None:
    graph = Graph((2, 4, 4))
    first = graph.conv(0, "first", 2)
    second = graph.conv(first, "second", 2)
    third = graph.conv(second, "third", 2)
    graph.conv(graph.add(first, third), "last", 2)
    assert held_after_each_layer(graph) == [1, 2, 3, 1]  # the sum is no layer


def test_what_nobody_reads_is_let_go_at_once() -> None:
    graph = Graph((2, 4, 4))
    for k in range(4):
        graph.conv(0, f"dead{k}", 2)
    graph.conv(0, "last", 2)
    assert held_after_each_layer(graph) == [1, 1, 1, 1, 1]


def test_dead_branches_train_along() -> None:
    graph = Graph((2, 4, 4))
    graph.conv(0, "dead", 2)
    graph.conv(0, "last", 2)
    assert {name for name, _ in GraphModule(graph).named_parameters()} == {
        "dead.weight",
        "last.weight",
    }


def test_a_copy_has_its_own_weights() -> None:
    module = bottleneck().eval()
    x = torch.ones(1, 4, 8, 8)
    before = module(x)
    twin = copy.deepcopy(module)
    initialise(twin, 1)
    assert torch.equal(module(x), before)
    assert not torch.equal(twin(x), before)


def test_initial_weights_follow_from_the_seed_alone() -> None:
    one, other, third = bottleneck(), bottleneck(), bottleneck()
    state = torch.get_rng_state()
    initialise(one, 5)
    initialise(other, 5)
    initialise(third, 6)
    assert torch.equal(torch.get_rng_state(), state)
    pairs = list(zip(one.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    expand = "blocks.0.expand.conv.weight"
    assert not torch.equal(one.get_parameter(expand), third.get_parameter(expand))


def test_initial_weights_are_of_the_right_size() -> None:
    graph = Graph((64, 8, 8))
    x = graph.conv_bn(0, "full", 128, 3)
    x = graph.conv_bn(x, "depthwise", 128, 5, groups=128)
    graph.linear(graph.global_avg_pool(x), "classifier", 100)
    module = GraphModule(graph)
    initialise(module, 0)
    # He et al. (2015), fan out; the spread of n draws is within 5 / sqrt(2 n) of its mean
    for name, variance in (("full", 2 / (128 * 9)), ("depthwise", 2 / 25)):
        weight = module.get_parameter(f"{name}.conv.weight").detach()
        error = float(weight.var(correction=0) / variance) ** 0.5 - 1
        assert abs(error) < 5 / (2 * weight.numel()) ** 0.5
        assert torch.equal(module.get_parameter(f"{name}.bn.weight"), torch.ones(128))
        assert torch.equal(module.get_parameter(f"{name}.bn.bias"), torch.zeros(128))
    linear = module.get_parameter("classifier.weight").detach()
    assert abs(float(linear.std()) / 0.01 - 1) < 5 / (2 * linear.numel()) ** 0.5
    assert not module.get_parameter("classifier.bias").any()
