"""The ONNX file of a candidate: what is measured, and what a search hands back."""

import json
import math
from collections.abc import Callable
from typing import Any

import torch

from hwnas.arrays import IntArray
from hwnas.data import preparation_metadata
from hwnas.ops.module import GraphModule, node_ranges
from hwnas.predictors import LatencyPredictor, known_interval
from hwnas.search.candidates.evaluation import calibration_images
from hwnas.search.problem import Problem
from hwnas.supernet import Evaluator

__all__ = ["exporter", "predicted_interval", "predicted_ms"]


def exporter(problem: Problem, validation: Evaluator | None) -> Callable[[IntArray], bytes]:
    """Writes the deployed network, with the supernet's weights where it is the trained one.

    Without a supernet they are drawn at random.

    Precision and batch are those of the predictor's target; fp32 and 1 where it is given in words.
    """
    space, target = problem.space, problem.target
    precision: Any = "fp32" if target is None else target.precision
    batch = 1 if target is None else target.batch
    symmetric = target is not None and target.kind == "gpu"  # the int8 that TensorRT reads

    def export(arch: IntArray) -> bytes:
        weights = ranges = None
        if problem.trains_deployed and validation is not None:
            validation.set_statistics(arch)
            weights = validation.supernet.weights(arch)
            if precision == "int8":
                module = GraphModule(space.graph(arch))
                module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
                images = calibration_images(problem.data)
                ranges = node_ranges(module.eval(), space.graph(arch), images)
        about = {
            "hwnas.arguments": json.dumps(dict(space.arguments)),
            "hwnas.target": str(problem.predictor.target),
            **preparation_metadata(problem.data, space.input_shape),
        }
        predicted = predicted_ms(problem.predictor, arch)
        if predicted is not None:
            about["hwnas.predicted_ms"] = f"{predicted:.4f}"
        interval = predicted_interval(problem.predictor, arch)
        if interval is not None:
            about["hwnas.predicted_interval_ms"] = f"{interval[0]:.4f} {interval[1]:.4f}"
        about["hwnas.weights"] = "random" if weights is None else "supernet"
        return space.to_onnx(
            arch,
            weights,
            batch=batch,
            precision=precision,
            symmetric=symmetric,
            ranges=ranges,
            metadata=about,
            seed=problem.seed,
        )

    return export


def predicted_ms(predictor: LatencyPredictor, arch: IntArray) -> float | None:
    """The predicted latency of one architecture; None where none is known."""
    predicted = float(predictor.predict(arch[None])[0])
    return predicted if math.isfinite(predicted) else None


def predicted_interval(predictor: LatencyPredictor, arch: IntArray) -> list[float] | None:
    """The predicted 95 % interval of one architecture, ms; None where the predictor has none."""
    interval_ms = known_interval(predictor, arch[None])
    return None if interval_ms is None else [float(v) for v in interval_ms[0]]
