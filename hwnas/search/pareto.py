"""Accuracy against a cost: fronts, and the search for a whole front."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import IntArray
from hwnas.costs import AdditiveCost, FeasibleSet
from hwnas.errors import MissingPackageError
from hwnas.progress import Progress, silent
from hwnas.search.spos import Evaluate

__all__ = ["evolve_front", "front", "require_pymoo"]


def front(costs: npt.ArrayLike, accuracies: npt.ArrayLike) -> list[int]:
    """Positions that no other beats in cost or accuracy without losing in the other.

    Ordered by cost; of equal points the first stays.

    Args:
        costs: (n,), less is better.
        accuracies: (n,), more is better.
    """
    cost, accuracy = np.asarray(costs, np.float64), np.asarray(accuracies, np.float64)
    kept: list[int] = []
    for at in np.lexsort((np.arange(len(cost)), -accuracy, cost)):
        if not kept or accuracy[at] > accuracy[kept[-1]]:
            kept.append(int(at))
    return kept


def evolve_front(
    feasible: FeasibleSet,
    cost: AdditiveCost,
    n_choices: Sequence[int],
    evaluate: Evaluate,
    start: IntArray,
    *,
    population: int,
    generations: int,
    mutation: float = 0.1,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """NSGA-II (Deb et al., 2002): low cost and high accuracy at once, all within the budgets.

    Children are crossovers (a coin a decision) whose decisions are redrawn with ``mutation``
    probability; those that break a budget are replaced by uniform draws from ``feasible``. What
    was found is what ``evaluate`` was asked.

    Args:
        feasible: what may be evaluated.
        cost: what is to be low.
        n_choices: of each decision.
        evaluate: gives what is to be high.
        start: feasible architectures (n, n_decisions) of the first generation; draws are added up
            to ``population``, and what is more is left out.
        population, generations: how many architectures, how often.
        mutation: probability with which a decision is redrawn.
        seed: of everything random.
        progress: told after every generation.

    Raises:
        MissingPackageError: pymoo is not installed.
    """
    require_pymoo()
    from hwnas.search.nsga2 import make_algorithm

    drawn = feasible.sample(population, np.random.default_rng([seed, 0x4E5]))

    def tell(algorithm: Any) -> None:
        best = 1 - algorithm.pop.get("F")[:, 1].min()
        progress("evolution", algorithm.n_gen / generations, f"best {best:.1%}")

    algorithm = make_algorithm(
        feasible,
        cost,
        n_choices,
        evaluate,
        np.concatenate([start, drawn])[:population],
        generations=generations,
        mutation=mutation,
        seed=seed,
        each_generation=tell,
    )
    while algorithm.has_next():
        algorithm.next()


def require_pymoo() -> None:
    """Say so at once where the optional package is lacking.

    Raises:
        MissingPackageError: pymoo is not installed.
    """
    try:
        import pymoo  # noqa: F401
    except ImportError:
        raise MissingPackageError(
            "a multi-objective search needs pymoo: pip install 'hwnas[pareto]'"
        ) from None
