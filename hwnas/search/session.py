"""A whole SPOS search: train, evolve, verify, and leave the files a person takes home."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from hwnas.costs import Budget, Constraint, FeasibleSet
from hwnas.costs.additive import IntArray
from hwnas.files import write_atomically
from hwnas.ops.module import node_ranges
from hwnas.predictors import AdditivePredictor
from hwnas.progress import Progress, silent
from hwnas.search.evolution import Evolution
from hwnas.search.plots import plot_accuracy_over_latency
from hwnas.search.run import Run
from hwnas.search.spos import LoggedEvaluation, Measure, evolve, train_supernet, verify
from hwnas.spaces import SearchSpace
from hwnas.supernet import Dataset, Evaluator, OptimizerKind, Supernet, UniformSampler

__all__ = ["constraints_for", "spos_session"]

#: Architectures of the first, random generation whose accuracies are reported: they tell whether
#: the supernet ranks anything.
_RANDOM_PATHS = 50
#: Images that recalibrate batch-norm, and at most as many that an evaluation looks at.
_CALIBRATION_IMAGES = 512
_VALIDATION_IMAGES = 1000


def constraints_for(
    budgets: Sequence[Budget], space: SearchSpace, predictor: AdditivePredictor
) -> list[Constraint]:
    """Each budget with what it limits: the predicted latency, or an analytic cost of the space."""
    return [
        Constraint(b, predictor.cost if b.quantity == "latency" else space.cost(b.quantity))
        for b in budgets
    ]


def spos_session(
    run: Run,
    deployed: SearchSpace,
    trained: SearchSpace,
    data: Dataset,
    predictor: AdditivePredictor,
    budgets: Sequence[Budget],
    measure: Measure | None,
    *,
    seed: int = 0,
    sharing: Literal["slices", "separate"] = "slices",
    steps: int = 600,
    train_batch: int = 128,
    optimizer: OptimizerKind = "adam",
    base_rate: float = 2e-3,
    population: int = 50,
    generations: int = 20,
    top: int = 10,
    mutation: float = 0.1,
    verify_with: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Search, and write ``result.json``, ``best.onnx`` and ``accuracy_latency.png``.

    Args:
        run: the folder, which may hold a part of this very search.
        deployed: the space whose latency counts.
        trained: a space with the same decisions, whose supernet is trained; may be ``deployed``.
        data: images at the input size of ``trained``.
        predictor: of the latency of ``deployed``.
        budgets: all of them are kept.
        measure: asks the device; None where it is not at hand, so that nothing is verified.
        seed: of everything random.
        sharing, steps, train_batch, optimizer, base_rate: of the supernet and its training.
        population, generations, top, mutation: of the evolution.
        verify_with: the command that measures the result on its device, where ``measure`` is None.
        progress: told all along.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps the budgets; nothing was trained.
        BudgetMissedError: no network kept the latency budget on the device.
    """
    constraints = constraints_for(budgets, deployed, predictor)
    feasible = FeasibleSet(constraints, deployed.format)

    supernet = Supernet(trained, sharing=sharing, seed=seed)
    train_supernet(
        run,
        supernet,
        UniformSampler(trained, seed=seed),
        data,
        steps=steps,
        batch=train_batch,
        optimizer=optimizer,
        base_rate=base_rate,
        seed=seed,
        progress=progress,
    )

    calibration = data.to_float(data.train_images[:_CALIBRATION_IMAGES])
    validation = Evaluator(
        supernet,
        calibration,
        data.to_float(data.validation_images[:_VALIDATION_IMAGES]),
        data.validation_labels[:_VALIDATION_IMAGES],
    )
    evaluate = LoggedEvaluation(run, deployed, validation.accuracies, progress)

    searcher = Evolution(feasible, top=top, mutation=mutation, seed=seed)
    first = searcher.suggest(max(_RANDOM_PATHS, population))  # uniform within the budgets
    searcher.update(first, evaluate(first))
    random_paths = evaluate(first[:_RANDOM_PATHS])
    evolve(
        searcher, evaluate, generations=generations - 1, population=population, progress=progress
    )

    target = predictor.table.target
    export = _exporter(deployed, trained, supernet, validation, calibration, predictor, seed)
    found = verify(
        run,
        deployed,
        constraints,
        searcher,
        evaluate,
        export,
        measure,
        population=population,
        seed=seed,
        progress=progress,
    )

    model = export(found.architecture)
    write_atomically(run.folder / "best.onnx", model)
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
        "accuracy": found.accuracy,
        "test_accuracy": float(test.accuracy_alone(found.architecture)),
        "random_paths": {
            "count": len(random_paths),
            "least": float(random_paths.min()),
            "median": float(np.median(random_paths)),
            "most": float(random_paths.max()),
        },
        "target": asdict(target),
        "seed": seed,
        "seconds": round(run.seconds, 1),
        "data": data.name,
        "measured": dict(found.measured) if found.measured else None,
        "verify": verify_with,
        "networks_measured": found.attempts,
        "architectures_evaluated": len(evaluate.asked),
        "feasible_share": feasible.count / deployed.size,
        "deployed": dict(deployed.arguments),
        "trained": dict(trained.arguments),
        "weights": "from the supernet" if same else "drawn at random: train best.onnx's network",
        "files": {"network": "best.onnx", "plot": "accuracy_latency.png"}
        | ({} if same else {"trained proxy": "proxy.onnx"}),
    }
    _plot(run, deployed, predictor, budgets, evaluate, result)
    run.write_json("result.json", result)
    return result


def _exporter(
    deployed: SearchSpace,
    trained: SearchSpace,
    supernet: Supernet,
    evaluator: Evaluator,
    images: npt.NDArray[np.float32],
    predictor: AdditivePredictor,
    seed: int,
) -> Callable[[IntArray], bytes]:
    """Writes the deployed network, with the supernet's weights where it is the trained one."""
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
