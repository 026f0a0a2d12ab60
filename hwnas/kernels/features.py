"""Numbers that tell how long a kernel takes."""

import math

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.kernels.kernel import Kernel

__all__ = ["features", "work"]

_BYTES = 4  # of a single-precision number
_CHEAP = ("Relu", "Clip", "LeakyRelu", "HardSigmoid")


def work(kernel: Kernel) -> FloatArray:
    """MACs, bytes read, bytes written, bytes of weights: what a roofline is made of, (4,)."""
    moved = (kernel.elements_in, kernel.elements_out, kernel.elements_constant)
    return np.array([kernel.macs, *(_BYTES * n for n in moved)], np.float64)


def features(kernel: Kernel) -> FloatArray:
    """Logarithms of sizes, and flags of fusions, (15,): what efficiency depends on."""
    source = kernel.inputs[0].shape or () if kernel.inputs else ()
    result = kernel.outputs[0].shape or () if kernel.outputs else ()
    window = (kernel.weights.shape or ())[2:]
    if not window:
        window = tuple(int(k) for k in kernel.attribute("kernel_shape", "1").split("x"))
    strides = [int(s) for s in kernel.attribute("strides", "1").split("x")]
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
        max(window),
        math.prod(strides),
        per_group[0] if per_group else 1,
        operands,
    )
    flags = (bool(activation), bool(activation) and activation not in _CHEAP)
    return np.array([*(math.log(v) for v in sizes), *map(float, flags)])
