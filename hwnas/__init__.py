"""hwnas: from a device to a neural network that keeps its latency budget there, measured.

The names below are the public face. They load on first use, so that importing hwnas is quick and
does not import torch.
"""

from hwnas.version import __version__

TYPE_CHECKING = False  # importing typing takes as long as all the rest
if TYPE_CHECKING:
    from typing import Any

    from hwnas.costs import parse_budget
    from hwnas.data import load_data, register_data
    from hwnas.devices.any_model import measure
    from hwnas.errors import HwnasError
    from hwnas.latency_tables import LatencyTable
    from hwnas.predictors import LatencyLoss, LatencyRegressor, load_predictor, predict_onnx
    from hwnas.predictors.breakdown import breakdown
    from hwnas.profilers import register_runtime
    from hwnas.search.find import find_network
    from hwnas.search.methods import register_method
    from hwnas.search.result import Result
    from hwnas.search.retraining.brief import brief_training
    from hwnas.spaces import register_space, space
    from hwnas.spaces.family import family

__all__ = [
    "HwnasError",
    "LatencyLoss",
    "LatencyRegressor",
    "LatencyTable",
    "Result",
    "__version__",
    "breakdown",
    "brief_training",
    "family",
    "find_network",
    "load_data",
    "load_predictor",
    "measure",
    "parse_budget",
    "predict_onnx",
    "register_data",
    "register_method",
    "register_runtime",
    "register_space",
    "space",
    "spaces",
]

_HOMES = {
    "HwnasError": "hwnas.errors",
    "LatencyLoss": "hwnas.predictors",
    "LatencyRegressor": "hwnas.predictors",
    "LatencyTable": "hwnas.latency_tables",
    "Result": "hwnas.search.result",
    "breakdown": "hwnas.predictors.breakdown",
    "brief_training": "hwnas.search.retraining.brief",
    "family": "hwnas.spaces.family",
    "find_network": "hwnas.search.find",
    "load_data": "hwnas.data",
    "load_predictor": "hwnas.predictors",
    "measure": "hwnas.devices.any_model",
    "parse_budget": "hwnas.costs",
    "predict_onnx": "hwnas.predictors",
    "register_data": "hwnas.data",
    "register_method": "hwnas.search.methods",
    "register_runtime": "hwnas.profilers",
    "register_space": "hwnas.spaces",
    "space": "hwnas.spaces",
}


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "spaces":
        return import_module("hwnas.spaces")
    raise AttributeError(f"module 'hwnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
