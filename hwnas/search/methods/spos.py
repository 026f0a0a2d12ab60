"""Single Path One-Shot NAS (Guo et al., ECCV 2020): train one supernet, evolve under budgets.

What is heavy is imported when the method runs, so that its flags show at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge

from hwnas.costs import parse_budget
from hwnas.errors import DeviceUnavailableError, OptionError
from hwnas.progress import say
from hwnas.search.problem import Problem
from hwnas.search.settings import setting
from hwnas.search.shared_settings import (
    EvaluationSettings,
    EvolutionSettings,
    PathTrainingSettings,
)
from hwnas.supernet.kinds import SamplerKind

if TYPE_CHECKING:
    from hwnas.search.context import Context
    from hwnas.supernet import PathSampler, Supernet

__all__ = ["LOOKS_UP", "Settings", "check", "search", "trains_alike"]

#: Accuracies may come from a table.
LOOKS_UP = True

#: Each bin is counted by itself.
_MOST_BINS = 1000


@dataclass(frozen=True, kw_only=True)
class Settings(EvolutionSettings, EvaluationSettings, PathTrainingSettings):
    """What SPOS takes."""

    sampler: SamplerKind = setting(
        "uniform",
        "Train paths uniform over the choices, each choice equally often, paths in proportion to "
        "their parameters, uniform over bins of the first budget's cost, or over all that keeps "
        "the budgets.",
    )
    paths: Annotated[int, Ge(1)] = setting(
        1,
        "Paths a training step, whose gradients are averaged; with --sampler balanced and as many "
        "as an edge or block has choices, a step trains each of them once.",
        metavar="N",
        most=1000,
        later=True,
    )
    bins: str | Sequence[float] | None = setting(
        None,
        "Of --sampler constraint, such as 290M:360M:10M  [default: 0.88 to 1.09 times the budget]",
        metavar="LOW:HIGH:STEP",
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
    train_on: Literal["cpu", "gpu"] = setting(
        "cpu", "What one process trains the supernet on; each of several takes a GPU.", later=True
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
    if problem.accuracies is None:
        _paths(problem, settings)
        if settings.train_on == "gpu":
            _check_gpu()
    elif settings.finalists > 1:
        raise OptionError(
            f"finalists are trained, and accuracies are looked up in {problem.accuracies.name}: "
            f"leave --finalists {settings.finalists} out"
        )
    return settings


def trains_alike(settings: Settings) -> bool:
    """Whether training does not look at latencies, so that precisions share one supernet."""
    return settings.sampler not in ("constraint", "feasible") and settings.finalists == 1


def search(context: "Context", settings: Settings) -> dict[str, Any]:
    """Train single paths, evolve, measure; returns the content of ``result.json``.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.retraining.finalists import rank_finalists
    from hwnas.search.searchers.making import make_searcher
    from hwnas.search.searchers.proposals import proposer, random_paths
    from hwnas.search.searchers.searcher import search_generations

    problem, progress = context.problem, context.progress

    if settings.finalists > 1:
        say(
            f"the {settings.finalists} best are then trained alone, {settings.finalist_steps} "
            f"steps each: {settings.finalists * settings.finalist_steps:,} steps, beside the "
            f"supernet's {settings.steps:,}"
        )

    if problem.accuracies is None:
        evaluation = context.evaluator(_trained(context, settings), settings=settings)
    else:
        evaluation = context.looked_up()

    # evolution within the budgets, algorithm 1
    evaluate = evaluation.accuracies
    searcher = make_searcher(settings, problem)
    random_accuracies = random_paths(searcher, evaluate, settings.population)
    search_generations(
        searcher,
        evaluate,
        generations=settings.generations - 1,
        population=settings.population,
        progress=progress,
    )

    # beyond the paper: the best few, trained alone, and what the device says
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
        partial(make_searcher, settings, problem),
        evaluate,
        population=settings.population,
        finalists=[arch for arch, _ in finalists],
        within=problem.within,
        progress=progress,
    )
    winner = context.verify(propose, evaluation)
    extras = {
        "method": "spos",
        "feasible_share": problem.feasible.count / problem.space.size,
        "finalists": {problem.space.format(arch): accuracy for arch, accuracy in finalists},
    }
    return context.conclude(winner, evaluation, random_accuracies, extras)


def _check_gpu() -> None:
    """Raise `DeviceUnavailableError` where torch sees no GPU to train on."""
    import torch

    if not torch.cuda.is_available():
        raise DeviceUnavailableError(
            "train_on gpu needs a GPU that torch sees, and it sees none: install torch with CUDA, "
            "or leave it out"
        )


def _trained(context: "Context", settings: Settings) -> "Supernet":
    """The supernet, one path a step, eq. 7."""
    from hwnas.search.supernet_training import make_supernet, train_supernet

    problem = context.problem
    supernet = make_supernet(problem.proxy, settings, seed=problem.seed)
    train_supernet(
        context.run,
        supernet,
        _paths(problem, settings),
        problem.data,
        settings,
        seed=problem.seed,
        workers=context.workers,
        progress=context.progress,
    )
    return supernet


def _paths(problem: Problem, settings: Settings) -> "PathSampler":
    """Which paths are trained."""
    from hwnas.supernet import make_sampler

    assert not isinstance(settings.bins, str)  # see `check`
    constraint = problem.constraints[0]
    return make_sampler(
        settings.sampler,
        problem.proxy,
        constraint,
        settings.bins,
        seed=problem.seed,
        feasible=problem.feasible,
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
