"""A space whose costs are no sums: whether a branch is there hangs on another decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hwnas.ops import Classifier, Identity, Op, ReLUConvBN, Shape, Stem, Workload
from hwnas.spaces import Decision, SearchSpace, Slot
from hwnas.spaces.layout import format_tokens, parse_tokens

_BLOCKS: tuple[Op, ...] = (ReLUConvBN(1), ReLUConvBN(3))


@dataclass(frozen=True)
class Branches:
    """A stem; a block that may be skipped; where it is not, a branch beside it; a head on both.

    The head reads the block's channels, or those of block and branch one after the other.
    """

    input_shape: Shape
    classes: int
    channels: int
    additive = False
    sequential = False
    cell = None

    @property
    def decisions(self):
        return (Decision("block", (*_BLOCKS, Identity())), Decision("branch", _BLOCKS))

    @cached_property
    def slots(self):
        image, height, width = self.input_shape
        c = self.channels

        def at(op, inside, out):
            return Workload(op, inside, out, 1, height, width)

        block, branch = self.decisions[:2]
        return (
            Slot("stem", (at(Stem(3), image, c),)),
            Slot("block", tuple(at(op, c, c) for op in block.choices), 0),
            Slot("branch", tuple(at(op, c, c) for op in branch.choices), 1),
            Slot("head", tuple(at(Classifier(), n * c, self.classes) for n in (1, 2))),
        )

    def path(self, arch: Sequence[int]):
        block, branch = arch
        return (0, 2, None, 0) if block == 2 else (0, block, branch, 1)

    def wire(self, path, x, run, add, concat):
        x = run(0, x)
        y = run(1, x)
        if path[2] is not None:
            y = concat("both", [y, run(2, x)])
        return run(3, y)

    def parse(self, text: str):
        return parse_tokens(self.decisions, text)

    def format(self, arch: Sequence[int]):
        return format_tokens(self.decisions, arch)


def branches(input_size: int = 8, classes: int = 3, channels: int = 4) -> SearchSpace:
    """Six architectures, of which two are one network."""
    arguments = {"input_size": input_size, "classes": classes, "channels": channels}
    layout = Branches((3, input_size, input_size), classes, channels)
    return SearchSpace("branches", arguments, layout)
