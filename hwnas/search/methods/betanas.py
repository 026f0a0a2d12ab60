"""BetaNAS (balanced training and selective drop): weights and architecture parameters in turn.

The loop of its algorithm 1 is visible in `train_alphas`. Phase 1 trains the weights of one path,
each active choice equally often (eq. 2). Phase 2 leaves the weights and moves alpha, from the
cross-entropy of one path drawn by probability (eq. 3 and 4) and from the expected costs (eq. 6).
Then choices that are far behind are pruned (eq. 7). All of its state is in one checkpoint, so it
goes on where it was killed and ends as it would have ended. What the paper leaves open is in
docs/betanas.md. What is heavy is imported when the method runs, so that its flags show at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from hwnas.data import TrainableValidation, augmented
from hwnas.search.gradient.alpha_steps import alpha_steps
from hwnas.search.gradient.betas import beta_facts, check_betas, parse_betas
from hwnas.search.gradient.pruning import PruneRule, active_choices, prune
from hwnas.search.limits import check_alpha_images, check_gates
from hwnas.search.problem import Problem
from hwnas.search.settings import setting
from hwnas.search.shared_settings import EvaluationSettings, PathTrainingSettings
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.search.context import Context
    from hwnas.search.gradient.alphas import Alphas
    from hwnas.search.gradient.cost_weights import CostWeights
    from hwnas.search.gradient.terms import Term
    from hwnas.supernet import Supernet

__all__ = ["Settings", "check", "search", "train_alphas"]

#: Steps of alpha from one entry in the log to the next.
_LOG_EVERY = 5
#: Keeps the paths of phase 2 apart from those of phase 1.
_PHASE_2 = 5
#: Moments of Adam. No momentum, as in ProxylessNAS: each gradient is of another path, and what beta
#: steers is to follow it at once.
_MOMENTS = (0.0, 0.999)


@dataclass(frozen=True, kw_only=True)
class Settings(EvaluationSettings, PathTrainingSettings):
    """What BetaNAS takes."""

    beta: Sequence[str] = setting(
        (),
        "Fixed weight of a cost in the loss, such as latency=0.1 (nats per ms) or macs=0.01 (nats "
        "per million)  [default: steered to the budgets]",
        metavar="COST=NATS",
    )
    warm_up: Annotated[float, Ge(0), Lt(1)] = setting(
        0.25, "Share of the steps before alpha first moves."
    )
    alpha_every: Annotated[int, Ge(1)] = setting(2, "Training steps for each step of alpha.")
    alpha_lr: Annotated[float, Gt(0)] = setting(
        0.05, "Learning rate of alpha.", old_flag="--alpha-rate", key="alpha_rate", most=1000
    )
    alpha_batch: Annotated[int, Ge(1)] = setting(
        64, "Validation images for each step of alpha.", most=65_536
    )
    prune_margin: float | None = setting(
        1.0,
        "Prune a choice whose alpha is this far below the mean of the others; inf for never.",
        metavar="NATS",
        old_flag="--drop-margin",
        key="drop_margin",
        most=inf,
    )
    prune_threshold: float | None = setting(
        None,
        "Prune a choice whose alpha itself is below this (they start at 0).",
        metavar="ALPHA",
        old_flag="--drop-threshold",
        key="drop_threshold",
        most=1e6,
    )
    prune_start: Annotated[float, Ge(0), Le(1)] = setting(
        0.25,
        "Share of the steps of alpha before the first pruning; 1 for hardly any.",
        old_flag="--drop-start",
        key="drop_start",
    )
    prune_every: Annotated[int, Ge(1)] = setting(
        1, "Steps of alpha between two prunings.", old_flag="--drop-every", key="drop_every"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_betas(self.beta)
        _ = self.rule, self.schedule

    @property
    def rule(self) -> PruneRule:
        """When a choice is pruned."""
        return PruneRule(
            self.prune_margin, self.prune_threshold, self.prune_start, self.prune_every
        )

    @property
    def schedule(self) -> tuple[int, int]:
        """Steps of phase 1 before the first turn of phase 2 counts, and turns of it in all."""
        return alpha_steps(self.steps, self.warm_up, self.alpha_every)


def suits(space: SearchSpace) -> None:
    """Refuse a space whose choices have no gates; see `check_gates`."""
    check_gates(space, "betanas")


def check(problem: Problem, settings: Settings) -> Settings:
    """The settings as they are, if they fit the problem.

    Raises:
        BudgetError: a beta of BitOps for a space that has none.
        OptionError: a choice of the space is more than an operator, the predictor gives no expected
            latency, which a term of the loss needs, or the data no batches of validation images.
    """
    suits(problem.proxy)
    check_betas(settings.beta, problem, "betanas")
    check_alpha_images(problem.data, "betanas")
    return settings


def search(context: "Context", settings: Settings) -> dict[str, Any]:
    """Train weights and alpha, choose, measure; returns the content of ``result.json``.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.choosing import choose
    from hwnas.search.gradient.alphas import history
    from hwnas.search.gradient.pictures import draw_alphas
    from hwnas.search.gradient.terms import loss_terms
    from hwnas.search.supernet_training import make_supernet

    problem = context.problem
    terms, weights = loss_terms(problem, parse_betas(settings.beta))
    supernet = make_supernet(problem.proxy, settings, seed=problem.seed)
    alphas = train_alphas(context, supernet, settings, terms, weights)

    chosen = choose(context, supernet, alphas, settings)
    past = history(context.run.logged("alpha"))
    extras = {
        "method": "betanas",
        **beta_facts(settings.beta, past[-1]),
        "living_choices": [len(row) for row in active_choices(alphas.active)],
        "dropped_choices_taken": chosen.pruned,
        "files": draw_alphas(context.run, problem, "BetaNAS"),
    }
    return chosen.conclude(context, extras)


