"""Latency predictors: from a table to milliseconds for arrays of architectures."""

from pathlib import Path

from hwnas import spaces
from hwnas.latency_tables import LatencyTable
from hwnas.predictors.additive import AdditivePredictor
from hwnas.predictors.calibrated import Calibration
from hwnas.predictors.kernels import KernelPredictor
from hwnas.predictors.onnx_model import KernelLatency, ModelPrediction, predict_onnx, predict_pieces
from hwnas.predictors.workloads import WorkloadRegressor, fill_gaps
from hwnas.spaces import SearchSpace

__all__ = [
    "AdditivePredictor",
    "Calibration",
    "KernelLatency",
    "KernelPredictor",
    "ModelPrediction",
    "WorkloadRegressor",
    "fill_gaps",
    "load_predictor",
    "predict_onnx",
    "predict_pieces",
]


def load_predictor(
    table: LatencyTable | str | Path, space: SearchSpace | None = None
) -> AdditivePredictor:
    """The predictor of a table.

    Args:
        table: a table, its path, or the name of one that ships.
        space: whose architectures to predict; by default the space that was profiled.

    Raises:
        TableFormatError: the table cannot be read.
        WorkloadNotInTableError: it lacks a workload of the space.
    """
    known = table if isinstance(table, LatencyTable) else LatencyTable.load(table)
    origin = spaces.space(known.space.name, **known.space.arguments)
    return AdditivePredictor(known, origin if space is None else space, origin)
