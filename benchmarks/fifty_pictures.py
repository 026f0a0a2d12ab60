"""Networks that find, segment, make or read pictures and points, small and with random weights.

Every function returns a network and what it is called with; see fifty_models.py.
"""

from itertools import pairwise

import torch
from fifty_classifiers import RELU, SILU, Branches, Network, image, rows_of_blocks
from onnx_networks import Residual, conv
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "centernet", "crnn", "dcgan", "deeplab", "detr", "espcn", "pointnet", "srresnet", "ssd",
    "style_transfer", "unet", "yolo",
]  # fmt: skip


class Pyramid(nn.Module):
    """Stages one after the other; a head reads what each of the last ones makes."""

    def __init__(self, stages: list[nn.Module], heads: list[nn.Module]):
        super().__init__()
        self.stages, self.heads = nn.ModuleList(stages), nn.ModuleList(heads)

    def forward(self, x: Tensor) -> list[Tensor]:
        made = []
        for stage in self.stages:
            x = stage(x)
            made.append(x)
        last = made[-len(self.heads) :]
        return [head(y) for head, y in zip(self.heads, last, strict=True)]


class Upscaled(nn.Module):
    """A part's result, as large as another tensor or as what went in."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.part(x), x.shape[2:], mode="bilinear", align_corners=False)


class C3(nn.Module):
    def __init__(self, width: int, depth: int):
        super().__init__()
        half = width // 2
        self.one, self.two = (conv(width, half, act=SILU) for _ in range(2))
        body = [nn.Sequential(conv(half, half, act=SILU), conv(half, half, 3, act=SILU))
                for _ in range(depth)]  # fmt: skip
        self.body = nn.Sequential(*(Residual(part, None, act=False) for part in body))
        self.end = conv(width, width, act=SILU)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(torch.cat([self.body(self.one(x)), self.two(x)], 1))


class Yolo(nn.Module):
    """A pyramid of three stages up and down again, and boxes in pixels."""

    def __init__(self, width: int = 16, classes: int = 20):
        super().__init__()
        w = width
        self.stem = nn.Sequential(
            conv(3, w, 3, 2, act=SILU), conv(w, 2 * w, 3, 2, act=SILU), C3(2 * w, 1)
        )
        self.down = nn.ModuleList(
            nn.Sequential(conv(n * w, 2 * n * w, 3, 2, act=SILU), C3(2 * n * w, 1))
            for n in (2, 4, 8)
        )
        self.narrow = nn.ModuleList([conv(16 * w, 8 * w, act=SILU), conv(8 * w, 4 * w, act=SILU)])
        self.join = nn.ModuleList([conv(16 * w, 8 * w, 3, act=SILU), conv(8 * w, 4 * w, 3)])
        self.heads = nn.ModuleList(nn.Conv2d(n * w, 3 * (5 + classes), 1) for n in (4, 8, 16))
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        a = self.down[0](self.stem(x))
        b = self.down[1](a)
        c = self.down[2](b)
        b = self.join[0](torch.cat([b, F.interpolate(self.narrow[0](c), scale_factor=2.0)], 1))
        a = self.join[1](torch.cat([a, F.interpolate(self.narrow[1](b), scale_factor=2.0)], 1))
        made = []
        for head, y in zip(self.heads, (a, b, c), strict=True):
            raw = head(y)
            n, _, height, width = raw.shape
            raw = raw.view(n, 3, 5 + self.classes, height, width).permute(0, 1, 3, 4, 2)
            xy, wh, rest = raw.sigmoid().split((2, 2, 1 + self.classes), 4)
            made.append(torch.cat([xy * 2 - 0.5, (wh * 2) ** 2 * 8, rest], 4).flatten(1, 3))
        return torch.cat(made, 1)


def yolo() -> Network:
    return Yolo(), image(256)


def ssd() -> Network:
    """MobileNet with six anchors at three scales."""
    rows = [(1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 32, 2, 3, 2), (6, 64, 2, 3, 2)]
    blocks, inp = rows_of_blocks(rows, 32, nn.ReLU6(), False)
    first = nn.Sequential(conv(3, 32, 3, 2, act=nn.ReLU6()), *blocks)
    stages = [first, conv(inp, 128, 3, 2, act=RELU), conv(128, 96, 3, 2, act=RELU)]
    heads = [nn.Sequential(nn.Conv2d(width, 6 * 25, 3, padding=1), nn.Flatten(2), nn.Sigmoid())
             for width in (inp, 128, 96)]  # fmt: skip
    return Pyramid(stages, heads), image(240)


class Detr(nn.Module):
    def __init__(self, width: int = 128, queries: int = 50):
        super().__init__()
        strided = [conv(a, b, 3, 2, act=RELU) for a, b in ((3, 32), (32, 64), (64, 96), (96, 192))]
        self.backbone = nn.Sequential(*strided, nn.Conv2d(192, width, 1))
        self.transformer = nn.Transformer(width, 4, 2, 2, 512, batch_first=True)
        self.queries = nn.Parameter(torch.randn(1, queries, width))
        self.places = nn.Parameter(torch.randn(1, 196, width))
        self.classes, self.boxes = nn.Linear(width, 21), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.backbone(x).flatten(2).transpose(1, 2) + self.places
        found = self.transformer(seen, self.queries)
        return self.classes(found), self.boxes(found).sigmoid()


def detr() -> Network:
    return Detr().eval(), image(224)


def centernet() -> Network:
    """Transposed convolutions up to a map of heat."""
    down = [conv(a, b, 3, 2, act=RELU) for a, b in ((3, 24), (24, 48), (48, 96), (96, 160))]
    up = [nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), RELU)
          for a, b in ((160, 96), (96, 64))]  # fmt: skip
    heads = Branches(*(nn.Sequential(conv(64, 48, 3, act=RELU), nn.Conv2d(48, out, 1))
                       for out in (20, 2, 2)))  # fmt: skip
    return nn.Sequential(*down, *up, heads, nn.Sigmoid()), image(208)


class UNet(nn.Module):
    def __init__(self, inp: int, widths: tuple[int, ...]):
        super().__init__()
        first, rest = widths[0], widths[1:]
        self.enter = nn.Sequential(conv(inp, first, 3, act=RELU), conv(first, first, 3, act=RELU))
        self.inner: nn.Module | None = None
        if rest:
            up = nn.ConvTranspose2d(rest[0], first, 2, 2)
            self.inner = nn.Sequential(nn.MaxPool2d(2), UNet(first, rest), up)
            self.leave = nn.Sequential(
                conv(2 * first, first, 3, act=RELU), conv(first, first, 3, act=RELU)
            )

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return x if self.inner is None else self.leave(torch.cat([x, self.inner(x)], 1))


def unet() -> Network:
    return nn.Sequential(UNet(1, (16, 32, 64, 128)), nn.Conv2d(16, 2, 1)), image(128, 1)


def deeplab() -> Network:
    """Dilated 3x3 convolutions beside each other over a mobile network, and pixels at the end."""
    rows = [(1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 32, 3, 3, 2), (6, 64, 3, 3, 2)]
    blocks, inp = rows_of_blocks(rows, 24, nn.ReLU6(), False)
    rates = [nn.Sequential(nn.Conv2d(inp, 64, 3, padding=rate, dilation=rate), RELU)
             for rate in (2, 4, 8)]  # fmt: skip
    whole = Upscaled(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inp, 64, 1), RELU))
    pyramid = Branches(conv(inp, 64, act=RELU), *rates, whole)
    ends = [conv(320, 96, act=RELU), nn.Conv2d(96, 19, 1)]
    stem = conv(3, 24, 3, 2, act=nn.ReLU6())
    return Upscaled(nn.Sequential(stem, *blocks, pyramid, *ends)), image(240)


def espcn() -> Network:
    """Super resolution by a factor of three, of one channel."""
    layers = [nn.Conv2d(1, 64, 5, padding=2), nn.Tanh(), nn.Conv2d(64, 32, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*layers, nn.Conv2d(32, 9, 3, padding=1), nn.PixelShuffle(3)), image(96, 1)


def srresnet(width: int = 40) -> Network:
    """Super resolution with slopes that are learnt for each channel."""
    body = [Residual(nn.Sequential(conv(width, width, 3, act=nn.PReLU(width)),
                                   conv(width, width, 3)), None, act=False)
            for _ in range(4)]  # fmt: skip
    up = [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(width)]
    ends = nn.Conv2d(3, width, 9, padding=4), nn.PReLU(width), nn.Conv2d(width, 3, 9, padding=4)
    return nn.Sequential(*ends[:2], *body, *up, ends[2]), image(64)


def style_transfer() -> Network:
    def layer(inp: int, out: int, k: int, stride: int = 1) -> list[nn.Module]:
        return [nn.ReflectionPad2d(k // 2), nn.Conv2d(inp, out, k, stride),
                nn.InstanceNorm2d(out, affine=True)]  # fmt: skip

    layers: list[nn.Module] = [*layer(3, 24, 9), RELU, *layer(24, 48, 3, 2), RELU]
    layers += [*layer(48, 96, 3, 2), RELU]
    for _ in range(3):
        body = nn.Sequential(*layer(96, 96, 3), RELU, *layer(96, 96, 3))
        layers.append(Residual(body, None, act=False))
    for inp, out in ((96, 48), (48, 24)):
        layers += [nn.Upsample(scale_factor=2), *layer(inp, out, 3), RELU]
    return nn.Sequential(*layers, nn.ReflectionPad2d(4), nn.Conv2d(24, 3, 9)), image(128)


def dcgan() -> Network:
    """From noise to a picture, by transposed convolutions alone."""
    layers: list[nn.Module] = []
    for inp, out, stride in ((100, 256, 1), (256, 128, 2), (128, 64, 2), (64, 32, 2)):
        layers += [nn.ConvTranspose2d(inp, out, 4, stride, stride - 1, bias=False),
                   nn.BatchNorm2d(out), RELU]  # fmt: skip
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh()), (
        torch.randn(1, 100, 1, 1),
    )


class PointNet(nn.Module):
    """Every point alone, then the largest of all."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 64, 64, 128, 512)
        self.points = nn.Sequential(
            *(
                nn.Sequential(nn.Conv1d(a, b, 1), nn.BatchNorm1d(b), RELU)
                for a, b in pairwise(widths)
            )
        )
        self.head = nn.Sequential(nn.Linear(512, 256), RELU, nn.Linear(256, 40))

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.head(self.points(x).amax(2)), -1)


def pointnet() -> Network:
    return PointNet(), (torch.randn(1, 3, 1024),)


class Crnn(nn.Module):
    """Text in an image: columns of a convolutional network, read by an LSTM both ways."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inp, out, pool in ((1, 32, (2, 2)), (32, 64, (2, 2)), (64, 128, (2, 1)),
                               (128, 128, (4, 1))):  # fmt: skip
            layers += [conv(inp, out, 3, act=RELU), nn.MaxPool2d(pool)]
        self.columns = nn.Sequential(*layers)
        self.reader = nn.LSTM(128, 96, 2, bidirectional=True)
        self.letters = nn.Linear(192, 63)

    def forward(self, x: Tensor) -> Tensor:
        return self.letters(self.reader(self.columns(x).squeeze(2).permute(2, 0, 1))[0])


def crnn() -> Network:
    return Crnn(), (torch.randn(1, 1, 32, 160),)
