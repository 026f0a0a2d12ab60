"""A person's own module as an ONNX model, written by torch."""

import io
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from onnx import helper
from torch import nn

from hwnas.data import parts_of
from hwnas.onnx_graph import IR_VERSION, OPSET
from hwnas.spaces.inputs import Inputs

__all__ = ["module_to_onnx"]


def module_to_onnx(
    module: nn.Module, inputs: Inputs, batch: int, metadata: Mapping[str, str]
) -> bytes:
    """One fp32 model, batch-norm folded.

    Its input is ``input``, or ``input_0``, ``input_1`` and so on where there are several; its
    output likewise ``output``.

    Args:
        module: with its weights; put into evaluation mode.
        inputs: of the module.
        batch: examples a run, which is fixed.
        metadata: kept in the file.

    Raises:
        Exception: whatever torch raises where it cannot write an operation down.
    """
    module, given = module.eval(), inputs.tensors(batch)
    with torch.no_grad():
        parts = parts_of(module(*given))
    outputs = ["output"] if len(parts) == 1 else [f"output_{at}" for at in range(len(parts))]
    file: Any = io.BytesIO()  # which the older exporter takes, and its annotation does not name
    with warnings.catch_warnings():  # that this exporter, which needs no further package, is old
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            given,
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs.names,
            output_names=outputs,
        )
    model = onnx.load_from_string(file.getvalue())
    model.ir_version = IR_VERSION
    helper.set_model_props(model, dict(metadata))
    written: bytes = model.SerializeToString(deterministic=True)
    return written
