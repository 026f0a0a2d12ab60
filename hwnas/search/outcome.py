"""The deliverables of every search: ``result.json``, ``best.onnx``, and a picture."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from hwnas.arrays import FloatArray, IntArray
from hwnas.data import notes_of, preparation_metadata, preparation_of
from hwnas.files import write_atomically
from hwnas.predictors import SOURCE, LookedUpLatency
from hwnas.search.candidates.evaluation import Evaluation, tested_accuracy
from hwnas.search.candidates.export import exporter, predicted_interval, predicted_ms
from hwnas.search.candidates.largest import largest_within
from hwnas.search.candidates.verification import Winner, verify_command
from hwnas.search.problem import Problem
from hwnas.search.runs.plots import Scale, plot_accuracy_over_latency, write_and_draw
from hwnas.search.runs.run import NETWORK, PLOT, PROXY_NETWORK, RESULT, WEIGHTS, Run
from hwnas.supernet import Evaluator

__all__ = ["conclude"]


def conclude(
    run: Run,
    problem: Problem,
    evaluation: Evaluation,
    winner: Winner,
    random_accuracies: FloatArray,
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the deliverables: the files, then ``result.json``, then the picture, which may fail.

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
    if validation is not None:
        _write_trained(run, problem, validation, winner.architecture)
    same, preparation = problem.trains_deployed, preparation_of(problem.data, space.input_shape)
    arch, target, measured = winner.architecture[None], problem.target, winner.measured
    result: dict[str, Any] = {
        "method": extras["method"],
        "space": space.name,
        "architecture": space.format(arch),
        "predicted_ms": predicted_ms(predictor, winner.architecture),
        "predicted_interval_ms": predicted_interval(predictor, winner.architecture),
        "measured_ms": measured["latency_ms"] if measured else None,
        "budget": [str(budget) for budget in problem.budgets],
        "macs": int(space.macs(arch)[0]),
        "params": int(space.params(arch)[0]),
        "bitops": int(space.bitops(arch)[0]) if space.quantised else None,
        "memory_bytes": int(space.memory(arch)[0])
        if any(budget.quantity == "memory" for budget in problem.budgets)
        else None,
        "accuracy": winner.accuracy,
        "metric": problem.metric.record,
        "rank_by": "accuracy" if validation is None else validation.rank_by,
        "test_accuracy": None
        if validation is None
        else tested_accuracy(validation, problem.data, winner.architecture),
        "validation_images": None if validation is None else validation.image_count,
        "random_paths": {
            "count": len(random_accuracies),
            "least": float(random_accuracies.min()),
            "median": float(np.median(random_accuracies)),
            "most": float(random_accuracies.max()),
        },
        "largest": _largest(problem, evaluation),
        "target": str(predictor.target) if target is None else asdict(target),
        **({"source": SOURCE} if predictor.notes.get("source") == SOURCE else {}),
        "seed": problem.seed,
        "seconds": round(run.seconds, 1),
        "data": problem.data.name,
        "data_notes": list(notes_of(problem.data)),
        "preprocessing": None if preparation is None else preparation.facts,
        "measured": dict(measured) if measured else None,
        "verify": None if measured else verify_command(run.folder),
        "networks_measured": winner.attempts,
        "architectures_evaluated": len(evaluation.accuracies.asked),
        **extras,
        "looked_up": _looked_up(problem, winner.architecture, winner.accuracy),
        "deployed": dict(space.arguments),
        "trained": dict(proxy.arguments),
        "digest": sha256(network).hexdigest(),
        "weights": "from the supernet"
        if same and validation is not None
        else "drawn at random: train best.onnx's network",
        "files": {"network": NETWORK, "plot": PLOT}
        | ({} if same else {"trained proxy": PROXY_NETWORK})
        | extras.get("files", {}),
    }
    return write_and_draw(run, RESULT, result, _picture(problem, evaluation, result))


def _picture(
    problem: Problem, evaluation: Evaluation, result: Mapping[str, Any]
) -> Callable[[Path], None]:
    """What draws all that was evaluated over latency, or over MACs where no latency is known."""
    space, predictor = problem.space, problem.predictor
    archs, accuracies = evaluation.accuracies.history
    known = result["predicted_ms"] is not None
    costs = predictor.predict(archs) if known else space.macs(archs) / 1e6
    scale = Scale("latency (ms)" if known else "MACs (millions)", problem.metric)
    if problem.accuracies is not None:
        scale = replace(scale, score=f"{problem.accuracies.name}, looked up (%)")
    return partial(
        plot_accuracy_over_latency,
        latency_ms=costs,
        accuracies=accuracies,
        winner=(result["predicted_ms"] if known else result["macs"] / 1e6, result["accuracy"]),
        measured_ms=result["measured_ms"],
        limit_ms=problem.latency_limit_ms,
        title=f"{space.name}, {result['data']}, {predictor.target}",
        scale=scale,
    )


def _write_trained(run: Run, problem: Problem, validation: Evaluator, arch: IntArray) -> None:
    """The supernet's weights of the winner, and the trained network where it is another."""
    validation.set_statistics(arch)
    weights = validation.supernet.weights(arch)
    write_atomically(run.folder / WEIGHTS, save(weights))
    if not problem.trains_deployed:
        about = preparation_metadata(problem.data, problem.proxy.input_shape)
        network = problem.proxy.to_onnx(arch, weights, metadata=about)
        write_atomically(run.folder / PROXY_NETWORK, network)


def _largest(problem: Problem, evaluation: Evaluation) -> dict[str, Any]:
    """The network of the most MACs within the budgets, and what it is worth."""
    space, found = problem.space, largest_within(problem)
    return {
        "architecture": space.format(found.architecture),
        "accuracy": evaluation.accuracies.aside(found.architecture),
        "macs": int(space.macs(found.architecture)[0]),
        "params": int(space.params(found.architecture)[0]),
        "predicted_ms": predicted_ms(problem.predictor, found.architecture),
        "exact": found.exact,
    }


def _looked_up(problem: Problem, arch: IntArray, accuracy: float) -> dict[str, Any]:
    """The numbers of an architecture as they stand in tables, in their own units."""
    found: dict[str, Any] = {}
    if problem.accuracies is not None:
        found["accuracy"] = {
            "table": problem.accuracies.name,
            "value": problem.accuracies.shown(arch, accuracy),
            "unit": problem.accuracies.unit,
        }
    if isinstance(problem.predictor, LookedUpLatency):
        found["latency"] = {
            "table": problem.predictor.name,
            "value": float(problem.predictor.predict(arch)[0]),
            "unit": "ms",
        }
    return found
