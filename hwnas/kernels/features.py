"""Numbers that tell how long a kernel takes."""

import math
from itertools import zip_longest

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.kernels.kernel import Kernel

__all__ = ["NAMES", "features", "work"]

_CHEAP = ("Relu", "Clip", "LeakyRelu", "HardSigmoid")
Shape = tuple[int, ...]

#: What `features` are, in their order: logarithms of sizes, then flags.
NAMES = (
    *("MACs", "bytes read", "bytes written", "bytes of weights", "bytes beyond a cache"),
    *("pieces", "windows", "channels read", "channels written"),
    *("last size read", "last size written", "window", "longest side of it"),
    *("stride", "channels of a group", "operands", "dilation", "rows", "run", "heads"),
    *("activation", "costly activation", "interpolation", "transposed factor"),
    *("window inside", "channels in no vector"),
)
#: What lies nearest to a core holds about so many bytes; more is moved at another rate.
_CACHE = 2**20
#: Channels that any blocked layout divides by.
_VECTOR = 8
#: Of a stranger's kernel no more places of a window are looked at along one axis.
_MOST_PLACES = 2000
_CONTIGUOUS = ("Concat", "Split")  # their axis lies in what they copy at once
_BY_CHANNEL = ("BatchNormalization", "InstanceNormalization")
_ROWS = ("LayerNormalization", "LogSoftmax", "SkipLayerNormalization", "Softmax")


def work(kernel: Kernel) -> FloatArray:
    """What a roofline is made of, (7,).

    MACs; bytes read, written, and of weights; those of them that no near cache holds; pieces, each
    of which takes a moment however small it is: rows, steps, or stretches that are copied; and what
    a convolution writes down before it multiplies, each input as often as windows hold it.
    """
    moved = (kernel.bytes_in, kernel.bytes_out, kernel.bytes_constant)
    more = (max(0, sum(moved) - _CACHE), _pieces(kernel), _unfolded(kernel))
    return np.array([kernel.macs, *moved, *more], np.float64)


def _unfolded(kernel: Kernel) -> int:
    """Numbers in the matrix of a convolution's windows."""
    window = (kernel.weights.shape or ())[2:]
    if "Conv" not in kernel.op or math.prod(window) == 1:
        return 0
    side = kernel.inputs[0] if kernel.op == "ConvTranspose" else kernel.outputs[0]
    channels = _channels_first(kernel, side.shape or ())[1:2]
    return kernel.macs // max(1, *channels, 1)


def _channels_first(kernel: Kernel, shape: Shape) -> Shape:
    """Sizes of an image as (batch, channels, height, width), wherever the channels lie."""
    last = kernel.attribute("channels_last", "0") == "1" or kernel.op.startswith("Nhwc")
    return (*shape[:1], *shape[-1:], *shape[1:-1]) if last and len(shape) > 2 else shape


