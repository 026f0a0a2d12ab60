"""Any model as the kernels that TensorRT makes of it, by the rules that its manual states.

NVIDIA, *TensorRT Developer Guide*, "Types of Fusions": batch-norms and scales are folded into the
convolution in front of them, an elementwise sum into the one that is computed last, then ReLU, clip
or leaky ReLU; elementwise operators one behind the other are one kernel; convolutions of equal form
that read one tensor are one (horizontal fusion); concatenation along channels moves nothing where
each part can be written in its place. Other activations (sigmoid, swish, h-swish, GELU) run in a
kernel of their own, as they do on cards without compiled epilogues. Nothing is run or optimised.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

from hwnas.kernels.fused import FusedModel
from hwnas.kernels.open_kernel import EPILOGUES, OpenKernel, side_by_side
from hwnas.kernels.steps import Sizes, Step, Steps, steps_of_graph, steps_of_model
from hwnas.kernels.windows import is_window, product_shape, window_shape
from hwnas.ops import Graph

__all__ = ["FusedModel", "fuse", "fuse_steps", "fused_graph"]

#: Operators -> kind of their kernel; convolutions and products are told by their weights.
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), "pool"),
    **dict.fromkeys(
        (
            *("ArgMax", "ArgMin", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"),
            *("GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization"),
            *("LpNormalization", "MeanVarianceNormalization", "ReduceL1", "ReduceL2"),
            *("ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"),
            *("ReduceSum", "ReduceSumSquare"),
        ),
        "reduce",
    ),
    **dict.fromkeys(("LogSoftmax", "Softmax"), "softmax"),
    **dict.fromkeys(("Resize", "Upsample"), "resize"),
    **dict.fromkeys(
        (
            *("DepthToSpace", "Expand", "Gather", "Pad", "Slice", "SpaceToDepth", "Split"),
            *("Tile", "Transpose"),
        ),
        "copy",
    ),
    **dict.fromkeys(
        (
            *("Abs", "Add", "And", "BatchNormalization", "Ceil", "Celu", "Clip", "Cos", "Div"),
            *("Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual"),
            *("HardSigmoid", "HardSwish", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max"),
            *("Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow"),
            *("QuickGelu", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign"),
            *("Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tan", "Tanh"),
            *("ThresholdedRelu", "Where", "Xor"),
        ),
        "pointwise",
    ),
}
#: A factor or shift for each channel, which becomes part of the weights.
_SCALES = frozenset({"Add", "BatchNormalization", "Div", "Mul", "Sub"})
_SUMS = frozenset({"Add", "Sum"})
#: How many of its constants a kernel reads, all others are small or say what it does.
_COUNTED = {"convolution": 1, "copy": 0, "linear": 1}
_WINDOWS = frozenset({"AveragePool", "Conv", "ConvTranspose", "LpPool", "MaxPool"})
_PRODUCTS = frozenset({"Gemm", "MatMul"})


def fuse(
    model: bytes | str | Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> FusedModel:
    """The kernels of any ONNX model.

    Args:
        model: its bytes or its path.
        shapes: input name -> its sizes, where they are dynamic; an empty name is the only input.

    Raises:
        ModelFormatError: the model cannot be read, or has inputs of unknown size.
        OptionError: ``shapes`` names an input that is not there, or contradicts its sizes.
    """
    return fuse_steps(steps_of_model(model, shapes))


def fused_graph(graph: Graph) -> FusedModel:
    """The kernels of a network or workload of hwnas, without its weights.

    A workload stands within a network: what is concatenated with its input is not copied.
    """
    return fuse_steps(steps_of_graph(graph), inside=True)


def fuse_steps(model: Steps, *, inside: bool = False) -> FusedModel:
    """The kernels of a model that is read already.

    Args:
        model: its steps.
        inside: whether it stands within a network.
    """
    model = replace(model, steps=_needed(model))
    walk = _Walk(model, inside=inside)
    for step in model.steps:
        walk.take(step)
    there = sorted((k for k in walk.kernels if not k.gone), key=lambda kernel: kernel.at)
    ends = (_shared(count, model.batch) for count in (model.elements_in, model.elements_out))
    return FusedModel(tuple(k.closed() for k in side_by_side(there)), model.batch, *ends)


def _needed(model: Steps) -> tuple[Step, ...]:
    """The steps that the results need; all of them where there are no results."""
    if not model.results:
        return model.steps
    needed, kept = set(model.results), []
    for step in reversed(model.steps):
        if not needed.isdisjoint(step.outputs):
            needed.update(step.inputs)
            kept.append(step)
    return tuple(reversed(kept))


class _Walk:
    """Takes steps in order; each joins a kernel or begins one."""

    def __init__(self, model: Steps, *, inside: bool):
        self.batch = model.batch
        self.kernels: list[OpenKernel] = []
        self._now = 0
        self._readers = Counter(name for step in model.steps for name in step.inputs)
        self._readers.update(model.results)
        self._made_by: dict[str, OpenKernel] = {}
        if inside:
            before = OpenKernel(0, "", "", [], {}, 0, "")
            made = {name for step in model.steps for name in step.outputs}
            self._made_by = {
                n: before for step in model.steps for n in step.inputs if n not in made
            }
        self._pads: dict[str, Step] = {}
        self._placed: set[str] = set()  # parts of concatenations, written in their place
        self._joined: dict[str, tuple[str, ...]] = {}  # by its first part, those of the last one

    def take(self, step: Step) -> None:
        """Fuse one step."""
        self._now += 1
        kind = _KINDS.get(step.op, step.op)
        if kind == "pointwise":
            joined = self._folded(step) or self._summed(step)
            if joined is None:
                self._chained(step)
            else:
                joined.ops.append(step.op)
                joined.result = step.outputs[0]
                self._made_by[step.outputs[0]] = joined
        elif step.op == "Concat":
            self._concat(step)
        elif step.op in _WINDOWS:
            self._windowed(self._padded(step), kind)
        elif step.op in _PRODUCTS:
            self._product(step)
        else:
            self._begin(step, kind)
            if _pads_with_zeros(step):
                self._pads[step.outputs[0]] = step

    # Kernels that begin

    def _begin(self, step: Step, kind: str) -> OpenKernel:
        unknown = None in step.read or None in step.written
        kernel = OpenKernel(
            self._now,
            step.name,
            kind,
            [step.op],
            self._read(step),
            sum(map(self._elements, step.written)),
            step.outputs[0] if step.outputs else "",
            sum(prod(sizes or (0,)) for sizes in step.constants[: _COUNTED.get(kind)]),
            remark="its sizes are not known before a run" if unknown else "",
        )
        self.kernels.append(kernel)
        self._made_by |= dict.fromkeys(step.outputs, kernel)
        return kernel

    def _read(self, step: Step) -> dict[str, int]:
        return {n: self._elements(s) for n, s in zip(step.inputs, step.read, strict=True)}

    def _elements(self, sizes: Sizes) -> int:
        return 0 if sizes is None else _shared(prod(sizes), self.batch)

    def _padded(self, step: Step) -> Step:
        """The step with the padding in front of it, if nobody else reads what is padded."""
        name = step.inputs[0] if step.inputs else ""
        pad, kernel = self._pads.get(name), self._private(name)
        if pad is None or kernel is None:
            return step
        kernel.gone = True
        return replace(
            step, inputs=(*pad.inputs, *step.inputs[1:]), read=(*pad.read, *step.read[1:])
        )

    def _windowed(self, step: Step, kind: str) -> None:
        if "Conv" not in step.op:
            self._begin(step, kind)
            return
        kernel = self._begin(step, "convolution")
        if kernel.remark:
            return
        if len(step.inputs) > 1 or not step.constants or step.constants[0] is None:
            kernel.remark = "its weights are not constant"
            return
        if not is_window(step):
            kernel.remark = "its sizes contradict each other"
            return
        kernel.convolution, kernel.remark = window_shape(step)
        if kernel.convolution.groups == 1 and not kernel.remark:
            pads = step.attributes.get("pads"), step.attributes.get("auto_pad")
            kernel.form = (kernel.convolution.kernel, kernel.convolution.stride, repr(pads))

    def _product(self, step: Step) -> None:
        with_weights = len(step.inputs) == 1 and bool(step.constants)
        kernel = self._begin(step, "linear" if with_weights else "product")
        if not kernel.remark:
            kernel.convolution = product_shape(step, self.batch)

    def _concat(self, step: Step) -> None:
        """Parts along the channels are written in their place, once; all others are copied.

        What goes on with the parts of an earlier one, as in DenseNet, goes on in its place.
        """
        sizes = step.written[0]
        axis = step.number("axis", 1)
        along = axis == 1 or (sizes is not None and axis + len(sizes) == 1)
        before = self._joined.get(step.inputs[0], ()) if along and step.inputs else ()
        there = len(before) if step.inputs[: len(before)] == before else 0
        for name, read in list(zip(step.inputs, step.read, strict=True))[there:]:
            if not along or name in self._placed or name not in self._made_by:
                self._begin(replace(step, inputs=(name,), read=(read,), written=(read,)), "copy")
        if along:
            self._placed.update(step.inputs)
            self._joined |= dict.fromkeys(step.inputs[:1], step.inputs)
        whole = OpenKernel(self._now, step.name, "", [], {}, 0, "")  # none, but it can be placed
        self._made_by |= dict.fromkeys(step.outputs, whole)

    # Kernels that take steps in

    def _private(self, name: str) -> OpenKernel | None:
        """The kernel of a tensor that is read once."""
        kernel = self._made_by.get(name)
        if kernel is None or kernel.result != name or self._readers[name] != 1:
            return None
        return kernel

    def _folded(self, step: Step) -> OpenKernel | None:
        """The convolution in front of a scale or activation, where it takes that in."""
        kernel = self._private(step.inputs[0]) if len(step.inputs) == 1 else None
        if kernel is None or kernel.kind not in ("convolution", "linear"):
            return None
        if step.op in EPILOGUES and kernel.stage < 2:
            kernel.stage = 2
            return kernel
        if step.op not in _SCALES or kernel.stage or kernel.convolution is None:
            return None
        allowed = (1, kernel.convolution.out_channels)
        scales = bool(step.constants) and all(prod(s or (0,)) in allowed for s in step.constants)
        return kernel if scales else None

    def _summed(self, step: Step) -> OpenKernel | None:
        """The convolution that is computed last of two results that are added."""
        alike = len(set(step.read)) == 1 and step.read[0] is not None
        if step.op not in _SUMS or len(step.inputs) != 2 or not alike or step.constants:
            return None
        able = [k for name in step.inputs if (k := self._private(name)) is not None and k.can_add]
        last = max(able, key=lambda kernel: kernel.at, default=None)
        if last is None or last.convolution is None:
            return None
        at = step.inputs.index(last.result)
        other = step.inputs[1 - at]
        waits = self._made_by.get(other)
        if waits is not None and waits.at > last.at:
            last.at = self._now
        last.reads[other] = self._elements(step.read[0])
        last.stage = 1
        last.form = ()
        last.convolution = replace(last.convolution, fused_add=True)
        return last

    def _chained(self, step: Step) -> None:
        """An elementwise kernel, with those in front of it whose result only it reads."""
        before = [kernel for name in step.inputs if (kernel := self._private(name)) is not None]
        before = [kernel for kernel in before if kernel.kind == "pointwise"]
        parts = sorted(before, key=lambda kernel: -len(kernel.ops))  # the longest takes the others
        parts.append(self._begin(step, "pointwise"))
        inside = {kernel.result for kernel in before}
        first, *rest = parts
        for kernel in rest:
            kernel.gone = True
            first.ops += kernel.ops
            first.reads |= kernel.reads
            first.constant += kernel.constant
            first.remark = first.remark or kernel.remark
        for name in inside:
            first.reads.pop(name, None)
        first.at, first.writes, first.result = self._now, parts[-1].writes, parts[-1].result
        self._made_by |= dict.fromkeys(step.outputs, first)


def _pads_with_zeros(step: Step) -> bool:
    """Whether a step only makes maps larger, as a convolution or pool does itself."""
    if step.op != "Pad" or not step.read or step.read[0] is None or step.written[0] is None:
        return False
    alike = step.read[0][:2] == step.written[0][:2]
    return alike and step.attributes.get("mode", b"constant") == b"constant"


def _shared(count: int, batch: int) -> int:
    """Of one image, rounded up."""
    return -(-count // batch)
