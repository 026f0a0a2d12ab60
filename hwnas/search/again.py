"""A trained supernet, searched again: other budgets, several at once, or a whole Pareto front.

Nothing is trained. What any search of this supernet evaluated is known to all of them: accuracies
are looked up, and every budget's winner is the best of all that was evaluated and keeps it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Budget, Constraint, FeasibleSet
from hwnas.data import ArrayDataset
from hwnas.errors import BudgetMissedError
from hwnas.predictors import AdditivePredictor
from hwnas.progress import Progress, silent
from hwnas.search.constraints import constraints_for
from hwnas.search.evolution import Evolution
from hwnas.search.images import validation_evaluator
from hwnas.search.outcome import conclude, exporter
from hwnas.search.parallel import Parallel, logged_evaluation
from hwnas.search.pareto import evolve_front, front, require_pymoo
from hwnas.search.plots import plot_front
from hwnas.search.run import Run
from hwnas.search.session import random_paths
from hwnas.search.spos import LoggedEvaluation, evolve, verify
from hwnas.search.stored import StoredRun
from hwnas.search.verification import Measure
from hwnas.spaces import SearchSpace
from hwnas.supernet import Evaluator

#: More than any network takes.
_NO_LIMIT_MS = 1e9

__all__ = ["budget_name", "search_again", "search_front"]


def budget_name(budgets: Sequence[Budget]) -> str:
    """The folder of a budget's result: ``latency4ms-macs330M``."""
    return "-".join(str(budget).replace("<=", "") for budget in budgets)


