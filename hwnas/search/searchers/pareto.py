"""Accuracy against a cost: fronts, and the search for a whole front."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.data import ACCURACY
from hwnas.errors import MissingPackageError
from hwnas.progress import Progress, silent
from hwnas.search.candidates.evaluation import Evaluate
from hwnas.search.shared_settings import EvolutionSettings

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
    cost: Callable[[IntArray], FloatArray],
    evaluate: Evaluate,
    start: IntArray,
    settings: EvolutionSettings,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """NSGA-II (Deb et al., 2002): low cost and high accuracy at once, all within the budgets.

    Children are crossovers (a coin a decision) whose decisions are redrawn with the probability of
    a mutation; those that break a budget are replaced by uniform draws from ``feasible``. What was
    found is what ``evaluate`` was asked.

    Args:
        feasible: what may be evaluated.
        cost: of architectures (n, n_decisions); minimised.
        evaluate: accuracies of architectures; maximised.
        start: feasible architectures (n, n_decisions) of the first generation; draws are added up
            to the population, and the excess is dropped.
        settings: population, generations, mutation.
        seed: of everything random.
        progress: told after every generation.

    Raises:
        MissingPackageError: pymoo is not installed.
    """
    require_pymoo()
    from hwnas.search.searchers.nsga2 import make_algorithm

    drawn = feasible.sample(settings.population, np.random.default_rng([seed, 0x4E5]))
    text = getattr(evaluate, "metric", ACCURACY).text

    def tell(algorithm: Any) -> None:
        best = 1 - algorithm.pop.get("F")[:, 1].min()
        progress("generations", algorithm.n_gen / settings.generations, f"best {text(best)}")

    algorithm = make_algorithm(
        feasible,
        cost,
        evaluate,
        np.concatenate([start, drawn])[: settings.population],
        settings,
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
