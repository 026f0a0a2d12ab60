"""One kernel written the same way in every process.

ONNX Runtime's optimiser writes the nodes of a graph in an order of its own, with names that count
them, so the same kernel of the same model comes out with other names each time.
"""

from dataclasses import replace
from typing import Any

from onnx import NodeProto, TensorProto

from hwnas.kernels.split import Piece

__all__ = ["canonical", "content"]


def canonical(piece: Piece) -> Piece:
    """The same kernel with tensors named by their place, attributes and operator sets by name."""
    names: dict[str, str] = {"": ""}
    for side, given in (("in", piece.node.input), ("out", piece.node.output)):
        for at, name in enumerate(given):
            names.setdefault(name, f"{side}{at}")
    node = NodeProto()
    node.CopyFrom(piece.node)
    node.name = node.doc_string = ""
    node.input[:] = [names[name] for name in piece.node.input]
    node.output[:] = [names[name] for name in piece.node.output]
    attributes = sorted(piece.node.attribute, key=lambda attribute: attribute.name)
    node.ClearField("attribute")
    node.attribute.extend(attributes)
    constants = []
    for tensor in piece.constants:
        constants.append(TensorProto())
        constants[-1].CopyFrom(tensor)
        constants[-1].name = names[tensor.name]
    return replace(
        piece,
        node=node,
        constants=tuple(sorted(constants, key=lambda tensor: tensor.name)),
        opsets=tuple(sorted(piece.opsets, key=lambda opset: opset.domain)),
    )


def content(piece: Piece) -> bytes:
    """All that a piece is, as bytes; equal where `canonical` pieces are equal."""
    parts: list[Any] = [piece.node, *piece.constants, *piece.opsets]
    return b"\n".join(part.SerializeToString(deterministic=True) for part in parts)
