"""A trained network in the precision that it is deployed in, and what it is worth there."""

from collections.abc import Mapping
from typing import Any, cast

import numpy.typing as npt
import torch

from hwnas.arrays import IntArray
from hwnas.data import Dataset, Task
from hwnas.devices.any_model.answers import outputs_of
from hwnas.onnx_graph import Precision
from hwnas.ops.module import GraphModule, node_ranges
from hwnas.search.candidates.evaluation import calibration_images
from hwnas.spaces import SearchSpace

__all__ = ["calibrated_ranges", "score_of_file", "trained_in"]

Weights = Mapping[str, npt.NDArray[Any]]


def trained_in(
    space: SearchSpace,
    arch: IntArray,
    weights: Weights,
    data: Dataset,
    precision: str,
    *,
    symmetric: bool,
    metadata: Mapping[str, str],
) -> bytes:
    """The ONNX file of a trained network in a precision: int8 is static, by calibration images.

    Args:
        space: of the network.
        arch: (n_decisions,).
        weights: fp32, by the names of ``space.build(arch).state_dict()``.
        data: its training images give the ranges.
        precision: ``fp32``, ``fp16`` or ``int8``.
        symmetric: for int8, the form that TensorRT reads.
        metadata: kept in the file.
    """
    ranges = calibrated_ranges(space, arch, weights, data) if precision == "int8" else None
    return space.to_onnx(
        arch,
        weights,
        precision=cast(Precision, precision),
        symmetric=symmetric,
        ranges=ranges,
        metadata=metadata,
    )


def calibrated_ranges(
    space: SearchSpace, arch: IntArray, weights: Weights, data: Dataset
) -> dict[str, float]:
    """The largest magnitude of every node's value over calibration images, by node name."""
    graph = space.graph(arch)
    module = GraphModule(graph)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return node_ranges(module.eval(), graph, calibration_images(data))


def score_of_file(model: bytes, images: torch.Tensor, targets: Any, task: Task) -> float:
    """The score of a file of ours on this machine's CPU: accuracy, or the data's own metric."""
    outputs = torch.from_numpy(outputs_of(model, images.numpy()))
    return task.score_of([(outputs, targets)])
