"""A space of fire modules, as a person from outside writes one; its neighbour has the operator."""

from fire_ops import Fire

from hwnas.ops import Classifier, Identity, Stem
from hwnas.spaces import SearchSpace, SpaceEntry
from hwnas.spaces.chain import chain

_BLOCKS = tuple(Fire(squeeze, kernel) for squeeze in (2, 4) for kernel in (3, 5))


def fire(input_size: int = 16, classes: int = 4, width: int = 8) -> SearchSpace:
    """Three decisions: 4 * 5 * 4 architectures."""
    specs = (
        ("stem", Stem(3), width, 2),
        ("fire1", _BLOCKS, 2 * width, 1),
        ("fire2", (*_BLOCKS, Identity()), 2 * width, 1),
        ("fire3", _BLOCKS, 4 * width, 2),
        ("head", Classifier(), classes, 1),
    )
    arguments = {"input_size": input_size, "classes": classes, "width": width}
    return SearchSpace("fire", arguments, chain((3, input_size, input_size), specs))


def narrow(space: SearchSpace, input_size: int, classes: int, factor: float) -> SearchSpace:
    """The same decisions with fewer channels."""
    width = max(4, int(space.arguments["width"] * factor) // 4 * 4)
    return fire(input_size, classes, width)


ENTRY = SpaceEntry("fire", fire, narrow, base_lr=1e-2)
