"""Latency of any ONNX model, without running it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hwnas.errors import KernelNotInTableError, OptionError
from hwnas.kernels import Piece, count_model_macs, split
from hwnas.latency_tables import LatencyTable
from hwnas.predictors.kernels import KernelPredictor
from hwnas.predictors.means import load_measured
from hwnas.predictors.model_prediction import KernelLatency, ModelPrediction
from hwnas.predictors.tensorrt.engines import is_engine
from hwnas.predictors.tensorrt.models import predict_engine

__all__ = ["predict_onnx", "predict_pieces"]

_BRANCHES = "it goes two ways by the signs of its numbers, which nobody knows before"


def predict_onnx(
    model: bytes | str | Path,
    table: LatencyTable | KernelPredictor | str | Path,
    *,
    strict: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
) -> ModelPrediction:
    """Predict a model from measured kernels; the model is not run.

    ONNX Runtime on this machine tells which kernels it would run, fused and laid out for this
    machine's processor. For a table of another processor that layout may differ. For the V100 of
    public measurements, kernels are those that TensorRT's own rules make (`hwnas.kernels.fuse`).

    Args:
        model: an ONNX model of fixed shapes, or its path.
        table: a table with kernels (``hwnas profile --kernels 500``), its path or name, or a
            predictor made of one; or an engine of the V100, such as ``v100-tensorrt-fp16``.
        strict: raise where a kernel cannot be predicted, instead of listing it.
        shapes: input name -> its sizes, for inputs whose shapes are dynamic.
        batch: images a run, of an engine; by default those that the model is made for.

    Raises:
        ModelFormatError: the model cannot be read, or its shapes are not known.
        OptionError: a batch of what is no engine, or that was not measured.
        TableTargetError: the table holds no kernels.
        KernelNotInTableError: in strict mode, some kernels cannot be predicted.
    """
    if is_engine(table):
        return predict_engine(model, str(table), strict=strict, shapes=shapes, batch=batch)
    if batch is not None:
        raise OptionError(
            f"a batch is of an engine such as v100-tensorrt-fp16, got {batch} for a table, which "
            "has one: leave it out"
        )
    pieces = split(model, shapes)  # before the table is modelled, so that errors come at once
    macs = count_model_macs(model, shapes)
    if isinstance(table, str | Path):
        table = load_measured(table)
    predictor = table if isinstance(table, KernelPredictor) else KernelPredictor(table)
    return predict_pieces(pieces, predictor, strict=strict, macs=macs)


def predict_pieces(
    pieces: Sequence[Piece],
    predictor: KernelPredictor,
    *,
    strict: bool = False,
    macs: int | None = None,
) -> ModelPrediction:
    """Predict a model that is split already, and counted or not; as `predict_onnx`.

    Raises:
        KernelNotInTableError: in strict mode, kernels cannot be predicted.
    """
    found = [piece.kernel for piece in pieces]
    known = predictor.predict(found)
    outside = predictor.outside(found)
    kernels = tuple(
        KernelLatency(
            piece.node.name,
            kernel.op,
            kernel.key,
            kernel.macs,
            None if np.isnan(ms) else float(ms),
            far,
            _BRANCHES if kernel.branches else "",
        )
        for piece, kernel, ms, far in zip(pieces, found, known, outside, strict=True)
    )
    lacking = [kernel for kernel in kernels if kernel.ms is None]
    if strict and lacking:
        ops = sorted({kernel.op for kernel in lacking})
        raise KernelNotInTableError(
            f"{len(lacking)} of {len(kernels)} kernels cannot be predicted ({', '.join(ops)}): the "
            f"table measured none like them, such as {lacking[0].key}; profile again with this "
            "version, which samples more kinds, or predict without --strict to see all others"
        )
    return ModelPrediction(
        predictor.call_ms + float(np.nansum(known)),
        kernels,
        predictor.call_ms,
        predictor.table.target,
        predictor.calibration.residual,
        predictor.calibration.count,
        macs,
        math.hypot(predictor.systematic, predictor.spread(found, known)),
    )
