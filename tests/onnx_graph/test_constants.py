"""What holds for every image is folded into batch-norms, and changes nothing."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

import hwnas
from hwnas.onnx_graph import to_onnx
from hwnas.ops import Graph

CELLS = hwnas.space("nasbench201", input_size=8, channels=4, cells=2)
#: Architectures some of whose operators read zeros.
READ_ZEROS = (
    "|none~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|",
    "|none~0|+|none~0|nor_conv_1x1~1|+|nor_conv_1x1~0|none~1|nor_conv_1x1~2|",
    # a 3x3 of a constant differs at the border: it stays
    "|none~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|nor_conv_3x3~2|",
    # nothing but poolings and identities varies: nobody takes the constants
    "|none~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|skip_connect~2|",
)


def trained(arch, seed=0):
    """A network with batch-norms as training leaves them."""
    network = CELLS.build(CELLS.parse(arch)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.ndim == 1:
                drawn = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(drawn + (0.5 if name.endswith(("weight", "var")) else -0.3))
    return network, {name: t.numpy() for name, t in network.state_dict().items()}


@pytest.mark.parametrize("arch", READ_ZEROS)
def test_the_function_stays_the_same(arch):
    network, weights = trained(arch)
    kept = {name: value.copy() for name, value in weights.items()}
    model = CELLS.to_onnx(CELLS.parse(arch), weights, batch=3)
    images = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    (found,) = ort.InferenceSession(model).run(None, {"input": images})
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    for name, value in kept.items():
        np.testing.assert_array_equal(weights[name], value)


def test_sums_are_shorter_where_a_convolution_takes_the_constants():
    def sums(arch):
        model = onnx.load_from_string(CELLS.to_onnx(CELLS.parse(arch)))
        return Counter(node.op_type for node in model.graph.node)

    zeros, without = (
        sums(READ_ZEROS[1]),
        sums("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"),
    )
    assert zeros == without
    assert (
        sums(READ_ZEROS[3])["Add"]
        > sums("|none~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|none~1|skip_connect~2|")["Add"]
    )


def test_zeros_are_added_to_nothing():
    # node 1 is zeros, and so is what a pooling makes of it
    pooled = "|none~0|+|skip_connect~0|avg_pool_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|none~2|"
    alone = "|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"
    kinds = [
        Counter(node.op_type for node in onnx.load_from_string(model).graph.node)
        for model in (CELLS.to_onnx(CELLS.parse(arch)) for arch in (pooled, alone))
    ]
    assert kinds[0] == kinds[1]


def test_a_batch_norm_that_others_read_keeps_its_shift():
    graph = Graph((2, 4, 4))
    x = graph.conv_bn(0, "a", 2)
    constant = graph.conv_bn(graph.zero(0), "b", 2)
    both = graph.add(x, constant)
    graph.add(both, x)
    kinds = [node.op_type for node in onnx.load_from_string(to_onnx(graph)).graph.node]
    assert kinds.count("Add") == 2
