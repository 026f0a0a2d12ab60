"""The weights of a graph's nodes: their names and shapes as torch has them, and random ones."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.errors import OptionError
from hwnas.ops.graph import INITIAL_ALPHA, Graph, Node

__all__ = ["Array", "Weights", "random_weights", "weight_of"]

#: Random weights of one dimension; the others are 0. Quantised activations lie between 0 and alpha.
_CONSTANTS = {"weight": 1.0, "running_var": 1.0, "alpha": INITIAL_ALPHA}

Array = np.ndarray[Any, np.dtype[Any]]
Weights = Mapping[str, Array]


def random_weights(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Weights of all nodes, named as the torch module names them, He-initialised from ``seed``."""
    rng = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for node in graph.nodes[1:]:
        for leaf, shape in _weight_shapes(graph, node).items():
            if len(shape) > 1:
                scale = 0.01 if node.kind == "linear" else (2.0 / math.prod(shape[1:])) ** 0.5
                value = rng.normal(0, scale, shape)
            else:
                value = np.full(shape, _CONSTANTS.get(leaf, 0.0))
            weights[f"{node.name}.{leaf}"] = value.astype(np.float32)
    return weights


def _weight_shapes(graph: Graph, node: Node) -> dict[str, tuple[int, ...]]:
    """What a node holds, named as torch names it."""
    channels, *_ = node.shape
    if node.kind == "conv":
        source = graph.shape(node.inputs[0])[0] // node.groups
        return {"weight": (channels, source, node.kernel, node.kernel)}
    if node.kind == "linear":
        shapes: dict[str, tuple[int, ...]] = {"weight": (channels, graph.shape(node.inputs[0])[0])}
        return shapes | ({"bias": (channels,)} if node.bias else {})
    if node.kind == "pact":
        return {"alpha": (1,)}
    if node.kind == "batch_norm":
        learned = ("weight", "bias") if node.affine else ()
        return dict.fromkeys((*learned, "running_mean", "running_var"), (channels,))
    return {}


def weight_of(graph: Graph, weights: Weights, node: Node, leaf: str) -> Array:
    """The array of a node.

    Raises:
        OptionError: it is not given, or has another shape.
    """
    name = f"{node.name}.{leaf}"
    if name not in weights:
        raise OptionError(
            f"no weight named {name!r} was given; take them from the module's state_dict()"
        )
    value = np.asarray(weights[name], np.float32)
    shape = _weight_shapes(graph, node)[leaf]
    if value.shape != shape:
        raise OptionError(f"weight {name!r} has shape {value.shape} instead of {shape}")
    return value
