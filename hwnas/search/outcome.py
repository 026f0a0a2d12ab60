"""The deliverables of every search: ``result.json``, ``best.onnx``, and a picture."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from hwnas.arrays import FloatArray, IntArray
from hwnas.files import write_atomically
from hwnas.search.candidates.evaluation import Evaluation, tested_accuracy
from hwnas.search.candidates.export import exporter, predicted_interval
from hwnas.search.candidates.verification import Winner, verify_command
from hwnas.search.problem import Problem
from hwnas.search.runs.plots import draw_missing, plot_accuracy_over_latency, write_and_draw
from hwnas.search.runs.run import LOG, NETWORK, PLOT, PROXY_NETWORK, RESULT, WEIGHTS, Run
from hwnas.search.runs.schema import OWN, parse_of_file

__all__ = ["conclude", "draw_if_missing"]


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
    draw = _drawing(problem, result, *evaluation.accuracies.history)
    return write_and_draw(run, RESULT, result, draw)


def draw_if_missing(run: Run, problem: Problem, result: Mapping[str, Any]) -> None:
    """Draw the picture of a finished run that was killed before it had one."""
    found = {e["architecture"]: float(e["accuracy"]) for e in run.logged("evaluated")}
    path = run.folder / LOG

    def draw(picture: Path) -> None:
        archs = np.array([parse_of_file(problem.space, name, path, OWN) for name in found])
        _drawing(problem, result, archs, np.array(list(found.values())))(picture)

    draw_missing(run, result, draw)


def _drawing(
    problem: Problem, result: Mapping[str, Any], archs: IntArray, accuracies: FloatArray
) -> Callable[[Path], None]:
    """What draws a result among all that was evaluated into a file.

    Args:
        problem: that was solved.
        result: the content of ``result.json``.
        archs, accuracies: (n, n_decisions) and (n,).
    """
    predictor = problem.predictor

    def draw(path: Path) -> None:
        plot_accuracy_over_latency(
            path,
            predictor.predict(archs),
            accuracies,
            winner=(result["predicted_ms"], result["accuracy"]),
            measured_ms=result["measured_ms"],
            limit_ms=problem.latency_limit_ms,
            title=f"{problem.space.name}, {problem.data.name}, {predictor.target}",
        )

    return draw
