"""Three families of ordinary modules, at a size that trains in seconds."""

import torch
from torch import Tensor, nn

import hwnas
from hwnas.spaces.family import FamilySpace


def cnn(w1: int, w2: int, k1: int, k2: int) -> nn.Module:
    """Two stages, whose width and kernel are chosen."""
    return nn.Sequential(
        nn.Conv2d(3, w1, k1, 2, k1 // 2, bias=False),
        nn.BatchNorm2d(w1),
        nn.ReLU(inplace=True),
        nn.Conv2d(w1, w2, k2, 2, k2 // 2, bias=False),
        nn.BatchNorm2d(w2),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(w2, 10),
    )


def cnn_space(**changes: object) -> FamilySpace:
    choices = {"w1": [8, 12], "w2": [12, 16, 24], "k1": [3, 5], "k2": [3, 5, 7]}
    return hwnas.family(cnn, choices, input_shape=(3, 8, 8), **changes)  # type: ignore[arg-type]


class Layered(nn.Module):
    """Up to three residual layers, each of its own hidden width."""

    def __init__(self, depth: int, hidden: list[int]):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(8, n, 3, 1, 1), nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, 8, 1)
            )
            for n in hidden[:depth]
        )
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x.mean((2, 3)))


def layered(depth: int, n1: int, n2: int, n3: int) -> nn.Module:
    """Widths of layers beyond the depth are not used."""
    return Layered(depth, [n1, n2, n3])


def layered_space() -> FamilySpace:
    hidden = {f"n{at}": [8, 16] for at in (1, 2, 3)}
    return hwnas.family(layered, {"depth": [1, 2, 3], **hidden}, input_shape=(3, 8, 8))


class Attention(nn.Module):
    """Self-attention whose query, key and value come from one linear layer."""

    def __init__(self, heads: int, width: int, each: int):
        super().__init__()
        self.heads, self.each = heads, each
        self.qkv = nn.Linear(width, 3 * heads * each)
        self.out = nn.Linear(heads * each, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, self.each).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-2, -1) * self.each**-0.5).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


class ViT(nn.Module):
    """A small vision transformer."""

    def __init__(self, heads: int, mlp: int, depth: int, width: int = 16):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.position = nn.Parameter(0.02 * torch.randn(1, 4, width))
        self.attention = nn.ModuleList(Attention(heads, width, 4) for _ in range(depth))
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.Linear(width, mlp), nn.GELU(), nn.Dropout(0.1), nn.Linear(mlp, width))
            for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        for at, (attention, mlp) in enumerate(zip(self.attention, self.mlp, strict=True)):
            x = x + attention(self.norms[2 * at](x))
            x = x + mlp(self.norms[2 * at + 1](x))
        return self.head(x.mean(1))


def vit(heads: int, mlp: int, depth: int) -> nn.Module:
    """A `ViT`."""
    return ViT(heads, mlp, depth)


def vit_space() -> FamilySpace:
    choices = {"heads": [1, 2, 4], "mlp": [16, 32], "depth": [1, 2]}
    return hwnas.family(vit, choices, input_shape=(3, 8, 8), parts={"qkv": 3})
