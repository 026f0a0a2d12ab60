"""One node of a runtime's optimised graph at fixed shapes: what really runs, and what it costs."""

import math
import re
from dataclasses import dataclass

from hwnas.errors import UnknownNameError
from hwnas.kernels.macs import count_macs

__all__ = ["Kernel", "Operand", "parse_kernel"]

#: What moves no data: a runtime only names the same memory anew.
_VIEWS = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_CONVOLUTIONS = frozenset({"Conv", "FusedConv", "nchwc.Conv"})


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that goes in or comes out; ``shape`` is None where it is not known before a run."""

    shape: tuple[int, ...] | None
    dtype: str = "float"
    constant: bool = False

    @property
    def elements(self) -> int:
        """How many numbers it holds; 0 where the shape is not known."""
        return 0 if self.shape is None else math.prod(self.shape)

    def __str__(self) -> str:
        dims = "?" if self.shape is None else "x".join(map(str, self.shape)) or "1"
        kind = "" if self.dtype == "float" else f"{self.dtype}:"
        return f"{'w' if self.constant else ''}{kind}{dims}"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A node as its runtime runs it, fusions and layouts included.

    Attributes:
        op: operator, with ``nchwc.`` before it where channels are blocked.
        attributes: those that decide how long it takes, sorted by name.
        inputs, outputs: its tensors; absent optional inputs are left out.
    """

    op: str
    attributes: tuple[tuple[str, str], ...]
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]

    @property
    def key(self) -> str:
        """One stable line: ``nchwc.Conv{activation=Relu}(1x16x8x8,w32x16x3x3,w32)->(1x32x8x8)``."""
        attributes = ",".join(f"{name}={value}" for name, value in self.attributes)
        inputs, outputs = (",".join(map(str, side)) for side in (self.inputs, self.outputs))
        return f"{self.op}{{{attributes}}}({inputs})->({outputs})"

    @property
    def no_op(self) -> bool:
        """True where nothing runs: views, and shape arithmetic without floats."""
        return self.op in _VIEWS

    @property
    def static(self) -> bool:
        """Whether all shapes are known and all numbers are single precision."""
        sides = (*self.inputs, *self.outputs)
        return bool(self.outputs) and all(
            value.shape is not None and (value.dtype == "float" or value.constant)
            for value in sides
        )

    @property
    def family(self) -> str:
        """What it is modelled with: convolutions by their groups, all others by themselves."""
        if self.op not in _CONVOLUTIONS:
            return self.op
        groups = self.groups
        if groups == 1:
            return f"{self.op} dense"
        weights = self.weights.shape or ()
        return f"{self.op} {'depthwise' if weights[1:2] == (1,) else 'grouped'}"

    @property
    def groups(self) -> int:
        """Of a convolution; 1 where not given."""
        return int(self.attribute("group", "1"))

    @property
    def weights(self) -> Operand:
        """The largest constant input; an empty one where there is none."""
        constants = [value for value in self.inputs if value.constant]
        return max(constants, key=lambda value: value.elements, default=Operand((0,)))

    def attribute(self, name: str, default: str) -> str:
        """An attribute's value as text."""
        return dict(self.attributes).get(name, default)

    @property
    def macs(self) -> int:
        """Multiply-accumulates as it runs, channels that a layout adds among them."""
        shapes = [[value.shape for value in side] for side in (self.inputs, self.outputs)]
        if any(shape is None for side in shapes for shape in side):
            return 0
        inputs, outputs = ([shape for shape in side if shape is not None] for side in shapes)
        return count_macs(self.op, dict(self.attributes), inputs, outputs)

    @property
    def elements_in(self) -> int:
        """Numbers read that are not constant."""
        return sum(value.elements for value in self.inputs if not value.constant)

    @property
    def elements_out(self) -> int:
        """Numbers written."""
        return sum(value.elements for value in self.outputs)

    @property
    def elements_constant(self) -> int:
        """Weights read."""
        return sum(value.elements for value in self.inputs if value.constant)


def parse_kernel(key: str) -> Kernel:
    """The kernel whose ``key`` this is; nothing in it is evaluated.

    Raises:
        UnknownNameError: it is not one, letter by letter.
    """
    match = re.fullmatch(r"([\w.]{1,80})\{([^{}()]*)\}\(([^()]*)\)->\(([^()]*)\)", key, re.ASCII)
    if match is not None and len(key) < 2000:
        attributes = tuple(_pair(text) for text in match[2].split(",") if text)
        sides = [[_operand(text) for text in match[i].split(",") if text] for i in (3, 4)]
        if None not in sides[0] + sides[1]:
            inputs, outputs = (tuple(value for value in side if value) for side in sides)
            kernel = Kernel(match[1], attributes, inputs, outputs)
            if kernel.key == key:
                return kernel
    raise UnknownNameError("kernel", key, ["OP{NAME=VALUE,...}(SHAPE,wSHAPE,...)->(SHAPE,...)"])


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _operand(text: str) -> Operand | None:
    match = re.fullmatch(r"(w?)(?:([a-z]\w*):)?(\?|\d{1,9}(?:x\d{1,9})*)", text, re.ASCII)
    if match is None:
        return None
    shape = None if match[3] == "?" else tuple(int(size) for size in match[3].split("x"))
    return Operand(shape, match[2] or "float", bool(match[1]))
