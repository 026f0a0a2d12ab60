"""Ten networks as torchvision defines them, written from their papers; weights are random.

Families: ResNet (He et al. 2016), MobileNet V2 and V3 (Sandler et al. 2018, Howard et al. 2019),
and convolution-only classics: VGG, SqueezeNet, DenseNet.
"""

import io
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["NETWORKS", "export"]


def conv(
    inp: int, out: int, k: int = 1, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inp, out, k, stride, k // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([act] if act is not None else []))


class Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module | None, act: bool = True):
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut or nn.Identity(), act

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x) + self.shortcut(x)
        return F.relu(y) if self.act else y


def resnet(depths: tuple[int, ...], bottleneck: bool) -> nn.Module:
    relu = nn.ReLU()
    layers: list[nn.Module] = [conv(3, 64, 7, 2, act=relu), nn.MaxPool2d(3, 2, 1)]
    inp = 64
    for stage, depth in enumerate(depths):
        mid = 64 * 2**stage
        out = mid * (4 if bottleneck else 1)
        for block in range(depth):
            stride = 2 if stage and not block else 1
            if bottleneck:
                parts = [conv(inp, mid, act=relu), conv(mid, mid, 3, stride, act=relu)]
                body = nn.Sequential(*parts, conv(mid, out))
            else:
                body = nn.Sequential(conv(inp, mid, 3, stride, act=relu), conv(mid, out, 3))
            same = stride == 1 and inp == out
            layers.append(Residual(body, None if same else conv(inp, out, 1, stride)))
            inp = out
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inp, 1000)]
    return nn.Sequential(*layers, *head)


class SqueezeExcite(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.down, self.up = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
        return x * F.hardsigmoid(self.up(y))


def divisible(v: float) -> int:
    rounded = max(8, int(v + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * v else rounded


def inverted(
    inp: int, mid: int, out: int, k: int, stride: int, act: nn.Module, gated: bool = False
) -> nn.Module:
    parts: list[nn.Module] = [] if mid == inp else [conv(inp, mid, act=act)]
    parts.append(conv(mid, mid, k, stride, mid, act=act))
    if gated:
        parts.append(SqueezeExcite(mid, divisible(mid / 4)))
    body = nn.Sequential(*parts, conv(mid, out))
    return Residual(body, None, act=False) if stride == 1 and inp == out else body


def mobilenet_v2(mult: float = 1.0) -> nn.Module:
    relu6 = nn.ReLU6()
    rows = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
        (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]  # fmt: skip
    inp = divisible(32 * mult)
    layers: list[nn.Module] = [conv(3, inp, 3, 2, act=relu6)]
    for expand, channels, depth, stride in rows:
        out = divisible(channels * mult)
        for block in range(depth):
            layers.append(inverted(inp, inp * expand, out, 3, 1 if block else stride, relu6))
            inp = out
    layers.append(conv(inp, 1280, act=relu6))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


_V3_LARGE = [
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2),
    (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1),
    (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1),
]  # fmt: skip
_V3_SMALL = [
    (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2),
    (5, 240, 40, 1, 1, 1), (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1),
    (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1), (5, 576, 96, 1, 1, 1),
]  # fmt: skip


def mobilenet_v3(rows: list[tuple[int, ...]], last: int) -> nn.Module:
    swish, inp = nn.Hardswish(), 16
    layers: list[nn.Module] = [conv(3, 16, 3, 2, act=swish)]
    for k, mid, out, gated, hard, stride in rows:
        act = swish if hard else nn.ReLU()
        layers.append(inverted(inp, mid, out, k, stride, act, bool(gated)))
        inp = out
    layers.append(conv(inp, 6 * inp, act=swish))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6 * inp, last), swish]
    return nn.Sequential(*layers, *head, nn.Linear(last, 1000))


def vgg(plan: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = []
    inp = 3
    for width in plan:
        if width:
            layers += [nn.Conv2d(inp, width, 3, padding=1), nn.ReLU()]
            inp = width
        else:
            layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Linear(4096, 1000))


class Fire(nn.Module):
    def __init__(self, inp: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inp, squeeze, 1)
        self.one = nn.Conv2d(squeeze, expand, 1)
        self.three = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


def squeezenet() -> nn.Module:
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool, Fire(64, 16, 64), Fire(128, 16, 64), pool,
        Fire(128, 32, 128), Fire(256, 32, 128), pool, Fire(256, 48, 192), Fire(384, 48, 192),
        Fire(384, 64, 256), Fire(512, 64, 256), nn.Conv2d(512, 1000, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class DenseLayer(nn.Module):
    def __init__(self, inp: int, growth: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(inp)
        self.one = conv(inp, 4 * growth, act=nn.ReLU())
        self.three = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.three(self.one(F.relu(self.norm(x))))], 1)


def densenet(depths: tuple[int, ...] = (6, 12, 24, 16), growth: int = 32) -> nn.Module:
    layers: list[nn.Module] = [conv(3, 64, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for stage, depth in enumerate(depths):
        for _ in range(depth):
            layers.append(DenseLayer(width, growth))
            width += growth
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        if stage < len(depths) - 1:
            layers += [nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2)]
            width //= 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000))


_VGG11 = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)

#: Name -> what builds it, and the height and width of its input.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (lambda: resnet((2, 2, 2, 2), False), 224),
    "resnet34": (lambda: resnet((3, 4, 6, 3), False), 192),
    "resnet50": (lambda: resnet((3, 4, 6, 3), True), 224),
    "mobilenet_v2": (mobilenet_v2, 224),
    "mobilenet_v2_x0.5": (lambda: mobilenet_v2(0.5), 160),
    "mobilenet_v3_large": (lambda: mobilenet_v3(_V3_LARGE, 1280), 224),
    "mobilenet_v3_small": (lambda: mobilenet_v3(_V3_SMALL, 1024), 224),
    "vgg11": (lambda: vgg(_VGG11), 224),
    "squeezenet1_1": (squeezenet, 224),
    "densenet121": (densenet, 224),
}


def export(name: str) -> bytes:
    """The network as an ONNX model, as a user would export it."""
    make, size = NETWORKS[name]
    torch.manual_seed(0)
    network = make().eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.randn(1, 3, size, size),), file, dynamo=False, opset_version=17
        )
    return file.getvalue()