def _pieces(kernel: Kernel) -> int:
    source = kernel.inputs[0].shape or () if kernel.inputs else ()
    result = kernel.outputs[0].shape or () if kernel.outputs else ()
    if kernel.op in ("GRU", "LSTM", "RNN", "DynamicQuantizeLSTM"):
        return source[0] if source else 1
    if kernel.macs:
        return 1 if "Conv" in kernel.op else math.prod(result[:-2])
    if kernel.op in _ROWS:
        return math.prod(result[:-1])
    return max(1, math.prod(result) // max(1, _run(kernel, source, result)))


def features(kernel: Kernel) -> FloatArray:
    """What efficiency depends on, one number each of `NAMES`, (n_features,)."""
    source, result = (
        _channels_first(kernel, side[0].shape or ()) if side else ()
        for side in (kernel.inputs, kernel.outputs)
    )
    window = (kernel.weights.shape or ())[2:]
    if not window:
        window = kernel.numbers("kernel_shape")
    activation = kernel.attribute("activation", "")
    per_group = (kernel.weights.shape or (1, 1))[1:2]
    operands = sum(not value.constant for value in kernel.inputs)
    sizes = (
        *(1 + v for v in work(kernel)),
        source[1] if len(source) > 1 else 1,
        result[1] if len(result) > 1 else 1,
        source[-1] if source else 1,
        result[-1] if result else 1,
        math.prod(window),
        max(window, default=1),
        math.prod(kernel.numbers("strides")),
        per_group[0] if per_group else 1,
        operands,
        max(kernel.numbers("dilations")),
        math.prod(result[:-1]),
        1 if kernel.macs else _run(kernel, source, result),
        kernel.numbers("num_heads")[0],
    )
    flags = (
        bool(activation),
        bool(activation) and activation not in _CHEAP,
        kernel.attribute("mode", "") in ("linear", "cubic"),
        kernel.attribute("transB", "0") == "1",
        math.log(_inside(kernel, source, result)),
        "nchwc.Conv" in kernel.op and len(source) > 1 and source[1] % _VECTOR > 0,
    )
    return np.array([*(math.log(max(v, 1)) for v in sizes), *map(float, flags)])


def _inside(kernel: Kernel, source: Shape, result: Shape) -> float:
    """Share of the places of a window, over all outputs, that lie in the image and not beyond."""
    if "Conv" not in kernel.op or kernel.op == "ConvTranspose":
        return 1.0
    share = 1.0
    window, rank = (kernel.weights.shape or ())[2:], len(result) - 2
    steps, gaps = (_each(kernel.numbers(name), rank) for name in ("strides", "dilations"))
    for size, out, k, step, gap in zip(source[2:], result[2:], window, steps, gaps, strict=False):
        before = ((out - 1) * step + (k - 1) * gap + 1 - size) // 2  # as wide behind it
        starts = np.arange(min(out, _MOST_PLACES)) * step - before
        places = starts[:, None] + np.arange(min(k, _MOST_PLACES)) * gap
        share *= max(float(np.mean((places >= 0) & (places < size))), 1e-3)
    return share


def _each(numbers: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return numbers if len(numbers) == rank else (1,) * rank


def _run(kernel: Kernel, source: Shape, result: Shape) -> int:
    """How many numbers that lie one after the other are treated alike.

    Those behind the axis of an operator, or behind channels that are normed; those that a
    transposition leaves together; those over which all operands of a sum or product are either
    numbers or one number.
    """
    if kernel.attribute("perm", ""):
        order = [at for at in kernel.numbers("perm") if 0 <= at < len(source) and source[at] > 1]
        run = 1
        for at, place in zip(order[::-1], sorted(order)[::-1], strict=True):
            if at != place:
                break
            run *= source[at]
        return run
    if kernel.attribute("axis", ""):
        place = kernel.numbers("axis")[0] % max(len(source), 1)
        return math.prod(source[place + (kernel.op not in _CONTIGUOUS) :])
    if kernel.op in _BY_CHANNEL:
        return math.prod(source[2:])
    if kernel.op.startswith("Reduce"):
        return _left_together(source, result)
    return _broadcast_run(result, [value.shape or () for value in kernel.inputs])


def _left_together(source: Shape, result: Shape) -> int:
    """Product of the last sizes that a reduction leaves."""
    plain = [size for size in result if size != 1]
    run = 1
    for size in source[::-1]:
        if not plain or size != plain[-1]:
            break
        run *= plain.pop()
    return run


def _broadcast_run(result: Shape, operands: list[Shape]) -> int:
    """Product of the last sizes of a result over which each operand is there, or is not."""
    run, patterns = 1, set()
    rows = zip_longest(result[::-1], *(shape[::-1] for shape in operands), fillvalue=1)
    for size, *others in rows:
        if size == 1:
            continue
        patterns.add(tuple(other == size for other in others))
        if len(patterns) > 1:
            break
        run *= size
    return run