def search_again(
    run: Run,
    source: StoredRun,
    data: ArrayDataset,
    predictor: AdditivePredictor,
    budget_lists: Sequence[Sequence[Budget]],
    measure: Measure | None,
    *,
    seed: int = 0,
    population: int = 50,
    generations: int = 20,
    top: int = 10,
    mutation: float = 0.1,
    confidence: float | None = None,
    parallel: Parallel | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Search a trained supernet under each of several lists of budgets.

    Each list's winner gets a sub-folder with what `spos_session` leaves; ``result.json`` and
    ``pareto.png`` of the run show all of them and the Pareto front.

    Args:
        run: the folder; its log keeps all accuracies and measurements.
        source: the run that trained the supernet.
        data: what it was trained on.
        predictor: of the latency of ``source.deployed``.
        budget_lists: one search each, under all budgets of the list.
        measure: asks the device; None where it is not at hand.
        seed, population, generations, top, mutation: of each evolution.
        confidence: that latency budgets are kept, see `constraints_for`.
        parallel: processes that evaluate candidates; None for this one.
        progress: told all along.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps one of the lists; nothing was searched.
        BudgetMissedError: the device says that a winner misses; the others are in their folders.
    """
    space = source.deployed
    sets = [
        FeasibleSet(
            constraints_for(budgets, space, predictor, confidence, measured=measure is not None),
            space.format,
        )
        for budgets in budget_lists
    ]
    validation = validation_evaluator(source.supernet(), data)
    evaluate = _evaluation(run, source, validation, parallel, progress)
    searchers = [Evolution(feasible, top=top, mutation=mutation, seed=seed) for feasible in sets]
    drawn = []
    for searcher, budgets in zip(searchers, budget_lists, strict=True):
        drawn.append(random_paths(searcher, evaluate, population))
        _tell(searcher, source, evaluate)
        evolve(
            searcher,
            evaluate,
            generations=generations - 1,
            population=population,
            progress=_named(progress, budget_name(budgets)),
        )

    results, missed = [], []
    for searcher, budgets, accuracies in zip(searchers, budget_lists, drawn, strict=True):
        _tell(searcher, source, evaluate)  # what later searches found counts, too
        try:
            found = verify(
                run,
                space,
                searcher.feasible.constraints,
                searcher,
                evaluate,
                exporter(space, data, validation, predictor, seed),
                measure,
                interval_ms=predictor.predict_interval,
                population=population,
                seed=seed,
                progress=progress,
            )
        except BudgetMissedError as error:
            missed.append(str(error))
            continue
        name = budget_name(budgets)
        folder = run.folder / name
        config = {**source.identity(folder), "budget": [str(b) for b in budgets], "seed": seed}
        predictor.table.save(folder / "table.json")
        results.append(
            conclude(
                Run(folder, config),
                space,
                data,
                predictor,
                budgets,
                validation,
                evaluate,
                found,
                accuracies,
                {
                    "feasible_share": searcher.feasible.count / space.size,
                    "supernet": str(source.home),
                    "folder": name,
                },
                seed,
            )
        )
    if missed:
        raise BudgetMissedError(
            f"{len(results)} of {len(budget_lists)} budgets have a result in {run.folder}; "
            + "; ".join(missed)
        )
    limits = [b.limit for budgets in budget_lists for b in budgets if b.quantity == "latency"]
    return _summary(run, source, predictor, evaluate, limits, {"budgets": results})


def search_front(
    run: Run,
    source: StoredRun,
    data: ArrayDataset,
    predictor: AdditivePredictor,
    budgets: Sequence[Budget],
    *,
    seed: int = 0,
    population: int = 50,
    generations: int = 20,
    mutation: float = 0.1,
    confidence: float | None = None,
    parallel: Parallel | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Search a trained supernet for the Pareto front of accuracy and predicted latency (NSGA-II).

    Args: as for `search_again`; ``budgets`` may be empty, and all that is evaluated keeps them.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps the budgets.
        MissingPackageError: pymoo is not installed.
    """
    require_pymoo()
    space = source.deployed
    anything = Constraint(Budget("latency", _NO_LIMIT_MS), predictor.cost)
    constraints = constraints_for(budgets, space, predictor, confidence)
    feasible = FeasibleSet(constraints or [anything], space.format)
    validation = validation_evaluator(source.supernet(), data)
    evaluate = _evaluation(run, source, validation, parallel, progress)
    archs, accuracies = _asked(space, evaluate, feasible)
    evolve_front(
        feasible,
        predictor.cost,
        space.n_choices,
        evaluate,
        archs[front(predictor.predict(archs), accuracies)],
        population=population,
        generations=generations,
        mutation=mutation,
        seed=seed,
        progress=progress,
    )
    limits = [b.limit for b in budgets if b.quantity == "latency"]
    facts = {"budget": [str(b) for b in budgets]}
    return _summary(run, source, predictor, evaluate, limits, facts, feasible)


def _evaluation(
    run: Run,
    source: StoredRun,
    validation: Evaluator,
    parallel: Parallel | None,
    progress: Progress,
) -> LoggedEvaluation:
    """Accuracies; those of the earlier run, as it was when this one began, count as asked for."""
    if not any(run.logged("imported")):
        run.log("imported", accuracies=source.accuracies())
    known = dict(next(run.logged("imported"))["accuracies"])
    space = source.deployed
    evaluate = logged_evaluation(run, space, validation, parallel, known=known, progress=progress)
    if known:
        evaluate(np.array([space.parse(name) for name in known]))
    return evaluate


def _asked(
    space: SearchSpace, evaluate: LoggedEvaluation, feasible: FeasibleSet | None = None
) -> tuple[IntArray, FloatArray]:
    """All evaluated architectures (n, n_decisions), within a set, and their accuracies (n,)."""
    rows = [space.parse(name) for name in evaluate.asked]
    archs = np.array(rows, np.int64).reshape(len(rows), len(space.decisions))
    accuracies = np.array(list(evaluate.asked.values()))
    kept = np.ones(len(archs), bool) if feasible is None else feasible.contains(archs)
    return archs[kept], accuracies[kept]


def _tell(searcher: Evolution, source: StoredRun, evaluate: LoggedEvaluation) -> None:
    searcher.update(*_asked(source.deployed, evaluate))


def _named(progress: Progress, name: str) -> Progress:
    """The same bars, one a budget."""
    return lambda task, share, remark: progress(f"{task}, {name}", share, remark)


def _summary(
    run: Run,
    source: StoredRun,
    predictor: AdditivePredictor,
    evaluate: LoggedEvaluation,
    limits_ms: Sequence[float],
    facts: Mapping[str, Any],
    feasible: FeasibleSet | None = None,
) -> dict[str, Any]:
    """``result.json`` and ``pareto.png`` of all that is known of the supernet."""
    space = source.deployed
    archs, accuracies = _asked(space, evaluate, feasible)
    latency_ms = predictor.predict(archs)
    chosen = front(latency_ms, accuracies)
    plot_front(
        run.folder / "pareto.png",
        latency_ms,
        accuracies,
        chosen,
        limits_ms=limits_ms,
        title=f"{space.name}, {source.config['data'].partition(':')[0]}, {predictor.table.target}",
    )
    result = {
        **facts,
        "front": [
            {
                "architecture": space.format(archs[at]),
                "predicted_ms": float(latency_ms[at]),
                "accuracy": float(accuracies[at]),
                "macs": int(space.macs(archs[at])[0]),
                "params": int(space.params(archs[at])[0]),
            }
            for at in chosen
        ],
        "supernet": str(source.home),
        "space": space.name,
        "architectures_evaluated": len(list(run.logged("evaluated"))),
        "accuracies_reused": len(next(run.logged("imported"))["accuracies"]),
        "seconds": round(run.seconds, 1),
        "files": {"plot": "pareto.png"},
    }
    run.write_json("result.json", result)
    return result
