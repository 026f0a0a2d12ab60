"""Latency predictors: from a table to milliseconds for arrays of architectures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas import spaces
from hwnas.latency_tables import LatencyTable
from hwnas.predictors.additive import AdditivePredictor, Calibration
from hwnas.predictors.additivity import AdditivityReport, additivity_report
from hwnas.predictors.expectation import SampledExpectation
from hwnas.predictors.report import PredictionReport, prediction_report
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.predictors.loss import LatencyLoss

__all__ = [
    "AdditivePredictor",
    "AdditivityReport",
    "Calibration",
    "LatencyLoss",
    "PredictionReport",
    "SampledExpectation",
    "additivity_report",
    "load_predictor",
    "prediction_report",
]


def __getattr__(name: str) -> Any:
    if name == "LatencyLoss":  # a torch module, and torch is slow to import
        from hwnas.predictors.loss import LatencyLoss

        return LatencyLoss
    raise AttributeError(f"module 'hwnas.predictors' has no attribute {name!r}")


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
