"""What a searcher proposes to be measured: its best, and under tighter limits the best anew."""

from collections.abc import Callable, Sequence

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import Constraint, FeasibleSet
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import LoggedEvaluation
from hwnas.search.candidates.verification import Propose
from hwnas.search.searchers.searcher import Searcher, search_generations

__all__ = ["RANDOM_PATHS", "proposer", "random_paths"]

#: Architectures of the first, random generation whose accuracies are reported: they tell whether
#: the supernet ranks anything.
RANDOM_PATHS = 50
#: Generations of a searcher that goes on after a network missed its budget on the device.
_GENERATIONS_AFTER_A_MISS = 3


def random_paths(searcher: Searcher, evaluate: LoggedEvaluation, population: int) -> FloatArray:
    """Run the first generation, uniform within the budgets; the accuracies of its first 50."""
    first = searcher.suggest(max(RANDOM_PATHS, population))
    searcher.update(first, evaluate(first))
    return evaluate(first[:RANDOM_PATHS])


def proposer(
    searcher: Searcher,
    again: Callable[[FeasibleSet, int], Searcher],
    evaluate: LoggedEvaluation,
    *,
    population: int,
    finalists: Sequence[IntArray] = (),
    within: Callable[[Sequence[Constraint]], FeasibleSet] = FeasibleSet,
    progress: Progress = silent,
) -> Propose:
    """Propose what a searcher found; after a miss, search on under the tighter limit.

    What was evaluated stays known.

    Args:
        searcher: that has been run.
        again: makes a fresh one for a tighter feasible set; the second argument counts misses.
        evaluate: accuracies; it remembers what was asked.
        population: of the searcher after a miss.
        finalists: architectures (n_decisions,) that are proposed first, in this order; without
            them the best of ``searcher``.
        within: what keeps tighter constraints; `Problem.within`.
        progress: told of the search after a miss.
    """

    def propose(tightened: Sequence[Constraint], attempt: int) -> tuple[IntArray, float]:
        if attempt == 0 and not finalists:
            return searcher.best()
        feasible = within(tightened)
        for arch in finalists:
            if feasible.contains(arch[None])[0]:
                return arch, float(evaluate(arch[None])[0])
        other = again(feasible, attempt)
        other.update(*evaluate.history)
        search_generations(
            other,
            evaluate,
            generations=_GENERATIONS_AFTER_A_MISS,
            population=population,
            progress=progress,
        )
        return other.best()

    return propose
