"""BetaNAS (balanced training and selective drop): weights and architecture parameters in turn.

The loop of its algorithm 1 is visible here. Phase 1 trains the weights of one path, each living
choice equally often (eq. 2). Phase 2 leaves the weights and moves alpha, from the cross-entropy of
one path drawn by probability (eq. 3 and 4) and from the expected costs (eq. 6). Then choices that
are far behind are dropped (eq. 7). All of its state is in one checkpoint, so it goes on where it
was killed and ends as it would have ended. What the paper leaves open is in docs/betanas.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hwnas.arrays import IntArray
from hwnas.costs import AdditiveCost, Constraint, constrained_argmax
from hwnas.data import ArrayDataset, batch_indices
from hwnas.errors import OptionError
from hwnas.progress import Progress, silent
from hwnas.search.beta import Beta
from hwnas.search.drop import DropRule, drop
from hwnas.search.run import Run
from hwnas.spaces import SearchSpace
from hwnas.supernet import (
    BalancedSampler,
    OptimizerKind,
    ProbabilitySampler,
    Supernet,
    alpha_gradient,
    learning_rate,
    load_checkpoint,
    make_optimizer,
    probabilities_of,
    save_checkpoint,
    train_step,
)

__all__ = ["Alphas", "alpha_steps", "cost_gradients", "history", "likeliest", "train_alphas"]

_CHECKPOINT = "supernet.safetensors"
_CHECKPOINT_EVERY = 50
#: Steps of alpha from one entry in the log to the next.
_LOG_EVERY = 5
#: Keeps the paths of phase 2 apart from those of phase 1.
_PHASE_2 = 5
#: Moments of Adam. No momentum, as in ProxylessNAS: each gradient is of another path, and what beta
#: steers is to follow it at once.
_MOMENTS = (0.0, 0.999)


@dataclass(frozen=True, eq=False)
class Alphas:
    """The architecture parameters of a space, (n_decisions, most choices) each.

    Attributes:
        space: whose decisions they belong to.
        alpha: the importance factors, float64, 0 at first.
        alive: which choices still take part, bool; those that do not exist are dead.
        trained: steps of phase 1 that each choice was part of, int64.
    """

    space: SearchSpace
    alpha: Tensor = field(init=False)
    alive: npt.NDArray[np.bool_] = field(init=False)
    trained: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        n_choices = np.array(self.space.n_choices)
        alive = np.arange(n_choices.max()) < n_choices[:, None]
        object.__setattr__(self, "alpha", torch.zeros(alive.shape, dtype=torch.float64))
        object.__setattr__(self, "alive", alive)
        object.__setattr__(self, "trained", np.zeros(alive.shape, np.int64))

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax over the living choices, 0 for the others."""
        return probabilities_of(self.alpha.detach(), self.alive).numpy()

    @property
    def state(self) -> dict[str, Tensor]:
        """All of it, as tensors on the same memory."""
        return {
            "alpha": self.alpha,
            "alive": torch.from_numpy(self.alive),
            "trained": torch.from_numpy(self.trained),
        }


