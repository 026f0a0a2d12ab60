"""A training step of a single path, against a plain torch network of the same architecture.

The plain network is written as torchvision writes MobileNetV2, or as NAS-Bench-201's authors write
theirs, and is trained by a plain loop with the same loss, gradient clipping, optimizer and memory
format. The three take turns on every architecture, so that all see the same machine.

python benchmarks/supernet_step.py
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwnas import spaces
from hwnas.ops import AvgPool, ConvHead, Identity, MBConv, Op, ReLUConvBN, Zero
from hwnas.spaces import SearchSpace
from hwnas.supernet import SHARINGS, Supernet, make_optimizer, train_step

INPUT_SIZE, CLASSES, WIDTH, BATCH = 16, 10, 0.25, 64
PATHS, ROUNDS, WARM_UP, LR, MAX_NORM = 40, 7, 2, 1e-3, 5.0


def conv_bn(
    source: int, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(source, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out)]


class InvertedResidual(nn.Module):
    """The block of torchvision.models.MobileNetV2, with a free kernel size."""

    def __init__(self, source: int, out: int, stride: int, kernel: int, expand: int):
        super().__init__()
        mid = source * expand
        layers = [*conv_bn(source, mid, 1), nn.ReLU6(inplace=True)] if expand > 1 else []
        layers += [*conv_bn(mid, mid, kernel, stride, groups=mid), nn.ReLU6(inplace=True)]
        self.conv = nn.Sequential(*layers, *conv_bn(mid, out, 1))
        self.residual = stride == 1 and source == out

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        return x + self.conv(x) if self.residual else self.conv(x)


class PlainChain(nn.Module):
    """A chain of inverted residuals, written by hand."""

    def __init__(self, space: SearchSpace, arch: np.ndarray):
        super().__init__()
        blocks: list[nn.Module] = []
        stem, first, head, *chosen = space.workloads(arch)
        blocks += [*conv_bn(3, stem.out_channels, 3, stem.stride), nn.ReLU6(inplace=True)]
        for block in (first, *chosen):
            if isinstance(block.op, Identity):
                continue
            assert isinstance(block.op, MBConv)
            shape = (block.in_channels, block.out_channels, block.stride)
            blocks.append(InvertedResidual(*shape, block.op.kernel, block.op.expand))
        assert isinstance(head.op, ConvHead)
        blocks += [*conv_bn(head.in_channels, head.op.hidden, 1), nn.ReLU6(inplace=True)]
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(head.op.hidden, head.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))


class ReLUConv(nn.Sequential):
    """ReLU, convolution, batch-norm."""

    def __init__(self, source: int, out: int, kernel: int, stride: int = 1):
        super().__init__(nn.ReLU(), *conv_bn(source, out, kernel, stride))


class Zeros(nn.Module):
    """No edge."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(x)


def edge(op: Op, channels: int) -> nn.Module:
    if isinstance(op, ReLUConvBN):
        return ReLUConv(channels, channels, op.kernel)
    if isinstance(op, AvgPool):
        return nn.AvgPool2d(op.kernel, 1, op.kernel // 2, count_include_pad=False)
    return Zeros() if isinstance(op, Zero) else nn.Identity()


class PlainCell(nn.Module):
    """Four nodes, each the sum of one edge from every node before it."""

    def __init__(self, ops: list[Op], channels: int):
        super().__init__()
        self.edges = nn.ModuleList(edge(op, channels) for op in ops)

    def forward(self, x: Tensor) -> Tensor:
        """The cell."""
        first, second, third, *into_last = self.edges
        a = first(x)
        b = second(x) + third(a)
        return into_last[0](x) + into_last[1](a) + into_last[2](b)


class PlainReduction(nn.Module):
    """The residual block between two stages."""

    def __init__(self, source: int, out: int):
        super().__init__()
        self.conv_a, self.conv_b = ReLUConv(source, out, 3, 2), ReLUConv(out, out, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(source, out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """The block."""
        return self.shortcut(x) + self.conv_b(self.conv_a(x))


class PlainCells(nn.Module):
    """Three stages of cells, written by hand."""

    def __init__(self, space: SearchSpace, arch: np.ndarray):
        super().__init__()
        ops = [decision.choices[at] for decision, at in zip(space.decisions, arch, strict=True)]
        channels = space.arguments["channels"]
        layers = conv_bn(3, channels, 3)
        for stage in range(3):
            if stage:
                layers.append(PlainReduction(channels, 2 * channels))
                channels *= 2
            layers += [PlainCell(ops, channels) for _ in range(space.arguments["cells"])]
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(channels, space.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.features(x).mean((2, 3)))


def plain_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> float:
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), MAX_NORM, foreach=True)
    optimizer.step()
    return loss.item()


def main() -> None:
    deployed = spaces.space("proxyless", input_size=224, classes=CLASSES)
    compare(spaces.proxy(deployed, INPUT_SIZE, CLASSES, WIDTH), PlainChain)
    cells = spaces.space("nasbench201", classes=CLASSES)
    compare(spaces.proxy(cells, INPUT_SIZE, CLASSES, 1), PlainCells)


def compare(space: SearchSpace, plain: Callable[[SearchSpace, np.ndarray], nn.Module]) -> None:
    images = torch.randn(BATCH, 3, INPUT_SIZE, INPUT_SIZE)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (BATCH,))
    supernets = {sharing: Supernet(space, sharing=sharing, seed=0) for sharing in SHARINGS}
    optimizers = {sharing: make_optimizer(net) for sharing, net in supernets.items()}
    seconds = np.empty((PATHS, ROUNDS, 1 + len(SHARINGS)))
    for path, arch in enumerate(space.sample(PATHS, seed=0)):
        network = plain(space, arch).to(memory_format=torch.channels_last)
        parameters = sum(p.numel() for p in network.parameters())
        assert parameters == space.params(arch)[0], "not the same architecture"
        optimizer = make_optimizer(network)
        for group in optimizer.param_groups:
            group["lr"] = LR
        steps: list[Callable[[], float]] = [
            lambda n=network, o=optimizer: plain_step(n, o, images, labels)
        ]
        steps += [
            lambda s=s, a=arch: train_step(
                supernets[s], optimizers[s], images, labels, a, lr=LR, max_norm=MAX_NORM
            )
            for s in SHARINGS
        ]
        for turn in range(WARM_UP + ROUNDS):
            for which, step in enumerate(steps):
                began = time.perf_counter()
                step()
                if turn >= WARM_UP:
                    seconds[path, turn - WARM_UP, which] = time.perf_counter() - began

    print(
        f"{space!r}: {INPUT_SIZE} x {INPUT_SIZE} pixels, batch {BATCH}, {PATHS} random paths, "
        f"{torch.get_num_threads()} threads"
    )
    times = np.median(seconds, axis=1)
    ratios = times / times[:, :1]
    print("network             median step  against plain: median  10 % to 90 % of paths")
    for which, name in enumerate(("plain", *(f"supernet, {s}" for s in SHARINGS))):
        low, high = np.quantile(ratios[:, which], (0.1, 0.9))
        print(
            f"{name:19} {1e3 * np.median(times[:, which]):8.1f} ms "
            f"{np.median(ratios[:, which]):22.3f}  {low:12.3f} to {high:.3f}"
        )


if __name__ == "__main__":
    main()
