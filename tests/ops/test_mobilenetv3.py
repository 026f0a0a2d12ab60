"""The operators of MobileNetV3: its published figures, and the gate by hand."""

import torch

from hwnas.costs import graph_macs, graph_params, workload_costs
from hwnas.ops import Graph, MobileNetV3Block, MobileNetV3Head, MobileNetV3Stem, Workload
from hwnas.ops.mobilenetv3 import bottleneck
from hwnas.ops.module import GraphModule

#: MobileNetV3-Large (table 1): kernel, middle and output channels, SE, h-swish, stride.
LARGE = [
    (3, 16, 16, 0, 0, 1),
    (3, 64, 24, 0, 0, 2),
    (3, 72, 24, 0, 0, 1),
    (5, 72, 40, 1, 0, 2),
    (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1),
    (3, 240, 80, 0, 1, 2),
    (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1),
    (3, 672, 112, 1, 1, 1),
    (5, 672, 160, 1, 1, 2),
    (5, 960, 160, 1, 1, 1),
    (5, 960, 160, 1, 1, 1),
]


def test_mobilenetv3_large_has_its_published_macs_and_parameters() -> None:
    graph = Graph((3, 224, 224))
    x = MobileNetV3Stem(3).emit(graph, 0, 16, 2)
    for at, (kernel, mid, out, se, hswish, stride) in enumerate(LARGE):
        with graph.scope(f"blocks.{at}"):
            x = bottleneck(graph, x, kernel, mid, out, stride, se, hswish)
    assert graph.shape(x) == (160, 7, 7)
    MobileNetV3Head(960, 1280).emit(graph, x, 1000, 1)
    # those that torchvision states for its mobilenet_v3_large; the paper rounds to 219 M and 5.4 M
    assert graph_params(graph) == 5_483_032
    assert round(graph_macs(graph) / 1e6) == 217


def test_block_with_squeeze_and_excitation_by_hand() -> None:
    # 24 -> 72 at 10x8, depthwise 5x5 to 5x4, 72 -> 40; 72 / 4 = 18 rounds to 24 hidden channels
    costs = workload_costs(Workload(MobileNetV3Block(5, 3, 1, 0), 24, 40, 2, 10, 8))
    gate = 72 * 24 + 24 * 72
    assert costs["macs"] == 24 * 72 * 80 + 72 * 25 * 20 + gate + 72 * 40 * 20
    norms = 2 * (72 + 72 + 40)
    assert costs["params"] == 24 * 72 + 72 * 25 + 72 * 40 + norms + gate + (24 + 72)


def test_gate_multiplies_channels() -> None:
    graph = Workload(MobileNetV3Block(3, 1, 1, 0), 8, 4, 1, 5, 5).graph()
    module = GraphModule(graph).eval()
    values: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        module.get_submodule("se.expand").bias.copy_(torch.linspace(-4, 4, 8))  # type: ignore[operator, union-attr]
        module.get_submodule("se.expand").weight.zero_()  # type: ignore[operator, union-attr]
        module(torch.rand(2, 8, 5, 5), lambda at, v: values.update({graph.nodes[at].name: v}))
    gate = (torch.linspace(-4, 4, 8) / 6 + 0.5).clamp(0, 1)
    assert gate[0] == 0
    assert gate[-1] == 1
    expected = values["depthwise.relu"] * gate[None, :, None, None]
    torch.testing.assert_close(values["se.mul"], expected)


def test_activations() -> None:
    for hswish, kind in ((0, "relu"), (1, "hard_swish")):
        graph = Workload(MobileNetV3Block(3, 3, 0, hswish), 8, 8, 1, 5, 5).graph()
        assert [n.kind for n in graph.nodes if n.kind in ("relu", "hard_swish")] == [kind] * 2
