"""One node of a runtime's optimised graph at fixed shapes: what really runs, and what it costs."""

import math
import re
from dataclasses import dataclass

from hwnas.errors import UnknownNameError
from hwnas.kernels.macs import count_macs

__all__ = ["Kernel", "Operand", "parse_kernel"]

#: What moves no data: a runtime only names the same memory anew.
_VIEWS = frozenset(
    {"Dropout", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze"}
)
_PRODUCTS = frozenset({"FusedGemm", "FusedMatMul", "Gemm", "MatMul"})
_CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "FusedConv", "QLinearConv", "nchwc.Conv"})
#: Operators that run the same code but for one instruction, by the name of their family.
_ALIKE = {
    "FusedConv": "Conv",
    **dict.fromkeys(("Add", "Mul", "Sub"), "Add, Mul, Sub"),
    **dict.fromkeys(("Max", "Min"), "Max, Min"),
    **dict.fromkeys(("And", "Or", "Xor"), "logic"),
    **dict.fromkeys(("Cos", "Sin"), "Cos, Sin"),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), "DepthToSpace"),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), "comparison"),
    **dict.fromkeys(("Abs", "Ceil", "Floor", "Neg", "Not", "Reciprocal", "Round"), "plain map"),
    **dict.fromkeys(("Sign", "Sqrt"), "plain map"),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceMean", "ReduceSum"), "ReduceMean"),
    **dict.fromkeys(("ReduceSumSquare",), "ReduceMean"),
    **dict.fromkeys(("ReduceMax", "ReduceMin"), "ReduceMax"),
}
#: Types of numbers with code of their own; others are as fast as their bytes are moved.
_NARROW = {"bfloat16": "half", "float16": "half", "int8": "int8", "uint8": "int8"}
#: Multiply bytes by bytes, which processors do for unsigned ones, and not always for signed ones.
_OF_BYTES = frozenset({"MatMulInteger", "MatMulIntegerToFloat", "QGemm"})
_OF_BYTES |= {"ConvInteger", "QLinearConv", "QLinearMatMul"}
#: Reads of a tensor no more than it writes; the places of its inputs are a table and positions.
_LOOKUPS = {"Gather": (0, 1), "GatherElements": (0, 1)}
_PICKS = frozenset({*_LOOKUPS, "EmbedLayerNormalization", "GatherND", "Slice"})
#: Works along an axis; another one than the last is brought there first.
_ALONG = frozenset({"LogSoftmax", "Softmax"})
#: What holds graphs of its own: how much of these runs is not known before.
_CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
#: Types of numbers -> bytes of one.
_BYTES = {
    **dict.fromkeys(("float", "int32", "uint32"), 4),
    **dict.fromkeys(("bool", "int8", "uint8"), 1),
    **dict.fromkeys(("bfloat16", "float16", "int16", "uint16"), 2),
    **dict.fromkeys(("double", "int64", "uint64"), 8),
}


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

    @property
    def bytes(self) -> int:
        """What its numbers take."""
        return self.elements * _BYTES.get(self.dtype, 4)

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
        """Whether all shapes are known before a run, and all values are numbers."""
        sides = (*self.inputs, *self.outputs)
        known = bool(self.outputs) and self.op not in _CONTROL
        return known and all(
            value.shape is not None and 0 not in value.shape and value.dtype in _BYTES
            for value in sides
        )

    @property
    def family(self) -> str:
        """What it is modelled with: operators of the same code, convolutions by their groups."""
        name = _ALIKE.get(self.op, self.op)
        if self.op in _PRODUCTS:  # weights are packed before a run
            name = "Gemm" if self.weights.elements else "MatMul"
        if self.op in _CONVOLUTIONS or self.op == "ConvTranspose":
            name += f" {self._kind_of_convolution()}"
        if self.op in _ALONG and self._across():
            name += " across"
        if self.op == "Resize" and self.attribute("mode", "") == "cubic":
            name += " cubic"  # takes some hundred times as long as the others
        if self.op == "Resize" and self.inputs[0].shape == self.outputs[0].shape:
            name = "Cast"
        kind = next((value.dtype for value in self.inputs if not value.constant), "float")
        # a cast only reads and writes, whatever the type, and so does a resize to the same size
        narrow = None if name == "Cast" else _NARROW.get(kind)
        if kind == "int8" and self.op in _OF_BYTES:
            narrow = "signed int8"
        return f"{name} {narrow}" if narrow else name

    def _kind_of_convolution(self) -> str:
        if self.groups == 1:
            return "dense"
        weights = self.weights.shape or ()
        channels, own = (0, self.groups) if self.op == "ConvTranspose" else (1, 1)
        return "depthwise" if weights[channels : channels + 1] == (own,) else "grouped"

    def _across(self) -> bool:
        """Whether its axis is not the last one: numbers that belong together lie apart."""
        axis, rank = self.numbers("axis", -1)[0], len(self.inputs[0].shape or ())
        return axis not in (-1, rank - 1)

    @property
    def positions(self) -> dict[int, int]:
        """Place of an input that holds positions -> what these lie below."""
        if self.op not in _LOOKUPS:
            return {}
        table, at = _LOOKUPS[self.op]
        shape = self.inputs[table].shape or (1,)
        axis = self.numbers("axis", 0)[0]
        return {at: shape[axis] if -len(shape) <= axis < len(shape) else 1}

    @property
    def branches(self) -> bool:
        """Whether it goes two ways by the signs of its first input, so that these are time too."""
        return self.op == "PRelu"

    @property
    def groups(self) -> int:
        """Of a convolution; 1 where not given."""
        return self.numbers("group")[0]

    @property
    def weights(self) -> Operand:
        """The largest constant input, or what a convolution takes for one; else an empty one."""
        constants = [value for value in self.inputs if value.constant]
        if self.op in _CONVOLUTIONS and not constants:
            constants = list(self.inputs[1:2])  # weights that a kernel before it makes
        return max(constants, key=lambda value: value.elements, default=Operand((0,)))

    def attribute(self, name: str, default: str) -> str:
        """An attribute's value as text."""
        return dict(self.attributes).get(name, default)

    def numbers(self, name: str, default: int = 1) -> tuple[int, ...]:
        """An attribute's value as whole numbers, at least one; what is none is the default."""
        texts = self.attribute(name, "").split("x")
        return tuple(int(t) if re.fullmatch(r"-?\d{1,9}", t) else default for t in texts)

    @property
    def macs(self) -> int:
        """Multiply-accumulates as it runs, channels that a layout adds among them."""
        shapes = [[value.shape for value in side] for side in (self.inputs, self.outputs)]
        if any(shape is None for side in shapes for shape in side):
            return 0
        inputs, outputs = ([shape for shape in side if shape is not None] for side in shapes)
        return count_macs(self.op, dict(self.attributes), inputs, outputs)

    @property
    def bytes_in(self) -> int:
        """Read, weights apart; what picks from a tensor reads as much as it writes."""
        return self._picked(sum(v.bytes for v in self.inputs if not v.constant))

    @property
    def bytes_out(self) -> int:
        """Written."""
        return sum(value.bytes for value in self.outputs)

    @property
    def bytes_constant(self) -> int:
        """Weights read."""
        return self._picked(sum(v.bytes for v in self.inputs if v.constant))

    def _picked(self, count: int) -> int:
        return min(count, 2 * self.bytes_out) if self.op in _PICKS else count

    @property
    def elements_constant(self) -> int:
        """Numbers in constants, whether they are read or not."""
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
