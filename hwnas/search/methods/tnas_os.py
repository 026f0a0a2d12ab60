"""TNAS-OS (Yan et al., 2021): a VAE learns, while a supernet is trained, which paths to train.

Paths are uniform at first, and more and more often drawn by a VAE (eq. 11), which learns the best
of what is evaluated on the way. Then evolution begins with what it draws. What the paper leaves
open is in docs/tnas.md. What is heavy is imported when the method runs, so that its flags show at
once.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le

from hwnas.search.problem import Problem
from hwnas.search.searchers.vae_settings import PathSettings
from hwnas.search.settings import setting
from hwnas.search.shared_settings import EvolutionSettings

if TYPE_CHECKING:
    from hwnas.search.context import Context

__all__ = ["Settings", "check", "search"]


@dataclass(frozen=True, kw_only=True)
class Settings(PathSettings, EvolutionSettings):
    """What TNAS-OS takes."""

    eps_inc: Annotated[float, Ge(0), Le(1)] = setting(
        0.05, "By how much the share of paths that the VAE draws rises each time it has learned."
    )
    sampler: Literal["uniform", "balanced"] = setting(
        "uniform",
        "Other paths than the VAE's are uniform over the choices, or have each choice equally "
        "often.",
        later=True,
    )
    paths: Annotated[int, Ge(1)] = setting(
        1,
        "Paths a training step, whose gradients are averaged; each of them may be the VAE's.",
        metavar="N",
        most=1000,
        later=True,
    )

    def __post_init__(self) -> None:
        EvolutionSettings.__post_init__(self)  # which checks all fields


def check(problem: Problem, settings: Settings) -> Settings:
    """The settings as they are: whatever fits a supernet and evolution fits.

    Raises:
        OptionError: the metric's share pays for too little.
    """
    from hwnas.search.searchers.vae_paths import check_rounds

    check_rounds(problem, settings, settings.paths)
    return settings


def search(context: "Context", settings: Settings) -> dict[str, Any]:
    """Train paths that the VAE learns, evolve from its draws, measure; the ``result.json``.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.searchers.making import make_searcher
    from hwnas.search.searchers.proposals import proposer, random_paths
    from hwnas.search.searchers.searcher import search_generations
    from hwnas.search.searchers.vae_paths import learned_paths
    from hwnas.search.supernet_training import make_supernet, train_supernet

    problem, progress, run = context.problem, context.progress, context.run
    seed = problem.seed

    # one path a step, or a few, eq. 11
    supernet = make_supernet(problem.proxy, settings, seed=seed)
    paths = learned_paths(
        problem,
        run,
        supernet,
        settings,
        settings.eps_inc,
        sampler=settings.sampler,
        paths=settings.paths,
    )
    train_supernet(run, supernet, paths, problem.data, settings, seed=seed, progress=progress)

    # evolution within the budgets, from what the VAE draws
    evaluation = context.evaluator(supernet, settings=settings)
    evaluate = evaluation.accuracies
    searcher = make_searcher(settings, problem)
    random_accuracies = random_paths(searcher, evaluate, settings.population)
    drawn = paths.draw(settings.population)
    drawn_accuracies = evaluate(drawn)
    searcher.update(drawn, drawn_accuracies)
    search_generations(
        searcher,
        evaluate,
        generations=settings.generations - 1,
        population=settings.population,
        progress=progress,
    )

    propose = proposer(
        searcher,
        partial(make_searcher, settings, problem),
        evaluate,
        population=settings.population,
        within=problem.within,
        progress=progress,
    )
    winner = context.verify(propose, evaluation)
    drawn_facts = {"drawn_mean": float(drawn_accuracies.mean())}
    extras = {"method": "tnas-os", "vae": paths.facts | drawn_facts}
    return context.conclude(winner, evaluation, random_accuracies, extras)
