"""A person's own module as an ONNX model, written by torch."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import helper
from torch import nn

from hwnas.onnx_graph import IR_VERSION, OPSET

__all__ = ["module_to_onnx"]


def module_to_onnx(
    module: nn.Module, input_shape: Sequence[int], batch: int, metadata: Mapping[str, str]
) -> bytes:
    """One fp32 model with one input ``input`` and one output ``output``, batch-norm folded.

    Args:
        module: with its weights; put into evaluation mode.
        input_shape: of its input, without the batch, which is fixed.
        batch: images a run.
        metadata: kept in the file.

    Raises:
        Exception: whatever torch raises where it cannot write an operation down.
    """
    file: Any = io.BytesIO()  # which the older exporter takes, and its annotation does not name
    with warnings.catch_warnings():  # that this exporter, which needs no further package, is old
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(batch, *input_shape),),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
        )
    model = onnx.load_from_string(file.getvalue())
    model.ir_version = IR_VERSION
    helper.set_model_props(model, dict(metadata))
    written: bytes = model.SerializeToString(deterministic=True)
    return written
