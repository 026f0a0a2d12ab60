"""Balanced NAO (Luo et al., 2019): a pool trained by size, and gradient ascent on a learned map.

What is heavy is imported when the method runs, so that its flags show at once.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt

from hwnas.costs import FeasibleSet
from hwnas.errors import OptionError
from hwnas.search.problem import Problem
from hwnas.search.settings import setting
from hwnas.search.shared_settings import EvaluationSettings, PathTrainingSettings

if TYPE_CHECKING:
    from hwnas.arrays import FloatArray, IntArray
    from hwnas.search.context import Context
    from hwnas.search.searchers.nao import MapSearch
    from hwnas.supernet import PoolSampler

__all__ = ["Settings", "check", "search"]

#: In the log: a round's architectures are all evaluated.
_ROUND = "round"


@dataclass(frozen=True, kw_only=True)
class Settings(EvaluationSettings, PathTrainingSettings):
    """What Balanced NAO takes; ``steps`` are of all rounds together."""

    pool_sampler: Literal["deployed", "proportional", "uniform"] = setting(
        "deployed",
        "Train the pool's networks in proportion to the parameters that they are deployed with, or "
        "that they are trained with as proxies, or alike.",
    )
    pool: Annotated[int, Ge(2)] = setting(
        300, "Architectures of the first round, uniform within the budgets.", most=100_000
    )
    proposals: Annotated[int, Ge(1)] = setting(
        100, "New architectures of each later round.", most=100_000
    )
    rounds: Annotated[int, Ge(1)] = setting(
        3, "Rounds of training, evaluation and ascent, the first included.", most=1000
    )
    starts: Annotated[int, Ge(1)] = setting(
        50, "Ascents start from this many of the most accurate networks.", metavar="K", most=100_000
    )
    ascent_step: Annotated[float, Gt(0)] = setting(
        0.8, "Length of a step of the ascent, where the vectors of a point have length 1.", most=1e6
    )
    ascent_steps: Annotated[int, Ge(1)] = setting(8, "Steps of an ascent.", most=10_000)
    maps: Annotated[int, Ge(1)] = setting(
        3, "Maps that are learned from different weights and judge together.", most=100
    )
    map_steps: Annotated[int, Ge(1)] = setting(
        400, "Training steps of each map in each round.", most=1_000_000
    )
    ranked_draws: Annotated[int, Ge(0)] = setting(
        0,
        "Uniform draws that the maps rank beside what they propose, such as 1000, where a budget "
        "leaves them little that is new.",
        most=1_000_000,
        later=True,
    )
    finalists: Annotated[int, Ge(1)] = setting(
        1,
        "Train the N best, mutually dissimilar, alone, and take the best of them.",
        metavar="N",
        most=10_000,
        later=True,
    )
    finalist_steps: Annotated[int, Ge(1)] = setting(
        300, "Training steps of each finalist.", most=10_000_000, later=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.finalists > self.pool:
            raise OptionError(
                f"finalists are among the pool's {self.pool} architectures, got {self.finalists}"
            )
        if self.starts > self.pool:
            raise OptionError(
                f"starts are among the pool's {self.pool} architectures, got {self.starts}: give "
                "fewer starts, or a larger pool"
            )
        if self.rounds > self.steps:
            raise OptionError(
                f"each round trains a step or more, got {self.rounds} rounds and {self.steps} steps"
            )


def check(problem: Problem, settings: Settings) -> Settings:
    """The settings, if there are enough architectures for the pool.

    Raises:
        OptionError: fewer architectures keep the budgets.
    """
    from hwnas.search.searchers.archive import Archive

    found = len(Archive(problem.feasible, problem.seed).uniform(settings.pool))
    if found < settings.pool:
        raise OptionError(
            f"a pool of {settings.pool} is more than keep the budgets, {found} were found: give a "
            "smaller pool, or looser budgets"
        )
    return settings


def search(context: "Context", settings: Settings) -> dict[str, Any]:
    """Algorithm 1, then what the device says; returns the content of ``result.json``.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.retraining.finalists import rank_finalists
    from hwnas.search.searchers.nao_files import MAP, PICTURE, draw_maps, save_maps
    from hwnas.search.searchers.proposals import RANDOM_PATHS, proposer
    from hwnas.search.supernet_training import make_supernet, train_supernet

    problem, run = context.problem, context.run
    supernet = make_supernet(problem.proxy, settings, seed=problem.seed)
    searcher = _searcher(problem, settings, problem.feasible)
    finished = len(list(run.logged(_ROUND)))
    seen: list[IntArray] = []
    foretold: list[FloatArray] = []
    for number in range(1, settings.rounds + 1):
        archs = searcher.suggest(settings.proposals if seen else settings.pool)
        if seen and len(archs):
            foretold.append(searcher.predict(archs).mean(axis=0))
        if len(archs):
            seen.append(archs)
        else:  # all that keeps the budgets is known, and is trained on
            archs = np.concatenate(seen)
        # the supernet, one path of this round's architectures a step, eq. 3; a round that a killed
        # search had finished is in the log, and its weights were trained on since
        if number >= min(finished + 1, settings.rounds):
            train_supernet(
                run,
                supernet,
                _paths(problem, settings, archs),
                problem.data,
                _of_round(settings, number),
                seed=problem.seed,
                progress=context.progress,
            )
        evaluation = context.evaluator(supernet, settings=settings)
        accuracies = evaluation.accuracies(archs)
        searcher.update(archs, accuracies)
        if number > finished:
            run.log(_ROUND, number=number, best=searcher.best()[1])
        best = problem.metric.text(searcher.best()[1])
        context.progress("rounds", number / settings.rounds, f"best {best}")

    # random networks with the weights that the last round has, which alone are comparable to it
    others = searcher.uniform(RANDOM_PATHS)
    random_accuracies = evaluation.accuracies(others if len(others) else seen[0][:RANDOM_PATHS])
    searcher.update(others, random_accuracies[: len(others)])

    # what the maps made of it
    searcher.learn()
    evaluated = evaluation.accuracies(np.concatenate(seen))
    save_maps(run.folder / MAP, searcher, problem.space)
    title = f"{problem.space.name}, {problem.data.name}"
    drawn = draw_maps(
        run.folder / PICTURE,
        searcher,
        np.concatenate(seen),
        evaluated,
        foretold=np.concatenate(foretold) if foretold else np.empty(0),
        title=title,
        metric=problem.metric,
    )

    # the best of all, or of the best few trained alone, and what the device says
    finalists = rank_finalists(
        run,
        problem,
        evaluation.accuracies,
        count=settings.finalists,
        steps=settings.finalist_steps,
        progress=context.progress,
    )
    propose = proposer(
        searcher,
        partial(_searcher, problem, settings),
        evaluation.accuracies,
        population=settings.proposals,
        finalists=[arch for arch, _ in finalists],
        within=problem.within,
        progress=context.progress,
    )
    winner = context.verify(propose, evaluation)
    extras = {
        "method": "nao",
        "rounds": [len(archs) for archs in seen],
        "finalists": {problem.space.format(arch): accuracy for arch, accuracy in finalists},
        "files": {"map": MAP} | ({"map picture": PICTURE} if drawn else {}),
    }
    return context.conclude(winner, evaluation, random_accuracies, extras)


