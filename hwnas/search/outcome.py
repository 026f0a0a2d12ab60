"""What every search leaves: ``result.json``, ``best.onnx``, and a picture."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hwnas.arrays import IntArray
from hwnas.costs import Budget
from hwnas.data import ArrayDataset
from hwnas.files import write_atomically
from hwnas.ops.module import node_ranges
from hwnas.predictors import AdditivePredictor
from hwnas.search.images import calibration_images
from hwnas.search.plots import plot_accuracy_over_latency
from hwnas.search.run import Run
from hwnas.search.spos import LoggedEvaluation
from hwnas.search.verification import Found, verify_command
from hwnas.spaces import SearchSpace
from hwnas.supernet import Evaluator

__all__ = ["conclude", "exporter"]


def conclude(
    run: Run,
    deployed: SearchSpace,
    data: ArrayDataset,
    predictor: AdditivePredictor,
    budgets: Sequence[Budget],
    validation: Evaluator,
    evaluate: LoggedEvaluation,
    found: Found,
    drawn: npt.NDArray[np.float64],
    facts: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Write the files that a person takes home, ``result.json`` last.

    Args:
        run: the folder.
        deployed: the space whose latency counts.
        data: what the supernet was trained on.
        predictor: of the latency of ``deployed``.
        budgets: that were kept.
        validation: evaluates with the trained supernet.
        evaluate: what was asked is drawn.
        found: the winner.
        drawn: accuracies of random architectures within the budgets.
        facts: what else the result is to say: ``method`` if it is not spos, more ``files``.
        seed: of the weights that are not trained.

    Returns:
        The content of ``result.json``.
    """
    supernet, calibration = validation.supernet, calibration_images(data)
    trained, target = supernet.space, predictor.table.target
    export = exporter(deployed, data, validation, predictor, seed)
    write_atomically(run.folder / "best.onnx", export(found.architecture))
    same = trained.identifier == deployed.identifier
    if not same:
        validation.set_statistics(found.architecture)
        proxy = trained.to_onnx(found.architecture, supernet.weights(found.architecture))
        write_atomically(run.folder / "proxy.onnx", proxy)
    test = Evaluator(supernet, calibration, data.to_float(data.test_images), data.test_labels)
    arch = found.architecture[None]
    result: dict[str, Any] = {
        "method": "spos",
        "space": deployed.name,
        "architecture": deployed.format(arch),
        "predicted_ms": float(predictor.predict(arch)[0]),
        "predicted_interval_ms": [float(v) for v in predictor.predict_interval(arch)[0]],
        "measured_ms": found.measured["latency_ms"] if found.measured else None,
        "budget": [str(budget) for budget in budgets],
        "macs": int(deployed.macs(arch)[0]),
        "params": int(deployed.params(arch)[0]),
        "bitops": int(deployed.bitops(arch)[0]) if deployed.quantised else None,
        "accuracy": found.accuracy,
        "test_accuracy": float(test.accuracy_alone(found.architecture)),
        "random_paths": {
            "count": len(drawn),
            "least": float(drawn.min()),
            "median": float(np.median(drawn)),
            "most": float(drawn.max()),
        },
        "target": asdict(target),
        "seed": seed,
        "seconds": round(run.seconds, 1),
        "data": data.name,
        "measured": dict(found.measured) if found.measured else None,
        "verify": None if found.measured else verify_command(run.folder),
        "networks_measured": found.attempts,
        "architectures_evaluated": len(evaluate.asked),
        **facts,
        "deployed": dict(deployed.arguments),
        "trained": dict(trained.arguments),
        "weights": "from the supernet" if same else "drawn at random: train best.onnx's network",
        "files": {"network": "best.onnx", "plot": "accuracy_latency.png"}
        | ({} if same else {"trained proxy": "proxy.onnx"})
        | facts.get("files", {}),
    }
    _plot(run, deployed, predictor, budgets, evaluate, result)
    run.write_json("result.json", result)
    return result


def exporter(
    deployed: SearchSpace,
    data: ArrayDataset,
    evaluator: Evaluator,
    predictor: AdditivePredictor,
    seed: int,
) -> Callable[[IntArray], bytes]:
    """Writes the deployed network, with the supernet's weights where it is the trained one."""
    supernet, images = evaluator.supernet, calibration_images(data)
    trained = supernet.space
    target = predictor.table.target
    precision: Any = target.precision
    symmetric = target.kind == "gpu"  # the form of int8 that TensorRT reads

    def export(arch: IntArray) -> bytes:
        weights = ranges = None
        if trained.identifier == deployed.identifier:
            evaluator.set_statistics(arch)
            weights = supernet.weights(arch)
            if precision == "int8":
                module = deployed.build(arch)
                module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
                ranges = node_ranges(module.eval(), deployed.graph(arch), torch.from_numpy(images))
        interval = predictor.predict_interval(arch)[0]
        about = {
            "hwnas.arguments": json.dumps(dict(deployed.arguments)),
            "hwnas.target": str(target),
            "hwnas.predicted_ms": f"{predictor.predict(arch)[0]:.4f}",
            "hwnas.predicted_interval_ms": f"{interval[0]:.4f} {interval[1]:.4f}",
            "hwnas.weights": "random" if weights is None else "supernet",
        }
        return deployed.to_onnx(
            arch,
            weights,
            batch=target.batch,
            precision=precision,
            symmetric=symmetric,
            ranges=ranges,
            metadata=about,
            seed=seed,
        )

    return export


def _plot(
    run: Run,
    space: SearchSpace,
    predictor: AdditivePredictor,
    budgets: Sequence[Budget],
    evaluate: LoggedEvaluation,
    result: dict[str, Any],
) -> None:
    archs = np.array([space.parse(name) for name in evaluate.asked])
    plot_accuracy_over_latency(
        run.folder / "accuracy_latency.png",
        predictor.predict(archs),
        np.array(list(evaluate.asked.values())),
        winner=(result["predicted_ms"], result["accuracy"]),
        measured_ms=result["measured_ms"],
        limit_ms=next((b.limit for b in budgets if b.quantity == "latency"), None),
        title=f"{space.name}, {result['data']}, {predictor.table.target}",
    )
