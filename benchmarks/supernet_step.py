"""A single-path supernet step against a plain torch network of the same architecture.

The plain network is written by hand, as torchvision writes MobileNetV2. Both train the same batch
with the same optimizer, in turn, over random paths. Run it on an idle machine:
python benchmarks/supernet_step.py
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwnas import spaces
from hwnas.ops import ConvHead, Identity, MBConv, Workload
from hwnas.supernet import Supernet, load_data, make_optimizer, train_step

INPUT_SIZE, WIDTH, BATCH = 16, 0.25, 128
PATHS, REPEATS = 12, 7


def conv_bn(source: int, out: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
    conv = nn.Conv2d(source, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out)]


class Bottleneck(nn.Module):
    """An inverted residual."""

    def __init__(self, workload: Workload):
        super().__init__()
        op, source, out = workload.op, workload.in_channels, workload.out_channels
        assert isinstance(op, MBConv)
        mid = source * op.expand
        layers: list[nn.Module] = []
        if op.expand > 1:
            layers += [*conv_bn(source, mid, 1, 1, 1), nn.ReLU6(inplace=True)]
        layers += [*conv_bn(mid, mid, op.kernel, workload.stride, mid), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*layers, *conv_bn(mid, out, 1, 1, 1))
        self.residual = workload.stride == 1 and source == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class Plain(nn.Module):
    """One architecture of ``proxyless``, with no trace of a search."""

    def __init__(self, space: spaces.SearchSpace, arch: np.ndarray):
        super().__init__()
        fixed = space.workloads(arch)
        stem, first, head, *blocks = fixed
        assert isinstance(head.op, ConvHead)
        chosen = [Bottleneck(w) for w in blocks if not isinstance(w.op, Identity)]
        self.features = nn.Sequential(
            *conv_bn(stem.in_channels, stem.out_channels, 3, stem.stride, 1),
            nn.ReLU6(inplace=True),
            Bottleneck(first),
            *chosen,
            *conv_bn(head.in_channels, head.op.hidden, 1, 1, 1),
            nn.ReLU6(inplace=True),
        )
        self.classifier = nn.Linear(head.op.hidden, head.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def plain_step(
    module: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(module(images), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 5.0, foreach=True)
    optimizer.step()
    loss.item()


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    data = load_data("digits", input_size=INPUT_SIZE)
    deployed = spaces.space("proxyless", classes=data.classes)
    space = spaces.proxy(deployed, INPUT_SIZE, data.classes, WIDTH)
    images = torch.from_numpy(data.to_float(data.train_images[:BATCH]))
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(data.train_labels[:BATCH])
    print(f"{PATHS} random paths, batch {BATCH}, {torch.get_num_threads()} threads")
    print("weights    supernet ms  plain ms  ratio (median over the paths)  allowed")
    for sharing, allowed in (("separate", 1.05), ("slices", 1.25)):
        supernet = Supernet(space, sharing=sharing, seed=0)
        optimizer = make_optimizer(supernet)
        times = []
        for arch in space.sample(PATHS, seed=1):
            plain = Plain(space, arch).to(memory_format=torch.channels_last)
            own = make_optimizer(plain)

            def shared(arch: np.ndarray = arch) -> None:
                train_step(supernet, optimizer, images, labels, arch, rate=1e-3)

            def alone(plain: nn.Module = plain, own: torch.optim.Optimizer = own) -> None:
                plain_step(plain, own, images, labels)

            for _ in range(3):  # kernels are compiled in the first steps
                shared()
                alone()
            pairs = [(seconds(shared), seconds(alone)) for _ in range(REPEATS)]
            times.append(np.median(pairs, axis=0))
        table = 1000 * np.array(times)
        ratio = float(np.median(table[:, 0] / table[:, 1]))
        middle = np.median(table, axis=0)
        print(f"{sharing:9s}  {middle[0]:11.1f}  {middle[1]:8.1f}  {ratio:5.3f}  {allowed:32.2f}")


if __name__ == "__main__":
    main()
