"""Forward and backward pass of ResNet-18 with few-bit blocks, against the same network in floats.

Both have the same convolutions, batch-norms and sums; the quantised one rounds weights (DoReFa) and
activations (PACT) besides. They take turns, so that both see the same machine. The limit that the
project sets itself is 2.5 times.

python benchmarks/quantized_step.py
python benchmarks/quantized_step.py --input-size 64 --batch 4 --rounds 3   # a rehearsal
"""

import argparse
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwnas import spaces
from hwnas.ops.graph import Node
from hwnas.ops.module import GraphModule, make_layer


def plain_layer(node: Node, in_channels: int) -> nn.Module | None:
    """The layer without rounding: a ReLU for a PACT, a convolution by its own weights."""
    if node.kind == "pact":
        return nn.ReLU()
    if node.kind == "conv" and node.bits:
        return nn.Conv2d(
            in_channels, node.shape[0], node.kernel, node.stride, node.kernel // 2, bias=False
        )
    return make_layer(node, in_channels)


def step_seconds(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    network.zero_grad(set_to_none=True)
    began = time.perf_counter()
    F.cross_entropy(network(images), labels).backward()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    flags = parser.parse_args()
    space = spaces.space("resnet18-bits", input_size=flags.input_size)
    images = torch.randn(flags.batch, 3, flags.input_size, flags.input_size)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (flags.batch,))
    print(
        f"ResNet-18, {flags.input_size} x {flags.input_size} pixels, batch {flags.batch}, "
        f"{torch.get_num_threads()} threads, {flags.rounds} rounds"
    )
    print("bits        plain     quantised  times (10 % to 90 % of rounds)")
    for bits in ("w1a2", "w2a2", "w4a4"):
        graph = space.graph(space.parse("-".join([bits] * len(space.decisions))))
        networks = [GraphModule(graph, layers) for layers in (plain_layer, make_layer)]
        for network in networks:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            step_seconds(network, images, labels)
        seconds = np.array(
            [[step_seconds(n, images, labels) for n in networks] for _ in range(flags.rounds)]
        )
        plain, quantised = np.median(seconds, axis=0)
        low, median, high = np.quantile(seconds[:, 1] / seconds[:, 0], (0.1, 0.5, 0.9))
        print(
            f"{bits}  {1e3 * plain:8.1f} ms  {1e3 * quantised:8.1f} ms  "
            f"{median:.2f} ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
