"""A whole SPOS search: train, evolve, verify, and leave the files a person takes home."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.costs import Budget, FeasibleSet
from hwnas.data import ArrayDataset
from hwnas.predictors import AdditivePredictor
from hwnas.progress import Progress, silent
from hwnas.search.constraints import constraints_for
from hwnas.search.evolution import Evolution
from hwnas.search.finalists import ranked_alone
from hwnas.search.images import validation_evaluator
from hwnas.search.outcome import conclude, exporter
from hwnas.search.parallel import Parallel, logged_evaluation
from hwnas.search.run import Run
from hwnas.search.spos import LoggedEvaluation, evolve, train_supernet, verify
from hwnas.search.verification import Measure
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    SINGLE_PROCESS,
    OptimizerKind,
    SamplerKind,
    Sharing,
    Supernet,
    Workers,
    make_sampler,
)

__all__ = ["RANDOM_PATHS", "random_paths", "spos_session"]

#: Architectures of the first, random generation whose accuracies are reported: they tell whether
#: the supernet ranks anything.
RANDOM_PATHS = 50


def random_paths(
    searcher: Evolution, evaluate: LoggedEvaluation, population: int
) -> npt.NDArray[np.float64]:
    """The first generation, uniform within the budgets; the accuracies of its first 50."""
    first = searcher.suggest(max(RANDOM_PATHS, population))
    searcher.update(first, evaluate(first))
    return evaluate(first[:RANDOM_PATHS])


def spos_session(
    run: Run,
    deployed: SearchSpace,
    trained: SearchSpace,
    data: ArrayDataset,
    predictor: AdditivePredictor,
    budgets: Sequence[Budget],
    measure: Measure | None,
    *,
    seed: int = 0,
    sharing: Sharing = "slices",
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
    finalists: int = 1,
    finalist_steps: int = 300,
    confidence: float | None = None,
    shares: int = 1,
    workers: Workers = SINGLE_PROCESS,
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
        finalists, finalist_steps: so many of the best, unlike each other, are trained alone for so
            many steps, and the best of them on the validation images wins; 1 for the evolution's
            own winner. See `hwnas.search.finalists`.
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

    alone = []
    if finalists > 1:
        alone = ranked_alone(
            run,
            trained,
            data,
            feasible,
            evaluate,
            count=finalists,
            steps=finalist_steps,
            seed=seed,
            progress=progress,
        )

    found = verify(
        run,
        deployed,
        constraints,
        searcher,
        evaluate,
        exporter(deployed, data, validation, predictor, seed),
        measure,
        interval_ms=predictor.predict_interval,
        finalists=[arch for arch, _ in alone],
        population=population,
        seed=seed,
        progress=progress,
    )
    facts = {
        "feasible_share": feasible.count / deployed.size,
        "finalists": {deployed.format(arch): accuracy for arch, accuracy in alone},
    }
    return conclude(
        run, deployed, data, predictor, budgets, validation, evaluate, found, drawn, facts, seed
    )
