"""The one description of an operator or network that all others are read from.

An operator writes itself into a :class:`Graph` once. Its MACs and parameters (`hwnas.costs`),
its torch module (`hwnas.ops.module`) and its ONNX nodes (`hwnas.onnx_graph`) are three readings
of the same list of nodes, so they cannot drift apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from hwnas.errors import OptionError

__all__ = [
    "INITIAL_ALPHA",
    "LEAST_ALPHA",
    "Activation",
    "Graph",
    "Kind",
    "Node",
    "Shape",
    "padding",
]

#: The bound of a ``pact`` before training, whose input leaves a batch-norm; and what it counts as
#: at least, wherever training moves it.
INITIAL_ALPHA = 3.0
LEAST_ALPHA = 0.01

Kind = Literal[
    "input",
    "conv",
    "batch_norm",
    "relu",
    "relu6",
    "hard_swish",
    "hard_sigmoid",
    "mul",
    "channel_shuffle",
    "add",
    "zero",
    "take",
    "crop",
    "concat",
    "pact",
    "max_pool",
    "avg_pool",
    "global_avg_pool",
    "linear",
]

#: Elementwise functions: max(x, 0); at most 6; x * hard_sigmoid(x); min(max(x / 6 + 0.5, 0), 1).
Activation = Literal["relu", "relu6", "hard_swish", "hard_sigmoid"]

#: Channels, height, width. After the global pooling height and width are 1.
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Node:
    """One primitive layer; ``shape`` is its output, ``inputs`` are indices of earlier nodes.

    Convolutions have no bias, since a batch-norm follows each; their kernel is odd and padded so
    that stride 1 keeps the size. Average pooling does not count its padding.

    Attributes:
        stride: of a window, pixels; of ``take``, channels from one that is taken to the next.
        dilation: of a convolution: pixels from one that its kernel reads to the next.
        start: the first channel that ``take`` takes; the first row and column that ``crop`` keeps.
        bits: of the values of a ``pact``, or of the weights of a convolution behind one; 0 where
            nothing is quantised.
        bias: whether a ``linear`` has one.
        affine: whether a ``batch_norm`` learns a scale and a shift.
    """

    kind: Kind
    name: str
    inputs: tuple[int, ...]
    shape: Shape
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    start: int = 0
    bits: int = 0
    bias: bool = True
    dilation: int = 1
    affine: bool = True


@dataclass
class Graph:
    """A directed acyclic graph of nodes in the order they run; the last one is the output.

    The methods add a node and return its index; they raise `OptionError` for one that cannot be.
    ``name`` is dotted below the current scope and names the parameters: ``stem.conv`` holds
    ``stem.conv.weight``.
    """

    input_shape: Shape
    nodes: list[Node] = field(default_factory=list)
    _scope: str = ""

    def __post_init__(self) -> None:
        if min(self.input_shape) < 1:
            raise OptionError(
                f"a graph input has sizes (channels, height, width) of at least 1, "
                f"got {self.input_shape}"
            )
        self._add(Node("input", "input", (), self.input_shape))

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix the names of all nodes added inside with ``name.``."""
        outer = self._scope
        self._scope = f"{outer}{name}."
        try:
            yield
        finally:
            self._scope = outer

    def shape(self, x: int) -> Shape:
        """Channels, height and width of node ``x``."""
        return self.nodes[x].shape

    def conv(
        self,
        x: int,
        name: str,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bits: int = 0,
        dilation: int = 1,
    ) -> int:
        """Convolution without bias; with ``bits``, of weights of so many bits, behind a `pact`."""
        channels = self.shape(x)[0]
        divides = groups > 0 and channels % groups == out % groups == 0
        if out < 1 or kernel < 1 or kernel % 2 == 0 or not divides:
            raise OptionError(
                f"convolution {self._scope + name!r} needs out channels of at least 1, an odd "
                f"kernel, and groups that divide the channels, got {channels} to {out} channels, "
                f"kernel {kernel}, {groups} groups"
            )
        if bits and self.nodes[x].kind != "pact":
            raise OptionError(
                f"convolution {self._scope + name!r} has {bits}-bit weights, so it needs an input "
                f"that a pact quantised, got {self.nodes[x].kind}"
            )
        shape = (out, *self._resized(x, dilation * (kernel - 1) + 1, stride))
        node = Node("conv", name, (x,), shape, kernel, stride, groups, bits=bits, dilation=dilation)
        return self._add(node)

    def batch_norm(self, x: int, name: str, affine: bool = True) -> int:
        """Batch normalisation, with a learned scale and shift unless ``affine`` is false."""
        return self._add(Node("batch_norm", name, (x,), self.shape(x), affine=affine))

    def conv_bn(
        self,
        x: int,
        name: str,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = None,
        bits: int = 0,
        dilation: int = 1,
    ) -> int:
        """Convolution, batch normalisation and, if named, an activation."""
        with self.scope(name):
            x = self.conv(x, "conv", out, kernel, stride, groups, bits, dilation)
            x = self.batch_norm(x, "bn")
            return x if activation is None else self.activation(x, activation)

    def activation(self, x: int, kind: Activation) -> int:
        """One of the elementwise functions of `Activation`."""
        return self._add(Node(kind, kind, (x,), self.shape(x)))

    def pact(self, x: int, name: str, bits: int) -> int:
        """Elementwise between 0 and a learned ``alpha``, in ``2**bits`` equally spaced values."""
        if bits < 1:
            raise OptionError(f"activations {self._scope + name!r} have at least 1 bit, got {bits}")
        return self._add(Node("pact", name, (x,), self.shape(x), bits=bits))

    def mul(self, x: int, gate: int) -> int:
        """Each channel of ``x`` times its value in ``gate``, a 1x1 map of as many channels."""
        if self.shape(gate) != (self.shape(x)[0], 1, 1):
            raise OptionError(
                f"a gate has one value for each of {self.shape(x)[0]} channels, got shape "
                f"{self.shape(gate)}"
            )
        return self._add(Node("mul", "mul", (x, gate), self.shape(x)))

    def channel_shuffle(self, x: int, groups: int) -> int:
        """Interleave ``groups`` equal groups of channels (ShuffleNet, section 3.1)."""
        channels = self.shape(x)[0]
        if groups < 1 or channels % groups:
            raise OptionError(
                f"a channel shuffle needs groups that divide the channels, got {channels} channels "
                f"and {groups} groups"
            )
        return self._add(Node("channel_shuffle", "shuffle", (x,), self.shape(x), groups=groups))

    def add(self, *terms: int) -> int:
        """Elementwise sum of nodes of one shape; a sum of one is that node."""
        shapes = [self.shape(term) for term in terms]
        if len(set(shapes)) != 1:
            raise OptionError(f"the terms of a sum have one shape, got {shapes}")
        return terms[0] if len(terms) == 1 else self._add(Node("add", "add", terms, shapes[0]))

    def zero(self, x: int) -> int:
        """Zeros of the shape of ``x``."""
        return self._add(Node("zero", "zero", (x,), self.shape(x)))

    def take(self, x: int, name: str, start: int, step: int) -> int:
        """Channels ``start``, ``start + step`` and so on."""
        channels, *size = self.shape(x)
        if not (step > 0 and 0 <= start < channels):
            raise OptionError(
                f"channels are taken from a start below {channels} in steps of at least 1, got "
                f"start {start} and step {step}"
            )
        shape = (-(-(channels - start) // step), size[0], size[1])
        return self._add(Node("take", name, (x,), shape, stride=step, start=start))

    def crop(self, x: int, start: int) -> int:
        """The map without its first ``start`` rows and columns."""
        channels, height, width = self.shape(x)
        if not 0 < start < min(height, width):
            raise OptionError(
                f"a crop leaves something of a map of {height}x{width}, got a start of {start}"
            )
        shape = (channels, height - start, width - start)
        return self._add(Node("crop", "crop", (x,), shape, start=start))

    def concat(self, *parts: int) -> int:
        """The channels of nodes of one height and width, one after the other."""
        shapes = [self.shape(part) for part in parts]
        if len({shape[1:] for shape in shapes}) != 1:
            raise OptionError(f"channels are joined of maps of one size, got {shapes}")
        shape = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        return self._add(Node("concat", "concat", parts, shape))

    def max_pool(self, x: int, kernel: int, stride: int) -> int:
        """Largest value of each window, whose padding never wins."""
        shape = (self.shape(x)[0], *self._resized(x, kernel, stride))
        return self._add(Node("max_pool", "max_pool", (x,), shape, kernel, stride))

    def avg_pool(self, x: int, kernel: int, stride: int) -> int:
        """Average pooling; an even kernel is not padded."""
        shape = (self.shape(x)[0], *self._resized(x, kernel, stride))
        return self._add(Node("avg_pool", "avg_pool", (x,), shape, kernel, stride))

    def global_avg_pool(self, x: int) -> int:
        """Mean over height and width."""
        return self._add(Node("global_avg_pool", "pool", (x,), (self.shape(x)[0], 1, 1)))

    def linear(self, x: int, name: str, out: int, bias: bool = True) -> int:
        """Fully connected layer on the channels of a 1x1 map."""
        return self._add(Node("linear", name, (x,), (out, 1, 1), bias=bias))

    def pruned(self) -> "Graph":
        """The same function in fewer nodes: zeros left out of sums, then what nobody needs.

        Zeros need no value of their input; in the pruned graph they read the network's input.
        """
        nodes = list(self.nodes)
        same = list(range(len(nodes)))  # node -> the node that holds its value
        for at, node in enumerate(nodes):
            inputs = tuple(same[i] for i in node.inputs)
            if node.kind == "zero":
                inputs = (0,)
            elif node.kind == "add":
                inputs = tuple(i for i in inputs if nodes[i].kind != "zero") or inputs[:1]
                same[at] = inputs[0] if len(inputs) == 1 else at
            nodes[at] = replace(node, inputs=inputs)
        alive = {0, same[-1]}
        for at in range(len(nodes) - 1, 0, -1):
            if at in alive:
                alive.update(nodes[at].inputs)
        new = {old: at for at, old in enumerate(sorted(alive))}
        kept = [replace(nodes[i], inputs=tuple(new[j] for j in nodes[i].inputs)) for i in new]
        graph = Graph(self.input_shape)
        graph.nodes[:] = kept
        return graph

    def _resized(self, x: int, kernel: int, stride: int) -> tuple[int, int]:
        _, height, width = self.shape(x)
        pad = padding(kernel)
        resized = [(size + 2 * pad - kernel) // stride + 1 for size in (height, width)]
        if min(resized) < 1:
            raise OptionError(f"a {kernel}x{kernel} window does not fit into {height}x{width}")
        return resized[0], resized[1]

    def _add(self, node: Node) -> int:
        self.nodes.append(replace(node, name=self._scope + node.name))
        return len(self.nodes) - 1


def padding(kernel: int, dilation: int = 1) -> int:
    """Pixels added at each side: half of an odd kernel's reach, none for an even one."""
    return dilation * (kernel // 2) if kernel % 2 else 0
