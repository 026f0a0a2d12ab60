"""A second classifier in the middle of a network of cells, which only training needs."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.arrays import IntArray
from hwnas.errors import OptionError
from hwnas.ops import Graph
from hwnas.ops.module import initialise
from hwnas.spaces import SearchSpace
from hwnas.supernet import concat_values

__all__ = ["AuxiliaryHead", "auxiliary_join", "auxiliary_place", "mixed_head"]


class AuxiliaryHead(nn.Module):
    """Classifies the output of the second reduction (DARTS' code, after Szegedy et al., 2015).

    It pools to 2x2 whatever the size of the map, which at the paper's 8x8 is 5x5 at stride 3
    there and 4x4 here.

    Args:
        channels: of what it reads.
        classes: of its logits.

    Attributes:
        seen: what it classifies, (n, channels, height, width); set by whoever runs the network.
    """

    seen: Tensor

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, classes),
        )

    def look(self, x: Tensor) -> Tensor:
        """Remember a value and hand it on."""
        self.seen = x
        return x

    def concat_at(self, name: str) -> Callable[[str, Sequence[Tensor]], Tensor]:
        """What joins the channels of a supernet, and looks at the join of this name."""

        def concat(at: str, parts: Sequence[Tensor]) -> Tensor:
            joined = concat_values(at, parts)
            return self.look(joined) if at == name else joined

        return concat

    def forward(self) -> Tensor:
        """Logits (n, classes) of what was seen last, which is let go."""
        seen, self.seen = self.seen, torch.empty(0)
        logits: Tensor = self.layers(seen)
        return logits


def auxiliary_join(space: SearchSpace) -> str:
    """The name of the join whose value the head reads, whatever is chosen.

    Raises:
        OptionError: the layout has no place for one.
    """
    name: str | None = getattr(space.layout, "auxiliary", None)
    if name is None:
        raise OptionError(
            f"an auxiliary head reads the second reduction of networks like DARTS', {space.name} "
            "has none: train with auxiliary 0"
        )
    return name


def auxiliary_place(space: SearchSpace, arch: IntArray) -> tuple[int, int]:
    """The node whose value the head reads, and its channels.

    Raises:
        OptionError: the layout has no place for one.
    """
    graph = space.graph(arch)
    at = _last_below(graph, auxiliary_join(space))
    return at, graph.shape(at)[0]


def mixed_head(
    space: SearchSpace, seed: int
) -> tuple[AuxiliaryHead, Callable[[str, Sequence[Tensor]], Tensor]]:
    """A head for all candidates at once, and what lets it look; see `hwnas.supernet.mixed_logits`.

    Args:
        space: whose candidates are mixed.
        seed: of its weights.

    Raises:
        OptionError: the layout has no place for one.
    """
    any_arch = np.zeros(len(space.decisions), np.int64)
    _, channels = auxiliary_place(space, any_arch)
    head = AuxiliaryHead(channels, space.classes)
    initialise(head, seed)
    return head, head.concat_at(auxiliary_join(space))


def _last_below(graph: Graph, name: str) -> int:
    return max(at for at, node in enumerate(graph.nodes) if node.name.startswith(f"{name}."))
