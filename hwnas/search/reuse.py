"""A trained supernet, searched again: other budgets, several at once, or a whole Pareto front.

Nothing is trained. What any search of this supernet evaluated is known to all of them: accuracies
are looked up, and every budget's winner is the best of all that was evaluated and keeps it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Budget, Constraint, FeasibleSet
from hwnas.documents import inside
from hwnas.errors import BudgetMissedError
from hwnas.progress import Progress, named, silent
from hwnas.search.candidates.evaluation import Evaluation
from hwnas.search.candidates.parallel import Parallel
from hwnas.search.constraints import of_connected
from hwnas.search.context import Context
from hwnas.search.deployment import Deployment
from hwnas.search.problem import Problem
from hwnas.search.runs.plots import Scale, plot_front, write_and_draw
from hwnas.search.runs.run import LOG, RESULT, Run, budget_name
from hwnas.search.runs.schema import OWN, parse_of_file
from hwnas.search.runs.stored import StoredRun
from hwnas.search.searchers.making import make_searcher
from hwnas.search.searchers.pareto import evolve_front, front, require_pymoo
from hwnas.search.searchers.proposals import proposer, random_paths
from hwnas.search.searchers.searcher import Searcher, search_generations
from hwnas.search.settings import restored
from hwnas.search.shared_settings import EvaluationSettings, EvolutionSettings

__all__ = ["Reuse", "budget_name", "feasible_front", "search_front", "search_supernet"]

#: More than any network takes.
_NO_LIMIT_MS = 1e9
_PLOT = "pareto.png"


@dataclass(frozen=True, eq=False)
class Reuse:
    """A trained supernet in a new run.

    Attributes:
        run: the folder; its log keeps all accuracies and measurements.
        source: the run that trained the supernet.
        deployment: what predicts and measures.
        settings: of each evolution.
        parallel: processes that evaluate candidates; None for this one.
        progress: told all along.
    """

    run: Run
    source: StoredRun
    deployment: Deployment
    settings: EvolutionSettings
    parallel: Parallel | None = None
    progress: Progress = silent

    def context(self, problem: Problem, run: Run | None = None) -> Context:
        """What the parts of a search are handed, for one of several problems."""
        return Context(problem, run or self.run, parallel=self.parallel, progress=self.progress)

    def evaluation(self, context: Context) -> Evaluation:
        """Accuracies; those of the source, as it was when this run began, count as asked for."""
        if not any(self.run.logged("imported")):
            metric = context.problem.metric
            self.run.log("imported", accuracies=self.source.accuracies(), **metric.facts)
        known = dict(next(self.run.logged("imported"))["accuracies"])
        images = restored(EvaluationSettings, self.source.config)
        evaluation = context.evaluator(self.source.supernet(), known, images)
        if known:
            space, path = self.source.deployed, self.run.folder / LOG
            archs = [parse_of_file(space, name, path, OWN) for name in known]
            evaluation.accuracies(np.array(archs))
        return evaluation


def search_supernet(reuse: Reuse, problems: Sequence[Problem]) -> dict[str, Any]:
    """Search a trained supernet under each of several lists of budgets.

    Each list's winner gets a sub-folder with the deliverables of a search; ``result.json`` and
    ``pareto.png`` of the run show all of them and the Pareto front.

    Args:
        reuse: the supernet, and where it is searched.
        problems: the same but for their budgets.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps one of the lists; nothing was searched.
        BudgetMissedError: the device says that a winner misses; the others are in their folders.
    """
    settings = reuse.settings
    contexts = [reuse.context(problem) for problem in problems]
    evaluation = reuse.evaluation(contexts[0])
    evaluate = evaluation.accuracies
    searchers = [make_searcher(settings, problem) for problem in problems]
    random_accuracies = []
    for searcher, problem in zip(searchers, problems, strict=True):
        random_accuracies.append(random_paths(searcher, evaluate, settings.population))
        searcher.update(*evaluate.history)
        search_generations(
            searcher,
            evaluate,
            generations=settings.generations - 1,
            population=settings.population,
            progress=named(reuse.progress, budget_name(problem.budgets)),
        )

    results, missed = [], []
    for searcher, context, accuracies in zip(searchers, contexts, random_accuracies, strict=True):
        searcher.update(*evaluate.history)  # what later searches found counts, too
        try:
            results.append(_result(reuse, context, searcher, evaluation, accuracies))
        except BudgetMissedError as error:
            missed.append(str(error))
    if missed:
        raise BudgetMissedError(
            f"{len(results)} of {len(problems)} budgets have a result in {reuse.run.folder}; "
            + "; ".join(missed)
        )
    limits = [p.latency_limit_ms for p in problems if p.latency_limit_ms is not None]
    return _summary(reuse, evaluation, limits, {"budgets": results})


def search_front(reuse: Reuse, problem: Problem) -> dict[str, Any]:
    """Search a trained supernet for the Pareto front of accuracy and predicted latency (NSGA-II).

    Args:
        reuse: the supernet, and where it is searched.
        problem: its budgets may be none; all that is evaluated keeps them.

    Returns:
        The content of ``result.json``.

    Raises:
        InfeasibleBudgetError: no architecture keeps the budgets.
        MissingPackageError: pymoo is not installed.
    """
    require_pymoo()
    feasible = feasible_front(problem)
    evaluation = reuse.evaluation(reuse.context(problem))
    evaluate = evaluation.accuracies
    archs, accuracies = _within(evaluate.history, feasible)
    predict = problem.predictor.predict
    evolve_front(
        feasible,
        predict,
        evaluate,
        archs[front(predict(archs), accuracies)],
        reuse.settings,
        seed=problem.seed,
        progress=reuse.progress,
    )
    limits = [] if problem.latency_limit_ms is None else [problem.latency_limit_ms]
    extras = {"budget": [str(b) for b in problem.budgets]}
    return _summary(reuse, evaluation, limits, extras, feasible)


def feasible_front(problem: Problem) -> FeasibleSet:
    """What a front may hold: everything, where there are no budgets."""
    if problem.budgets:
        return problem.feasible
    anything = Constraint(Budget("latency", _NO_LIMIT_MS), problem.predictor.cost)
    return FeasibleSet([of_connected(anything, problem.space)], problem.space.format)


def _result(
    reuse: Reuse,
    context: Context,
    searcher: Searcher,
    evaluation: Evaluation,
    random_accuracies: FloatArray,
) -> dict[str, Any]:
    """Measure what one searcher found, and write its deliverables into a sub-folder."""
    problem, settings = context.problem, reuse.settings

    propose = proposer(
        searcher,
        partial(make_searcher, settings, problem),
        evaluation.accuracies,
        population=settings.population,
        within=problem.within,
        progress=reuse.progress,
    )
    winner = context.verify(propose, evaluation)
    name = budget_name(problem.budgets)
    folder = inside(reuse.run.folder, name, advice=OWN)
    config = {
        **reuse.source.identity(folder),
        "budget": [str(budget) for budget in problem.budgets],
        "seed": problem.seed,
    }
    reuse.deployment.save(folder)
    extras = {
        "method": "spos",
        "feasible_share": problem.feasible.count / problem.space.size,
        "supernet": str(reuse.source.home),
        "folder": name,
    }
    with Run(folder, config) as run:
        own = reuse.context(problem, run)
        return own.conclude(winner, evaluation, random_accuracies, extras)


def _within(
    history: tuple[IntArray, FloatArray], feasible: FeasibleSet | None
) -> tuple[IntArray, FloatArray]:
    """All evaluated architectures (n, n_decisions) within a set, and their accuracies (n,)."""
    archs, accuracies = history
    kept = np.ones(len(archs), bool) if feasible is None else feasible.contains(archs)
    return archs[kept], accuracies[kept]


def _summary(
    reuse: Reuse,
    evaluation: Evaluation,
    limits_ms: Sequence[float],
    extras: Mapping[str, Any],
    feasible: FeasibleSet | None = None,
) -> dict[str, Any]:
    """``result.json`` and ``pareto.png`` of all that is known of the supernet."""
    run, source, predictor = reuse.run, reuse.source, reuse.deployment.predictor
    space, metric = source.deployed, evaluation.accuracies.metric
    archs, accuracies = _within(evaluation.accuracies.history, feasible)
    latency_ms = predictor.predict(archs)
    chosen = front(latency_ms, accuracies)
    result = {
        **extras,
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
        "metric": metric.record,
        "supernet": str(source.home),
        "space": space.name,
        "architectures_evaluated": len(list(run.logged("evaluated"))),
        "accuracies_reused": len(next(run.logged("imported"))["accuracies"]),
        "seconds": round(run.seconds, 1),
        "files": {"plot": _PLOT},
    }
    title = f"{space.name}, {source.config['data'].partition(':')[0]}, {predictor.target}"
    return write_and_draw(
        run,
        RESULT,
        result,
        lambda path: plot_front(
            path,
            latency_ms,
            accuracies,
            chosen,
            limits_ms=limits_ms,
            title=title,
            scale=Scale(metric=metric),
        ),
    )
