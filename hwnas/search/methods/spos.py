"""Single Path One-Shot NAS (Guo et al., ECCV 2020): train one supernet, evolve under budgets.

What is heavy is imported when the method runs, so that its flags show at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from hwnas.costs import FeasibleSet, parse_budget
from hwnas.errors import OptionError
from hwnas.progress import say
from hwnas.search.problem import Problem
from hwnas.search.settings import setting
from hwnas.search.shared_settings import EvolutionSettings, TrainingSettings
from hwnas.supernet.kinds import RankBy, SamplerKind

if TYPE_CHECKING:
    from hwnas.search.context import Context
    from hwnas.search.searchers.searcher import Searcher
    from hwnas.supernet import PathSampler

__all__ = ["Settings", "check", "search"]

#: Each bin is counted by itself.
_MOST_BINS = 1000


@dataclass(frozen=True, kw_only=True)
class Settings(EvolutionSettings, TrainingSettings):
    """What SPOS takes."""

    sampler: SamplerKind = setting(
        "uniform",
        "Train paths uniform over the choices, each choice equally often, paths in proportion to "
        "their parameters, or uniform over bins of the first budget's cost.",
    )
    paths: Annotated[int, Ge(1)] | None = setting(
        None,
        "Paths a training step, whose gradients are averaged; with --sampler balanced and as many "
        "as an edge or block has choices, a step trains each of them once  [default: 1]",
        metavar="N",
        most=1000,
    )
    bins: str | Sequence[float] | None = setting(
        None,
        "Of --sampler constraint, such as 290M:360M:10M  [default: 0.88 to 1.09 times the budget]",
        metavar="LOW:HIGH:STEP",
    )
    rank_by: RankBy | None = setting(
        None,
        "Accuracy, or separation: how far the features that the last layer reads tell classes "
        "apart, which says more of a supernet that was trained for minutes  [default: accuracy]",
    )
    micro_batches: Annotated[int, Ge(1)] | None = setting(
        None,
        "Parts of a training batch, each with its own batch-norm statistics  [default: 1, or the "
        "workers of torchrun]",
        metavar="N",
        old_flag="--shares",
        key="shares",
        most=65_536,
    )
    finalists: Annotated[int, Ge(1)] = setting(
        1,
        "Train the N best, mutually dissimilar, alone, and take the best of them.",
        metavar="N",
        most=10_000,
    )
    finalist_steps: Annotated[int, Ge(1)] = setting(
        300, "Training steps of each finalist.", most=10_000_000
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        evaluated = self.population * self.generations
        if self.finalists > evaluated:
            raise OptionError(
                f"finalists are among the {evaluated} architectures of {self.generations} "
                f"generations of {self.population} at most, got {self.finalists}"
            )
        if self.bins is not None and self.sampler != "constraint":
            raise OptionError(f"--bins are of --sampler constraint, got --sampler {self.sampler}")
        if not isinstance(self.bins, str | None) and len(self.bins) > _MOST_BINS + 1:
            raise OptionError(f"--bins are {_MOST_BINS} or fewer, got {len(self.bins) - 1}")


def check(problem: Problem, settings: Settings) -> Settings:
    """The settings with what follows from the problem: the edges of the bins.

    Raises:
        OptionError: bins that cannot be read or do not rise.
        InfeasibleBudgetError: no bin holds an architecture.
    """
    if isinstance(settings.bins, str):
        edges = _edges(settings.bins, problem.budgets[0].quantity)
        settings = replace(settings, bins=edges)
    _paths(problem, settings)
    return settings


def search(context: "Context", settings: Settings) -> dict[str, Any]:
    """Train single paths, evolve, measure; returns the content of ``result.json``.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.retraining.finalists import rank_finalists
    from hwnas.search.searchers.evolution import Evolution
    from hwnas.search.searchers.proposals import proposer, random_paths
    from hwnas.search.searchers.searcher import search_generations
    from hwnas.search.supernet_training import train_supernet
    from hwnas.supernet import Supernet

    problem, progress = context.problem, context.progress
    seed = problem.seed

    if settings.finalists > 1:
        say(
            f"the {settings.finalists} best are then trained alone, {settings.finalist_steps} "
            f"steps each: {settings.finalists * settings.finalist_steps:,} steps, beside the "
            f"supernet's {settings.steps:,}"
        )

    # one path a step, eq. 7
    supernet = Supernet(problem.proxy, sharing=settings.sharing, seed=seed)
    train_supernet(
        context.run,
        supernet,
        _paths(problem, settings),
        problem.data,
        settings,
        seed=seed,
        workers=context.workers,
        progress=progress,
    )

    # evolution within the budgets, algorithm 1
    def evolution(feasible: FeasibleSet, misses: int = 0) -> "Searcher":
        return Evolution(
            feasible, parents=settings.parents, mutation=settings.mutation, seed=seed + misses
        )

    evaluation = context.evaluator(supernet, rank_by=settings.rank_by)
    evaluate = evaluation.accuracies
    searcher = evolution(problem.feasible)
    random_accuracies = random_paths(searcher, evaluate, settings.population)
    search_generations(
        searcher,
        evaluate,
        generations=settings.generations - 1,
        population=settings.population,
        progress=progress,
    )

    # beyond the paper: the best few, trained alone, and what the device says
    finalists = []
    if settings.finalists > 1:
        finalists = rank_finalists(
            context.run,
            problem,
            evaluate,
            count=settings.finalists,
            steps=settings.finalist_steps,
            progress=progress,
        )
    propose = proposer(
        searcher,
        evolution,
        evaluate,
        population=settings.population,
        finalists=[arch for arch, _ in finalists],
        progress=progress,
    )
    winner = context.verify(propose, evaluation)
    extras = {
        "method": "spos",
        "feasible_share": problem.feasible.count / problem.space.size,
        "finalists": {problem.space.format(arch): accuracy for arch, accuracy in finalists},
    }
    return context.conclude(winner, evaluation, random_accuracies, extras)


def _paths(problem: Problem, settings: Settings) -> "PathSampler":
    """Which paths are trained."""
    from hwnas.supernet import make_sampler

    assert not isinstance(settings.bins, str)  # see `check`
    constraint = problem.constraints[0]
    return make_sampler(
        settings.sampler, problem.proxy, constraint, settings.bins, seed=problem.seed
    )


def _edges(bins: str, quantity: str) -> list[float]:
    """The edges of ``LOW:HIGH:STEP``, in the unit of the budget."""
    try:
        low, high, step = (parse_budget(f"{quantity}<={part}").limit for part in bins.split(":"))
    except ValueError as error:
        raise OptionError(
            f"--bins are LOW:HIGH:STEP of the {quantity} budget, got {bins!r}: {error}"
        ) from None
    count = round(min((high - low) / step, _MOST_BINS + 1))
    if count > _MOST_BINS:
        raise OptionError(f"--bins are {_MOST_BINS} or fewer, got {bins!r}: give larger steps")
    if count < 1 or abs(low + count * step - high) > 1e-6 * high:
        raise OptionError(f"--bins need a whole number of steps from LOW to HIGH, got {bins!r}")
    return [low + at * step for at in range(count)] + [high]