def train_alphas(
    context: "Context",
    supernet: "Supernet",
    settings: Settings,
    terms: "Sequence[Term]",
    weights: "CostWeights",
    *,
    balanced: bool = True,
) -> "Alphas":
    """Algorithm 1: train the supernet's weights and the architecture parameters in turn.

    Args:
        context: the problem, whose budgets the active choices can always keep, and whose
            validation images train alpha; the run, which holds the checkpoint and the history.
        supernet: trained in place.
        settings: of the method.
        terms: of eq. 6 beside the cross-entropy.
        weights: of the terms.
        balanced: False draws the paths of phase 1 by probability too, as ProxylessNAS does.

    Raises:
        CheckpointError: the run holds a supernet of another space or method.
    """
    from hwnas.search.gradient.alphas import (
        Alphas,
        alpha_adam,
        check_resumed,
        log_alphas,
        move_alphas,
    )
    from hwnas.search.runs.run import CHECKPOINT
    from hwnas.search.supernet_training import (
        checkpoint_due,
        optimizer_of,
        to_tensors,
        train_path,
        training_batch,
    )
    from hwnas.supernet import (
        BalancedSampler,
        ProbabilitySampler,
        alpha_gradient,
        load_checkpoint,
        save_checkpoint,
    )

    run, problem = context.run, context.problem
    data, seed, rule, task = problem.data, problem.seed, settings.rule, problem.task
    assert isinstance(data, TrainableValidation)  # see `check`
    drawn = augmented(data, settings.augmentation)
    alphas = Alphas(supernet.space)
    optimizer = optimizer_of(supernet, settings)
    adam, moments = alpha_adam(alphas, settings.alpha_lr, _MOMENTS)
    state = {**alphas.state, **weights.state, **moments}
    path, about = run.folder / CHECKPOINT, {"method": "betanas"}
    step = 0
    if path.exists():
        step = load_checkpoint(path, supernet, optimizer, about, state, steps=settings.steps)
    first, turns = settings.schedule
    done = max(0, (step - first) // settings.alpha_every)
    check_resumed(run, alphas, logged=done >= min(_LOG_EVERY, turns))
    while step < settings.steps:
        # Phase 1: the weights of one path, alpha fixed
        sampler = (
            BalancedSampler(alphas.active, seed=seed)
            if balanced
            else ProbabilitySampler(alphas.probabilities, seed=seed)
        )
        arch = sampler.sample(step)
        batch = training_batch(drawn, step, settings, space=supernet.space, seed=seed)
        loss = train_path(supernet, optimizer, batch, arch, step, settings, task=task)
        alphas.trained[np.arange(len(arch)), arch] += 1
        step += 1

        # Phase 2: alpha, weights fixed
        turn, waiting = divmod(step - first, settings.alpha_every)
        if turn > 0 and not waiting:
            arch = ProbabilitySampler(alphas.probabilities, seed=seed, stream=_PHASE_2).sample(turn)
            images, labels = to_tensors(data.validation_batch(turn, settings.alpha_batch, seed))
            of_accuracy, alpha_loss = alpha_gradient(
                supernet, images, labels, arch, alphas.alpha, alphas.active, task
            )
            expected, betas = move_alphas(alphas, adam, of_accuracy, terms, weights, turn / turns)
            if rule.due(turn, turns):
                values = alphas.alpha.detach().numpy()
                for gone in prune(rule, values, alphas.active, problem.constraints):
                    alphas.active[gone] = False
            if turn % _LOG_EVERY == 0 or turn == turns:
                log_alphas(run, step, alphas, expected=expected, betas=betas, loss=alpha_loss)
        if checkpoint_due(step, settings.steps):
            save_checkpoint(path, supernet, optimizer, step, about, state)
            run.log("trained", step=step, loss=round(loss, 4), lr=optimizer.param_groups[0]["lr"])
        active = alphas.active.sum() / len(alphas.active)
        remark = f"loss {loss:.2f}, {active:.1f} a block"
        context.progress("training and choosing", step / settings.steps, remark)
    return alphas
