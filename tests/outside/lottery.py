"""A sixth method: train single paths, draw architectures within the budgets, take the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from hwnas.arrays import IntArray
from hwnas.costs import Constraint, FeasibleSet
from hwnas.search.context import Context
from hwnas.search.problem import Problem
from hwnas.search.settings import setting
from hwnas.search.shared_settings import TrainingSettings
from hwnas.search.supernet_training import train_supernet
from hwnas.supernet import Supernet, UniformSampler


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What the lottery takes."""

    tickets: Annotated[int, Ge(1)] = setting(8, "Architectures that are drawn.")


def check(problem: Problem, settings: Settings) -> Settings:
    return settings


def search(context: Context, settings: Settings) -> dict[str, Any]:
    problem = context.problem
    supernet = Supernet(problem.proxy, sharing=settings.sharing, seed=problem.seed)
    sampler = UniformSampler(problem.proxy, seed=problem.seed)
    train_supernet(
        context.run,
        supernet,
        sampler,
        problem.data,
        settings,
        seed=problem.seed,
        progress=context.progress,
    )
    evaluation = context.evaluator(supernet)

    def draw(constraints: Sequence[Constraint], attempt: int) -> tuple[IntArray, float]:
        rng = np.random.default_rng([problem.seed, attempt])
        archs = FeasibleSet(constraints).sample(settings.tickets, rng)
        accuracies = evaluation.accuracies(archs)
        return archs[accuracies.argmax()], float(accuracies.max())

    winner = context.verify(draw, evaluation)
    drawn = evaluation.accuracies.history[1]
    return context.conclude(winner, evaluation, drawn, {"method": "lottery"})
