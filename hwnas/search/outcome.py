"""The deliverables of every search: ``result.json``, ``best.onnx``, and a picture."""

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from hwnas.arrays import FloatArray
from hwnas.files import write_atomically
from hwnas.search.candidates.evaluation import Evaluation, tested_accuracy
from hwnas.search.candidates.export import exporter, predicted_interval
from hwnas.search.candidates.verification import Winner, verify_command
from hwnas.search.problem import Problem
from hwnas.search.runs.plots import plot_accuracy_over_latency, write_and_draw
from hwnas.search.runs.run import NETWORK, PLOT, PROXY_NETWORK, RESULT, WEIGHTS, Run

__all__ = ["conclude"]


def conclude(
    run: Run,
    problem: Problem,
    evaluation: Evaluation,
    winner: Winner,
    random_accuracies: FloatArray,
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the deliverables, ``result.json`` last but for the picture, without which all is well.

    Args:
        run: the folder.
        problem: that was solved.
        evaluation: of the trained supernet; all that was asked is in the picture.
        winner: the architecture, and what the device said.
        random_accuracies: of random architectures within the budgets.
        extras: what the method adds: its ``method``, and more ``files``.

    Returns:
        The content of ``result.json``.
    """
    space, proxy, predictor = problem.space, problem.proxy, problem.predictor
    validation = evaluation.validation
    network = exporter(problem, validation)(winner.architecture)
    write_atomically(run.folder / NETWORK, network)
    validation.set_statistics(winner.architecture)
    weights = validation.supernet.weights(winner.architecture)
    write_atomically(run.folder / WEIGHTS, save(weights))
    same = problem.trains_deployed
    if not same:
        write_atomically(run.folder / PROXY_NETWORK, proxy.to_onnx(winner.architecture, weights))
    arch, target, measured = winner.architecture[None], problem.target, winner.measured
    result: dict[str, Any] = {
        "method": extras["method"],
        "space": space.name,
        "architecture": space.format(arch),
        "predicted_ms": float(predictor.predict(arch)[0]),
        "predicted_interval_ms": predicted_interval(predictor, winner.architecture),
        "measured_ms": measured["latency_ms"] if measured else None,
        "budget": [str(budget) for budget in problem.budgets],
        "macs": int(space.macs(arch)[0]),
        "params": int(space.params(arch)[0]),
        "bitops": int(space.bitops(arch)[0]) if space.quantised else None,
        "accuracy": winner.accuracy,
        "rank_by": validation.rank_by,
        "test_accuracy": tested_accuracy(validation, problem.data, winner.architecture),
        "random_paths": {
            "count": len(random_accuracies),
            "least": float(random_accuracies.min()),
            "median": float(np.median(random_accuracies)),
            "most": float(random_accuracies.max()),
        },
        "target": str(predictor.target) if target is None else asdict(target),
        "seed": problem.seed,
        "seconds": round(run.seconds, 1),
        "data": problem.data.name,
        "measured": dict(measured) if measured else None,
        "verify": None if measured else verify_command(run.folder),
        "networks_measured": winner.attempts,
        "architectures_evaluated": len(evaluation.accuracies.asked),
        **extras,
        "deployed": dict(space.arguments),
        "trained": dict(proxy.arguments),
        "digest": sha256(network).hexdigest(),
        "weights": "from the supernet" if same else "drawn at random: train best.onnx's network",
        "files": {"network": NETWORK, "plot": PLOT}
        | ({} if same else {"trained proxy": PROXY_NETWORK})
        | extras.get("files", {}),
    }
    archs, accuracies = evaluation.accuracies.history

    def draw(path: Path) -> None:
        plot_accuracy_over_latency(
            path,
            predictor.predict(archs),
            accuracies,
            winner=(result["predicted_ms"], result["accuracy"]),
            measured_ms=result["measured_ms"],
            limit_ms=problem.latency_limit_ms,
            title=f"{space.name}, {result['data']}, {predictor.target}",
        )

    return write_and_draw(run, RESULT, result, draw)
