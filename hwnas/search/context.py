"""What every method is handed: a problem, a folder, and the means to evaluate and to end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwnas.arrays import FloatArray
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import Evaluation, LoggedEvaluation, validation_evaluator
from hwnas.search.candidates.export import exporter
from hwnas.search.candidates.parallel import Parallel, logged_evaluation
from hwnas.search.candidates.verification import Propose, Winner, verify_proposals
from hwnas.search.outcome import conclude
from hwnas.search.problem import Problem
from hwnas.search.runs.run import Run
from hwnas.search.shared_settings import EvaluationSettings
from hwnas.supernet import SINGLE_PROCESS, Supernet, Workers

__all__ = ["Context"]


@dataclass(frozen=True, eq=False)
class Context:
    """A problem in work.

    Attributes:
        problem: what is searched. Infeasible budgets fail here, before anything trains.
        run: the folder, which may hold a part of this very search.
        workers: the processes that train together, see `hwnas.supernet.Workers`.
        parallel: processes that evaluate candidates; None for this one.
        progress: told all along.

    Raises:
        InfeasibleBudgetError: no architecture keeps the budgets.
    """

    problem: Problem
    run: Run
    workers: Workers = SINGLE_PROCESS
    parallel: Parallel | None = None
    progress: Progress = silent

    def __post_init__(self) -> None:
        if self.problem.budgets:  # a whole front needs none
            _ = self.problem.feasible

    def evaluator(
        self,
        supernet: Supernet,
        known: Mapping[str, float] | None = None,
        settings: EvaluationSettings | None = None,
    ) -> Evaluation:
        """Accuracies of a trained supernet's candidates, looked up in the run's log first.

        Args:
            supernet: of ``problem.proxy``.
            known: what an earlier search found out, by architecture string.
            settings: on which images, and what counts as accuracy.
        """
        validation = validation_evaluator(supernet, self.problem.data, settings)
        accuracies = logged_evaluation(
            self.run,
            self.problem.space,
            validation,
            self.parallel,
            known=known,
            progress=self.progress,
        )
        return Evaluation(validation, accuracies)

    def looked_up(self) -> Evaluation:
        """Accuracies of the problem's table, where there is one."""
        assert self.problem.accuracies is not None
        accuracies = LoggedEvaluation(
            self.run,
            self.problem.space,
            self.problem.accuracies,
            self.progress,
            metric=self.problem.metric,
            chunk=self.problem.accuracies.chunk,
        )
        return Evaluation(None, accuracies)

    def verify(self, propose: Propose, evaluation: Evaluation) -> Winner:
        """Measure what is proposed until it keeps the latency budget, see `verify_proposals`.

        Args:
            propose: the best architecture within constraints, which become tighter.
            evaluation: gives the weights that are exported.

        Raises:
            BudgetMissedError: no network keeps the latency budget on the device.
        """
        export = exporter(self.problem, evaluation.validation)
        return verify_proposals(self.run, self.problem, propose, export, progress=self.progress)

    def conclude(
        self,
        winner: Winner,
        evaluation: Evaluation,
        random_accuracies: FloatArray,
        extras: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Write the deliverables and return the content of ``result.json``, see `conclude`."""
        return conclude(self.run, self.problem, evaluation, winner, random_accuracies, extras)
