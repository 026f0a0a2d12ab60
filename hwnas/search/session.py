"""A whole SPOS search: train, evolve, verify, and leave the files a person takes home."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from hwnas.costs import Budget, Constraint, FeasibleSet
from hwnas.costs.additive import IntArray
from hwnas.errors import BudgetError
from hwnas.files import write_atomically
from hwnas.ops.module import node_ranges
from hwnas.predictors import AdditivePredictor
from hwnas.progress import Progress, silent
from hwnas.search.evolution import Evolution
from hwnas.search.parallel import Parallel, logged_evaluation
from hwnas.search.plots import plot_accuracy_over_latency
from hwnas.search.run import Run
from hwnas.search.spos import LoggedEvaluation, evolve, train_supernet, verify
from hwnas.search.verification import Found, Measure, verify_command
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    ALONE,
    Dataset,
    Evaluator,
    OptimizerKind,
    SamplerKind,
    Supernet,
    Workers,
    make_sampler,
)

__all__ = [
    "RANDOM_PATHS",
    "calibration_images",
    "check_budgets",
    "conclude",
    "constraints_for",
    "exporter",
    "random_paths",
    "spos_session",
    "validation_evaluator",
]

#: Architectures of the first, random generation whose accuracies are reported: they tell whether
#: the supernet ranks anything.
RANDOM_PATHS = 50
#: Images that recalibrate batch-norm, and at most as many that an evaluation looks at.
_CALIBRATION_IMAGES = 512
_VALIDATION_IMAGES = 1000


def constraints_for(
    budgets: Sequence[Budget],
    space: SearchSpace,
    predictor: AdditivePredictor,
    confidence: float | None = None,
    *,
    measured: bool = False,
) -> list[Constraint]:
    """Each budget with what it limits: the predicted latency, or an analytic cost of the space.

    Args:
        budgets: to be kept.
        space: whose costs are limited.
        predictor: of latency.
        confidence: of the predictor's intervals. Then only architectures whose upper end keeps the
            latency budget are feasible; None for the prediction itself.
        measured: a device is at hand, which decides about those in doubt: all whose lower end
            keeps the budget are feasible.

    Raises:
        BudgetError: a budget of BitOps for a space that has none.
    """
    check_budgets(budgets, space)

    def constraint(budget: Budget) -> Constraint:
        if budget.quantity != "latency":
            return Constraint(budget, space.cost(budget.quantity))
        if confidence is None:
            return Constraint(budget, predictor.cost)
        sure = predictor.upper_cost(confidence)
        return Constraint(budget, predictor.lower_cost(confidence) if measured else sure, sure)

    return [constraint(budget) for budget in budgets]


def calibration_images(data: Dataset) -> npt.NDArray[np.float32]:
    """The training images that recalibrate batch-norm for every candidate."""
    return data.to_float(data.train_images[:_CALIBRATION_IMAGES])


def validation_evaluator(supernet: Supernet, data: Dataset) -> Evaluator:
    """What ranks candidates: the supernet on the validation images."""
    return Evaluator(
        supernet,
        calibration_images(data),
        data.to_float(data.validation_images[:_VALIDATION_IMAGES]),
        data.validation_labels[:_VALIDATION_IMAGES],
    )


def random_paths(
    searcher: Evolution, evaluate: LoggedEvaluation, population: int
) -> npt.NDArray[np.float64]:
    """The first generation, uniform within the budgets; the accuracies of its first 50."""
    first = searcher.suggest(max(RANDOM_PATHS, population))
    searcher.update(first, evaluate(first))
    return evaluate(first[:RANDOM_PATHS])


def check_budgets(budgets: Sequence[Budget], space: SearchSpace) -> None:
    """Raise `BudgetError` if a budget limits what the space has nothing of."""
    if not space.quantised and any(b.quantity == "bitops" for b in budgets):
        raise BudgetError(
            f"{space.name} quantises nothing, so that every network keeps a budget of BitOps: "
            "search resnet18-bits or resnet34-bits, or give another budget"
        )


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
    sampler: SamplerKind = "uniform",
    bins: Sequence[float] | None = None,
    steps: int = 600,
    train_batch: int = 128,
    optimizer: OptimizerKind = "adam",
    base_rate: float = 2e-3,
    population: int = 50,
    generations: int = 20,
    top: int = 10,
    mutation: float = 0.1,
    confidence: float | None = None,
    shares: int = 1,
    workers: Workers = ALONE,
    parallel: Parallel | None = None,
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
        sampler, bins: which paths are trained; bins are of the first budget's cost, see
            `hwnas.supernet.make_sampler`.
        population, generations, top, mutation: of the evolution.
        confidence: that the latency budget is kept, see `constraints_for`.
        shares, workers: of the training, see `train_supernet`.
        parallel: processes that evaluate candidates; None for this one.
        progress: told all along.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps the budgets; nothing was trained.
        BudgetMissedError: no network kept the latency budget on the device.
    """
    constraints = constraints_for(
        budgets, deployed, predictor, confidence, measured=measure is not None
    )
    feasible = FeasibleSet(constraints, deployed.format)

    paths = make_sampler(sampler, trained, constraints[0], bins, seed=seed)
    supernet = Supernet(trained, sharing=sharing, seed=seed)
    train_supernet(
        run,
        supernet,
        paths,
        data,
        steps=steps,
        batch=train_batch,
        optimizer=optimizer,
        base_rate=base_rate,
        seed=seed,
        shares=shares,
        workers=workers,
        progress=progress,
    )

    validation = validation_evaluator(supernet, data)
    evaluate = logged_evaluation(run, deployed, validation, parallel, progress=progress)
    searcher = Evolution(feasible, top=top, mutation=mutation, seed=seed)
    drawn = random_paths(searcher, evaluate, population)
    evolve(
        searcher, evaluate, generations=generations - 1, population=population, progress=progress
    )

    found = verify(
        run,
        deployed,
        constraints,
        searcher,
        evaluate,
        exporter(deployed, data, validation, predictor, seed),
        measure,
        population=population,
        seed=seed,
        progress=progress,
    )
    facts = {"feasible_share": feasible.count / deployed.size}
    return conclude(
        run, deployed, data, predictor, budgets, validation, evaluate, found, drawn, facts, seed
    )


def conclude(
    run: Run,
    deployed: SearchSpace,
    data: Dataset,
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
    data: Dataset,
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
