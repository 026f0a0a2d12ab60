"""Single nodes of any size, each with inputs of its own: what drawn networks hold too rarely.

In a network sizes go together: no sum has a large constant, no convolution a large dilation, and
none has few channels and many pixels. A kernel that is unlike all measured ones is only guessed,
so here every size is drawn by itself, from a few numbers to some millions.
"""

from hwnas.profilers.drawn_graph import DrawnGraph
from hwnas.profilers.loose.maps import MAPS
from hwnas.profilers.loose.moves import MOVES
from hwnas.profilers.loose.narrow import NARROW
from hwnas.profilers.loose.products import PRODUCTS

__all__ = ["draw_loose"]


def draw_loose(net: DrawnGraph) -> list[str]:
    """Write a few nodes of each kind, and return what they make."""
    kinds = MAPS | MOVES | PRODUCTS | NARROW
    return [draw(net) for draw, count in kinds.items() for _ in range(count)]
