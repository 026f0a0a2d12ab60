"""Multiply-accumulates of ONNX operators, as functions of shapes: one literal table."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

__all__ = ["count_macs"]

Shape = tuple[int, ...]
Shapes = Sequence[Shape]
Attributes = Mapping[str, str]
Formula = Callable[[Attributes, Shapes, Shapes], int]


def _convolution(weights: int) -> Formula:
    """Every output takes a window of one group's channels; ``weights`` is the input's place."""

    def count(_: Attributes, inputs: Shapes, outputs: Shapes) -> int:
        return prod(outputs[0]) * prod(inputs[weights][1:])

    return count


def _transposed(_: Attributes, inputs: Shapes, outputs: Shapes) -> int:
    """Every input goes to a window of one group's output channels."""
    return prod(inputs[0]) * prod(inputs[1][1:])


def _product(attributes: Attributes, inputs: Shapes, outputs: Shapes) -> int:
    """Every output is a sum along the first factor's last axis, or the one before it."""
    shape = inputs[0]
    summed = shape[-2] if attributes.get("transA", "0") == "1" and len(shape) > 1 else shape[-1]
    return prod(outputs[0]) * summed


def _recurrent(_: Attributes, inputs: Shapes, outputs: Shapes) -> int:
    """Weights of the input and of the state, all directions and gates, at every step."""
    steps, batch, _features = inputs[0]
    return steps * batch * (prod(inputs[1]) + prod(inputs[2]))


def _attention(_: Attributes, inputs: Shapes, outputs: Shapes) -> int:
    """com.microsoft's: a projection to queries, keys and values, and both products of these."""
    batch, steps, features = inputs[0]
    width = outputs[0][-1]
    past = [shape[-2] for shape in inputs if len(shape) == 5]  # (2, batch, heads, steps, width)
    seen = steps + sum(past)
    return batch * steps * (features * inputs[1][-1] + 2 * seen * width)


def _heads(_: Attributes, inputs: Shapes, outputs: Shapes) -> int:
    """Queries with keys, and what comes out of that with values; both are given."""
    queries = inputs[0]
    keys = inputs[1] if len(inputs) > 1 and len(inputs[1]) == len(queries) else queries
    seen = max(shape[-2] for shape in (keys, *(s for s in inputs[2:] if len(s) == 4)))
    return 2 * prod(outputs[0]) * seen


def _einsum(attributes: Attributes, inputs: Shapes, outputs: Shapes) -> int:
    """Of two factors or more, one for each combination of all indices."""
    factors = attributes["equation"].partition("-")[0].split("_")
    if len(factors) < 2:
        return 0
    pairs = (
        pair
        for letters, shape in zip(factors, inputs, strict=True)
        for pair in zip(letters, shape, strict=True)
    )
    return prod(dict(pairs).values())


#: Operator -> its formula; whatever is not here multiplies nothing, or only elementwise.
_FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(("Conv", "ConvInteger", "DeformConv", "FusedConv"), _convolution(1)),
    **dict.fromkeys(("nchwc.Conv", "NhwcFusedConv"), _convolution(1)),
    "QLinearConv": _convolution(3),
    **dict.fromkeys(("ConvTranspose", "ConvTransposeWithDynamicPads"), _transposed),
    **dict.fromkeys(("FusedGemm", "FusedMatMul", "Gemm", "MatMul", "MatMulInteger"), _product),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulNBits"), _product),
    **dict.fromkeys(("QGemm", "QLinearMatMul"), _product),
    "Einsum": _einsum,
    **dict.fromkeys(("DynamicQuantizeLSTM", "GRU", "LSTM", "RNN"), _recurrent),
    **dict.fromkeys(("QAttention", "com.microsoft.Attention"), _attention),
    **dict.fromkeys(("Attention", "GroupQueryAttention", "MultiHeadAttention"), _heads),
}


def count_macs(op: str, attributes: Attributes, inputs: Shapes, outputs: Shapes) -> int:
    """Multiply-accumulates of one node; 0 for what only moves or maps numbers.

    Args:
        op: operator; ``com.microsoft.`` before the name that both domains have.
        attributes: name -> value as text.
        inputs, outputs: shapes, absent optional inputs left out.
    """
    formula = _FORMULAS.get(op)
    if formula is None or not outputs:
        return 0
    try:
        return formula(attributes, inputs, outputs)
    except (IndexError, KeyError, ValueError):  # of other ranks than the operator has
        return 0