def train_alphas(
    run: Run,
    supernet: Supernet,
    data: ArrayDataset,
    costs: Sequence[AdditiveCost],
    beta: Beta,
    rule: DropRule,
    constraints: Sequence[Constraint],
    *,
    steps: int,
    batch: int,
    optimizer: OptimizerKind,
    base_rate: float,
    warm_up: float,
    alpha_every: int,
    alpha_rate: float,
    alpha_batch: int,
    balanced: bool = True,
    seed: int,
    progress: Progress = silent,
) -> Alphas:
    """Algorithm 1: train the supernet's weights and the architecture parameters in turn.

    Args:
        run: holds the checkpoint, from which training goes on, and the history in its log.
        supernet: trained in place, with the training images of ``data``.
        data: its validation images train alpha.
        costs: the terms of eq. 6 beside the cross-entropy.
        beta: weighs them.
        rule: which choices are dropped.
        constraints: budgets that the living choices must always be able to keep.
        steps, batch: of phase 1, and images in each.
        optimizer, base_rate: of the weights, as in `hwnas.search.spos.train_supernet`.
        warm_up: share of the steps before alpha first moves, 0 to 1.
        alpha_every: steps of phase 1 for each of phase 2.
        alpha_rate: Adam's learning rate for alpha.
        alpha_batch: images of a step of phase 2.
        balanced: False draws the paths of phase 1 by probability too, as ProxylessNAS does.
        seed: of paths and batches.
        progress: told after every step.

    Raises:
        CheckpointError: the run holds a supernet of another space or method.
        OptionError: no step of alpha would be left.
    """
    first, turns = alpha_steps(steps, warm_up, alpha_every)
    alphas = Alphas(supernet.space)
    alpha = alphas.alpha.requires_grad_()
    descent = make_optimizer(supernet, optimizer)
    adam = torch.optim.Adam([alpha], lr=alpha_rate, betas=_MOMENTS)
    # what Adam would begin with, here from the start, so that a checkpoint can be read into it
    moments = {"exp_avg": torch.zeros_like(alpha), "exp_avg_sq": torch.zeros_like(alpha)}
    adam.state[alpha] = {"step": torch.tensor(0.0), **moments}
    state = {**alphas.state, **beta.state}
    state |= {f"adam {key}": value for key, value in adam.state[alpha].items()}
    path = run.folder / _CHECKPOINT
    about = {"method": "betanas"}
    step = load_checkpoint(path, supernet, descent, about, state) if path.exists() else 0
    while step < steps:
        # Phase 1: the weights of one path, alpha fixed
        sampler = (
            BalancedSampler(alphas.alive, seed=seed)
            if balanced
            else ProbabilitySampler(alphas.probabilities, seed=seed)
        )
        arch = sampler.sample(step)
        rows = batch_indices(len(data.train_labels), batch, step, seed)
        loss = train_step(
            supernet,
            descent,
            torch.from_numpy(data.to_float(data.train_images[rows])),
            torch.from_numpy(data.train_labels[rows]),
            arch,
            lr=learning_rate(step, steps, base_rate, warm_up=min(30, steps // 10)),
        )
        alphas.trained[np.arange(len(arch)), arch] += 1
        step += 1

        # Phase 2: alpha, weights fixed
        turn, waiting = divmod(step - first, alpha_every)
        if turn > 0 and not waiting:
            arch = ProbabilitySampler(alphas.probabilities, seed=seed, stream=_PHASE_2).sample(turn)
            rows = batch_indices(len(data.validation_labels), alpha_batch, turn, seed)
            of_accuracy, alpha_loss = alpha_gradient(
                supernet,
                torch.from_numpy(data.to_float(data.validation_images[rows])),
                torch.from_numpy(data.validation_labels[rows]),
                arch,
                alpha,
                alphas.alive,
            )
            expected, of_costs = cost_gradients(alphas, costs)
            chosen = likeliest(alphas)
            betas = beta(
                turn / turns,
                expected,
                [float(cost(chosen[None])[0]) for cost in costs],
                torch.stack([gradient.norm() for gradient in (of_accuracy, *of_costs)]),
            )
            alpha.grad = of_accuracy + sum(b * g for b, g in zip(betas, of_costs, strict=True))
            adam.step()
            if rule.due(turn, turns):
                for gone in drop(rule, alpha.detach().numpy(), alphas.alive, constraints):
                    alphas.alive[gone] = False
            if turn % _LOG_EVERY == 0 or turn == turns:
                _log(run, step, alphas, expected, betas, alpha_loss)
        if step % min(_CHECKPOINT_EVERY, 1 + steps // 4) == 0 or step == steps:
            save_checkpoint(path, supernet, descent, step, about, state)
            run.log("trained", step=step, loss=round(loss, 4))
        living = alphas.alive.sum() / len(alphas.alive)
        progress("training and choosing", step / steps, f"loss {loss:.2f}, {living:.1f} a block")
    return alphas


def alpha_steps(steps: int, warm_up: float, alpha_every: int) -> tuple[int, int]:
    """Steps of phase 1 before the first turn of phase 2 counts, and turns of phase 2 in all.

    Raises:
        OptionError: there would be none.
    """
    if not 0 <= warm_up < 1 or alpha_every < 1:
        raise OptionError(
            "a warm-up is a share of the steps from 0 to below 1, and alpha moves every 1 or more "
            f"steps, got {warm_up:g} and {alpha_every}"
        )
    first = int(warm_up * steps)
    turns = (steps - first) // alpha_every
    if turns < 1:
        raise OptionError(
            f"{steps} steps, {first} of them warm-up, leave alpha no step at one every "
            f"{alpha_every}: take more steps"
        )
    return first, turns


def cost_gradients(
    alphas: Alphas, costs: Sequence[AdditiveCost]
) -> tuple[list[float], list[Tensor]]:
    """Each cost's expectation under the probabilities (eq. 6), and its gradient by alpha."""
    leaf = alphas.alpha.detach().requires_grad_()
    rows = probabilities_of(leaf, alphas.alive)
    probabilities = [row[:n] for row, n in zip(rows, alphas.space.n_choices, strict=True)]
    means = [cost.expected(probabilities) for cost in costs]
    gradients = [torch.autograd.grad(mean, leaf, retain_graph=True)[0] for mean in means]
    return [mean.item() for mean in means], gradients


def likeliest(
    alphas: Alphas, constraints: Sequence[Constraint] = (), *, dropped: bool = False
) -> IntArray:
    """The most probable architecture (n_decisions,) of living choices within all budgets, exactly.

    Without budgets it is the paper's: the largest alpha of each decision.

    Args:
        alphas: the architecture parameters.
        constraints: what it keeps.
        dropped: whether choices that were dropped take part, with the alpha they had then.

    Raises:
        InfeasibleBudgetError: no such architecture keeps them.
    """
    if not constraints:
        largest: IntArray = alphas.probabilities.argmax(axis=1)
        return largest
    values = alphas.alpha.detach().numpy()
    kept = values if dropped else np.where(alphas.alive, values, -np.inf)
    # a softmax would subtract the same from all choices of a decision
    logs = [row[:n] for row, n in zip(kept, alphas.space.n_choices, strict=True)]
    costs = [constraint.cost for constraint in constraints]
    return constrained_argmax(logs, costs, [constraint.budget.limit for constraint in constraints])


def history(run: Run) -> list[dict[str, Any]]:
    """What phase 2 logged, one entry a logged step, in order.

    Each has ``step`` (of phase 1), ``alpha`` (null for the dead) and ``trained`` as lists of rows,
    ``expected`` and ``beta`` a cost, and ``loss``. Steps that were done again after a kill are
    there once.
    """
    return list({entry["step"]: entry for entry in run.logged("alpha")}.values())


def _log(
    run: Run, step: int, alphas: Alphas, expected: Sequence[float], betas: Tensor, loss: float
) -> None:
    kept = np.where(alphas.alive, alphas.alpha.detach().numpy(), np.nan)
    run.log(
        "alpha",
        step=step,
        loss=round(loss, 4),
        expected=list(expected),
        beta=betas.tolist(),
        alpha=[[None if np.isnan(v) else round(v, 4) for v in row] for row in kept.tolist()],
        trained=alphas.trained.tolist(),
    )
