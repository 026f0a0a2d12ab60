"""Networks that classify images and sounds, small and with random weights.

Every function returns a network and what it is called with; see fifty_models.py.
"""

import torch
from onnx_networks import Residual, conv, inverted
from torch import Tensor, nn

__all__ = [
    "RELU", "SILU", "Branches", "Network", "efficientnet", "image", "inception", "keywords",
    "mlp_mixer", "mnasnet", "repvgg", "resnext", "rows_of_blocks", "shufflenet",
    "visual_wake_words",
]  # fmt: skip

Network = tuple[nn.Module, tuple[Tensor, ...]]
RELU, SILU = nn.ReLU(), nn.SiLU()


def image(size: int, channels: int = 3) -> tuple[Tensor, ...]:
    return (torch.randn(1, channels, size, size),)


def classifier(width: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


class Branches(nn.Module):
    """Parts that read the same, and are joined by channels."""

    def __init__(self, *parts: nn.Module):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Images of n channels for each part: of the sum of what the parts make."""
        return torch.cat([part(x) for part in self.parts], 1)


def resnext() -> Network:
    layers: list[nn.Module] = [conv(3, 32, 7, 2, act=RELU), nn.MaxPool2d(3, 2, 1)]
    inp = 32
    for width, strides in ((64, (1, 1)), (128, (2, 1)), (256, (2, 1, 1)), (512, (2, 1))):
        for stride in strides:
            middle = conv(width, width, 3, stride, 16, RELU)
            body = nn.Sequential(conv(inp, width, act=RELU), middle, conv(width, 2 * width))
            same = stride == 1 and inp == 2 * width
            layers.append(Residual(body, None if same else conv(inp, 2 * width, 1, stride)))
            inp = 2 * width
    return nn.Sequential(*layers, *classifier(inp, 200)), image(176)


def inception() -> Network:
    def block(inp: int, one: int, three: tuple[int, int], five: tuple[int, int]) -> nn.Module:
        return Branches(
            conv(inp, one, act=RELU),
            nn.Sequential(conv(inp, three[0], act=RELU), conv(*three, 3, act=RELU)),
            nn.Sequential(conv(inp, five[0], act=RELU), conv(*five, 5, act=RELU)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inp, one // 2, act=RELU)),
        )

    return nn.Sequential(
        conv(3, 48, 7, 2, act=RELU), nn.MaxPool2d(3, 2, 1), conv(48, 144, 3, act=RELU),
        nn.MaxPool2d(3, 2, 1), block(144, 64, (80, 112), (16, 32)),
        block(240, 112, (112, 176), (24, 56)), nn.MaxPool2d(3, 2, 1),
        block(400, 144, (88, 208), (20, 48)), block(472, 120, (104, 232), (24, 64)),
        *classifier(476, 365),
    ), image(192)  # fmt: skip


def separable(inp: int, out: int, stride: int = 1, act: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(conv(inp, inp, 3, stride, inp), conv(inp, out, act=act))


def repvgg() -> Network:
    """As it is deployed: 3x3 convolutions and nothing else."""
    layers: list[nn.Module] = []
    inp = 3
    for out, depth in ((40, 1), (40, 2), (80, 3), (168, 5), (640, 1)):
        for at in range(depth):
            layers += [nn.Conv2d(inp, out, 3, 1 if at else 2, 1), RELU]
            inp = out
    return nn.Sequential(*layers, *classifier(inp, 1000)), image(208)


def rows_of_blocks(
    rows: list[tuple[int, int, int, int, int]], inp: int, act: nn.Module, gated: bool
) -> tuple[list[nn.Module], int]:
    layers = []
    for expand, out, depth, k, stride in rows:
        for at in range(depth):
            layers.append(inverted(inp, inp * expand, out, k, 1 if at else stride, act, gated))
            inp = out
    return layers, inp


def efficientnet() -> Network:
    rows = [(1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2),
            (6, 112, 3, 5, 1), (6, 192, 4, 5, 2), (6, 320, 1, 3, 1)]  # fmt: skip
    blocks, inp = rows_of_blocks(rows, 32, SILU, True)
    ends = conv(3, 32, 3, 2, act=SILU), conv(inp, 1280, act=SILU)
    return nn.Sequential(ends[0], *blocks, ends[1], *classifier(1280, 1000)), image(192)


def mnasnet() -> Network:
    rows = [(3, 24, 3, 3, 2), (3, 40, 3, 5, 2), (6, 80, 3, 5, 2), (6, 96, 2, 3, 1),
            (6, 192, 4, 5, 2), (6, 320, 1, 3, 1)]  # fmt: skip
    blocks, inp = rows_of_blocks(rows, 16, RELU, False)
    stem = conv(3, 32, 3, 2, act=RELU), separable(32, 16)
    return nn.Sequential(*stem, *blocks, conv(inp, 1280, act=RELU), *classifier(1280, 1000)), image(
        144
    )


def shufflenet(groups: int = 3) -> Network:
    """Its first version: grouped 1x1 convolutions, and channels that are shuffled."""

    def block(inp: int, out: int, stride: int) -> nn.Module:
        mid = 60
        body = [conv(inp, mid, groups=groups, act=RELU), nn.ChannelShuffle(groups),
                conv(mid, mid, 3, stride, mid)]  # fmt: skip
        if stride == 1:
            return Residual(nn.Sequential(*body, conv(mid, out, groups=groups)), None)
        narrow = conv(mid, out - inp, groups=groups)
        return nn.Sequential(Branches(nn.AvgPool2d(3, 2, 1), nn.Sequential(*body, narrow)), RELU)

    layers: list[nn.Module] = [conv(3, 24, 3, 2, act=RELU), nn.MaxPool2d(3, 2, 1)]
    inp = 24
    for out, depth in ((240, 4), (480, 6), (960, 3)):
        for at in range(depth):
            layers.append(block(inp, out, 1 if at else 2))
            inp = out
    return nn.Sequential(*layers, *classifier(inp, 1000)), image(224)


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Mixed(nn.Module):
    """A part that sees tokens and channels exchanged."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x.transpose(1, 2)).transpose(1, 2)


def mlp_mixer(width: int = 256, depth: int = 6) -> Network:
    def mlp(inner: int, outer: int) -> nn.Module:
        return nn.Sequential(nn.Linear(inner, outer), nn.GELU(), nn.Linear(outer, inner))

    layers: list[nn.Module] = [nn.Conv2d(3, width, 16, 16), nn.Flatten(2), Turned()]
    for _ in range(depth):
        tokens = nn.Sequential(nn.LayerNorm(width), Mixed(mlp(100, 128)))
        channels = nn.Sequential(nn.LayerNorm(width), mlp(width, 3 * width))
        layers += [Residual(tokens, None, act=False), Residual(channels, None, act=False)]
    return nn.Sequential(*layers, nn.LayerNorm(width), nn.Flatten(), nn.Linear(100 * width, 10)), (
        image(160)
    )


def visual_wake_words() -> Network:
    """MLPerf Tiny's: a quarter of MobileNet V1."""
    layers: list[nn.Module] = []
    inp = 3
    for out, stride in ((32, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
                        *[(512, 1)] * 5, (1024, 2), (1024, 1)):  # fmt: skip
        out = out // 4
        if layers:
            layers.append(conv(inp, inp, 3, stride, inp, RELU))
        layers.append(conv(inp, out, 1 if layers else 3, 1 if layers else stride, act=RELU))
        inp = out
    return nn.Sequential(*layers, *classifier(inp, 2)), image(96)


def keywords() -> Network:
    """MLPerf Tiny's DS-CNN: 49 frames of ten coefficients."""
    first = [nn.Conv2d(1, 64, (10, 4), 2, (5, 1)), nn.BatchNorm2d(64), RELU]
    blocks = [nn.Sequential(conv(64, 64, 3, 1, 64, RELU), conv(64, 64, act=RELU)) for _ in range(4)]
    return nn.Sequential(*first, *blocks, *classifier(64, 12)), (torch.randn(1, 1, 49, 10),)
