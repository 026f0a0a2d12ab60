"""NSGA-II (Deb et al., 2002) over architectures, by pymoo; import it through `evolve_front`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UX

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.search.candidates.evaluation import Evaluate
from hwnas.search.shared_settings import EvolutionSettings

__all__ = ["make_algorithm"]


class _TwoObjectives(Problem):  # type: ignore[misc]
    """Low cost, low error."""

    def __init__(
        self, cost: Callable[[IntArray], FloatArray], n_choices: IntArray, evaluate: Evaluate
    ):
        last = n_choices - 1
        super().__init__(n_var=len(last), n_obj=2, xl=0, xu=last, vtype=int)
        self._cost, self._accuracies = cost, evaluate

    def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
        archs: IntArray = np.asarray(x).astype(np.int64)
        out["F"] = np.stack([self._cost(archs), 1 - self._accuracies(archs)], axis=1)


class _Redraw(Mutation):  # type: ignore[misc]
    """Each decision is redrawn with a probability; what breaks a budget is replaced."""

    def __init__(self, probability: float, feasible: FeasibleSet):
        super().__init__()
        self._probability, self._feasible = probability, feasible

    def _do(
        self, problem: Any, x: Any, *_: Any, random_state: np.random.Generator, **__: Any
    ) -> IntArray:
        drawn = random_state.integers(0, problem.xu.astype(np.int64) + 1, x.shape)
        redrawn = random_state.random(x.shape) < self._probability
        archs: IntArray = np.where(redrawn, drawn, x).astype(np.int64)
        broken = ~self._feasible.contains(archs)
        archs[broken] = self._feasible.sample(int(broken.sum()), random_state)
        return archs


def make_algorithm(
    feasible: FeasibleSet,
    cost: Callable[[IntArray], FloatArray],
    evaluate: Evaluate,
    first: IntArray,
    settings: EvolutionSettings,
    *,
    seed: int,
    each_generation: Callable[[Any], None],
) -> Any:
    """The algorithm, ready for ``run()``; its first generation is ``first``, all of it feasible."""
    algorithm = NSGA2(
        pop_size=len(first),
        sampling=first,
        crossover=UX(prob=1.0),
        mutation=_Redraw(settings.mutation, feasible),
        eliminate_duplicates=True,
        callback=each_generation,
    )
    problem = _TwoObjectives(cost, np.array(feasible.n_choices), evaluate)
    generations = settings.generations
    return algorithm.setup(problem, termination=("n_gen", generations), seed=seed, verbose=False)