def _searcher(
    problem: Problem, settings: Settings, feasible: FeasibleSet, misses: int = 0
) -> "MapSearch":
    from hwnas.search.searchers.nao import Ascent, MapSearch
    from hwnas.search.searchers.nao_model import Fit

    ascent = Ascent(
        top=settings.starts,
        step=settings.ascent_step,
        steps=settings.ascent_steps,
        maps=settings.maps,
        ranked_draws=settings.ranked_draws,
        fit=Fit(steps=settings.map_steps),
    )
    seed = problem.seed + misses
    return MapSearch(feasible, seed, ascent=ascent, canonical=problem.space.canonical)


def _of_round(settings: Settings, number: int) -> Settings:
    """The settings with the steps of the rounds up to this one, so that each has a step or more."""
    return replace(settings, steps=settings.steps * number // settings.rounds, rounds=number)


def _paths(problem: Problem, settings: Settings, archs: "IntArray") -> "PoolSampler":
    """Which paths a round trains."""
    from hwnas.supernet import PoolSampler

    # a proxy's sizes differ less: what all its networks have is a larger part of it
    sized = problem.space if settings.pool_sampler == "deployed" else problem.proxy
    sizes = sized.params(archs)
    weights = np.ones(len(archs)) if settings.pool_sampler == "uniform" else sizes
    return PoolSampler(archs, weights, seed=problem.seed)
