"""Latency predictors: from measurements to milliseconds for arrays of architectures.

Those that need torch or scikit-learn, which are slow to import, load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwnas.predictors.additive import AdditivePredictor
from hwnas.predictors.additivity import AdditivityReport, additivity_report
from hwnas.predictors.calibrated import Calibration
from hwnas.predictors.expectation import SampledExpectation, sampled_expectation
from hwnas.predictors.kernels import KernelPredictor
from hwnas.predictors.loading import (
    load_latencies,
    load_predictor,
    load_table,
    shipped_predictors,
)
from hwnas.predictors.looked_up import LookedUpLatency, UnknownLatency
from hwnas.predictors.means import MeansPredictor, OperatorMeans, is_csv, load_measured
from hwnas.predictors.model_prediction import KernelLatency, ModelPrediction
from hwnas.predictors.onnx_model import predict_onnx, predict_pieces
from hwnas.predictors.own import OwnPredictor
from hwnas.predictors.protocol import (
    GivesExpectation,
    GivesIntervals,
    GivesPercentiles,
    LatencyPredictor,
    known_interval,
    predictor_name,
    require,
)
from hwnas.predictors.report import PredictionReport, prediction_report
from hwnas.predictors.tensorrt.engines import SOURCE, Engine, engine_names, is_engine, parse_engine
from hwnas.predictors.tensorrt.models import predict_engine
from hwnas.predictors.tensorrt.of_space import EnginePredictor, engine_table, engine_times
from hwnas.predictors.workloads import WorkloadRegressor, fill_gaps

if TYPE_CHECKING:
    from hwnas.predictors.loss import LatencyLoss
    from hwnas.predictors.of_space import SpacePredictor
    from hwnas.predictors.regression import LatencyRegressor

__all__ = [
    "SOURCE",
    "AdditivePredictor",
    "AdditivityReport",
    "Calibration",
    "Engine",
    "EnginePredictor",
    "GivesExpectation",
    "GivesIntervals",
    "GivesPercentiles",
    "KernelLatency",
    "KernelPredictor",
    "LatencyLoss",
    "LatencyPredictor",
    "LatencyRegressor",
    "LookedUpLatency",
    "MeansPredictor",
    "ModelPrediction",
    "OperatorMeans",
    "OwnPredictor",
    "PredictionReport",
    "SampledExpectation",
    "SpacePredictor",
    "UnknownLatency",
    "WorkloadRegressor",
    "additivity_report",
    "engine_names",
    "engine_table",
    "engine_times",
    "fill_gaps",
    "is_csv",
    "is_engine",
    "known_interval",
    "load_latencies",
    "load_measured",
    "load_predictor",
    "load_table",
    "parse_engine",
    "predict_engine",
    "predict_onnx",
    "predict_pieces",
    "prediction_report",
    "predictor_name",
    "require",
    "sampled_expectation",
    "shipped_predictors",
]

_HOMES = {
    "LatencyLoss": "hwnas.predictors.loss",
    "LatencyRegressor": "hwnas.predictors.regression",
    "SpacePredictor": "hwnas.predictors.of_space",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hwnas.predictors' has no attribute {name!r}")
