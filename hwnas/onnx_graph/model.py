"""One graph as one ONNX model: what folds into what, and where tensors are quantised."""

from collections.abc import Mapping
from functools import partial

from hwnas.errors import OptionError
from hwnas.given import check_seed, check_whole
from hwnas.onnx_graph.constants import fold_constants, scale_and_shift
from hwnas.onnx_graph.kinds import KINDS, write_conv
from hwnas.onnx_graph.writer import PRECISIONS, RECTIFIERS, Precision, Writer
from hwnas.ops import Graph
from hwnas.ops.weights import Weights, random_weights, weight_of

__all__ = ["to_onnx"]

#: Of a batch, as on the command line.
_MOST_IMAGES = 65_536


def to_onnx(
    graph: Graph,
    weights: Weights | None = None,
    *,
    batch: int = 1,
    precision: Precision = "fp32",
    symmetric: bool = False,
    ranges: Mapping[str, float] | None = None,
    metadata: Mapping[str, str] | None = None,
    seed: int = 0,
) -> bytes:
    """Serialise a graph as an ONNX model with one input ``input`` and one output ``output``.

    Args:
        graph: nodes that do not reach the output are left out.
        weights: arrays by torch state-dict name; None draws them from ``seed``.
        batch: the fixed batch size.
        precision: ``fp16`` makes every tensor fp16; ``int8`` inserts Q/DQ pairs, weights per
            channel and symmetric.
        symmetric: for int8, the form that TensorRT reads: activations are signed with a zero of 0,
            and weights stay floats in front of a pair; otherwise activations are unsigned, which
            most CPUs multiply faster.
        ranges: for int8, largest magnitude of each tensor by the name of the node that makes it
            (``input`` for the input); 6 where it is not given, enough to measure latency.
        metadata: key-value pairs stored with the model.
        seed: of the weights that are drawn.

    Raises:
        OptionError: unknown precision, a batch or seed that is none, or weights that lack a name or
            have another shape.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
    batch = check_whole("a batch", batch, 1, _MOST_IMAGES)
    given = random_weights(graph, check_seed(seed)) if weights is None else weights
    if precision != "int8":  # there the ranges are those of the tensors as they were
        graph, given = fold_constants(graph, given, partial(weight_of, graph, given))
    graph = graph.pruned()
    writer = Writer(graph, given, batch, ranges or {}, precision, symmetric)
    _Walk(graph, writer).run()
    first, last = graph.nodes[0], graph.nodes[-1]
    flat = last.kind in ("linear", "global_avg_pool")
    out_shape = last.shape[:1] if flat else last.shape
    return writer.model(first.shape, out_shape, metadata or {})


class _Walk:
    """Writes the nodes of a graph in order; some are written together with the node before them."""

    def __init__(self, graph: Graph, writer: Writer):
        self._nodes = graph.nodes
        self._to = writer
        self._readers: dict[int, list[int]] = {i: [] for i in range(len(graph.nodes))}
        for at, node in enumerate(graph.nodes):
            for i in () if node.kind == "zero" else node.inputs:
                self._readers[i].append(at)
        self._tensors: dict[int, str] = {}  # node index -> tensor that holds its value

    def run(self) -> None:
        """Write all nodes."""
        for at in range(len(self._nodes)):
            if at not in self._tensors:
                self._write(at)
        if len(self._nodes) == 1:
            self._to.add("Identity", ["input"], "output")

    def _write(self, at: int) -> None:
        """Write node ``at`` and what folds into it, and note the tensor of each."""
        node = self._nodes[at]
        if node.kind == "input":
            read = self._readers[at]
            self._tensors[at] = self._to.requantised("input", node) if read else "input"
            return
        inputs = [] if node.kind == "zero" else [self._tensors[i] for i in node.inputs]
        end = at
        if node.kind == "conv" and self._only_reader(end) == "batch_norm":
            end = self._readers[end][0]
            self._tensors[end] = ""  # written with its convolution
            folded = scale_and_shift(self._nodes[end], self._to.weight)
            write_conv(self._to, node, inputs, self._output(end), *folded)
        else:
            KINDS[node.kind](self._to, node, inputs, self._output(end))
        if self._to.quantised and self._only_reader(end) in RECTIFIERS:
            before = self._output(end)
            end = self._readers[end][0]  # the activation must stand before the Q of its kernel
            KINDS[self._nodes[end].kind](self._to, self._nodes[end], [before], self._output(end))
        tensor = self._output(end)
        read = self._readers[end]
        self._tensors[end] = self._to.requantised(tensor, self._nodes[end]) if read else tensor

    def _only_reader(self, at: int) -> str:
        """The kind of the one node that reads node ``at``, empty where none or several do."""
        readers = self._readers[at]
        return self._nodes[readers[0]].kind if len(readers) == 1 else ""

    def _output(self, at: int) -> str:
        """The name of the tensor that node ``at`` makes; nobody reads the last one."""
        return f"t{at}" if self._readers[at] else "output"
