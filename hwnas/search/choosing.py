"""How a search by architecture parameters ends: the most probable network within the budgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Constraint
from hwnas.search.candidates.evaluation import Evaluation
from hwnas.search.candidates.verification import Winner
from hwnas.search.context import Context
from hwnas.search.shared_settings import EvaluationSettings
from hwnas.supernet import Supernet

if TYPE_CHECKING:
    from hwnas.search.gradient.alphas import Alphas

__all__ = ["Chosen", "choose"]


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen.

    Attributes:
        winner: keeps the budgets, the latency as measured.
        evaluation: of the trained supernet.
        random_accuracies: of architectures drawn from the active choices.
        pruned: decisions whose choice had been pruned; taken only after a network missed.
        facts: for ``result.json``: ``log_probability`` of the winner, in nats (None with pruned
            choices), and ``most_probable``, the architecture without budgets.
    """

    winner: Winner
    evaluation: Evaluation
    random_accuracies: FloatArray
    pruned: int
    facts: dict[str, Any]

    def conclude(self, context: Context, extras: dict[str, Any]) -> dict[str, Any]:
        """Write the deliverables; the content of ``result.json``, see `Context.conclude`."""
        extras = {**extras, **self.facts}
        return context.conclude(self.winner, self.evaluation, self.random_accuracies, extras)


def choose(
    context: Context, supernet: Supernet, alphas: "Alphas", settings: EvaluationSettings
) -> Chosen:
    """Measure the most probable architecture within the budgets; after a miss, within tighter ones.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.gradient.alphas import constrained_argmax, random_active
    from hwnas.search.searchers.proposals import RANDOM_PATHS

    problem = context.problem
    evaluation = context.evaluator(supernet, settings=settings)
    evaluate = evaluation.accuracies
    drawn = random_active(alphas, problem.constraints, RANDOM_PATHS, seed=problem.seed)
    random_accuracies = evaluate(drawn)

    def propose(tightened: Sequence[Constraint], attempt: int) -> tuple[IntArray, float]:
        # choices were pruned for the budget; few active ones may be left near a tighter limit
        arch = constrained_argmax(alphas, tightened, pruned=attempt > 0)
        return arch, float(evaluate(arch[None])[0])

    winner = context.verify(propose, evaluation)
    chosen = alphas.probabilities[np.arange(len(winner.architecture)), winner.architecture]
    pruned = int((chosen == 0).sum())
    facts = {
        "log_probability": None if pruned else float(np.log(chosen).sum()),
        "most_probable": problem.space.format(constrained_argmax(alphas)),
    }
    return Chosen(winner, evaluation, random_accuracies, pruned, facts)
