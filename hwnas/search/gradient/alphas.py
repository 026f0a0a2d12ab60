"""Architecture parameters: their probabilities, their costs' gradients, what they choose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.costs import Constraint, most_probable_within, sample_choices
from hwnas.errors import CheckpointError, OptionError
from hwnas.search.gradient.cost_weights import CostWeights
from hwnas.search.gradient.pruning import active_choices
from hwnas.search.gradient.terms import Term
from hwnas.search.runs.run import CHECKPOINT, LOG, Run
from hwnas.search.runs.schema import OWN
from hwnas.spaces import SearchSpace
from hwnas.supernet import probabilities_of

__all__ = [
    "Alphas",
    "alpha_adam",
    "check_resumed",
    "constrained_argmax",
    "cost_gradients",
    "history",
    "log_alphas",
    "move_alphas",
    "random_active",
]


@dataclass(frozen=True, eq=False)
class Alphas:
    """The architecture parameters of a space, (n_decisions, most choices) each.

    Attributes:
        space: whose decisions they belong to.
        alpha: the importance factors, float64, 0 at first.
        active: which choices still take part, bool; those that do not exist never do.
        trained: steps of the weights that each choice was part of, int64.
        eligible: which active choices a network may end with; all, but for those that a method says
            are there for the mixture alone.
    """

    space: SearchSpace
    alpha: Tensor = field(init=False)
    active: BoolArray = field(init=False)
    trained: IntArray = field(init=False)
    eligible: BoolArray = field(init=False)

    def __post_init__(self) -> None:
        active = self.exist.copy()
        object.__setattr__(self, "alpha", torch.zeros(active.shape, dtype=torch.float64))
        object.__setattr__(self, "active", active)
        object.__setattr__(self, "trained", np.zeros(active.shape, np.int64))
        object.__setattr__(self, "eligible", active.copy())

    @cached_property
    def exist(self) -> BoolArray:
        """Which choices there are; decisions have fewer than the widest row."""
        n_choices = np.array(self.space.n_choices)
        exist: BoolArray = np.arange(n_choices.max()) < n_choices[:, None]
        return exist

    @property
    def probabilities(self) -> FloatArray:
        """Softmax over the active choices, 0 for the others."""
        rows: FloatArray = probabilities_of(self.alpha.detach(), self.active).numpy()
        return rows

    @property
    def sound(self) -> bool:
        """Whether there is a finite alpha of an active choice for each decision, and no other."""
        finite = np.isfinite(self.alpha.detach().numpy()).all()
        active = self.active.any(axis=1).all() and not (self.active & ~self.exist).any()
        return bool(finite and active and (self.trained >= 0).all())

    @property
    def state(self) -> dict[str, Tensor]:
        """All of it, as tensors on the same memory, by the names of checkpoints."""
        return {
            "alpha": self.alpha,
            "alive": torch.from_numpy(self.active),
            "trained": torch.from_numpy(self.trained),
        }


def alpha_adam(
    alphas: Alphas, lr: float, moments: tuple[float, float], weight_decay: float = 0.0
) -> tuple[torch.optim.Adam, dict[str, Tensor]]:
    """Adam on alpha, and all that it keeps, as tensors on the same memory, for checkpoints."""
    alpha = alphas.alpha.requires_grad_()
    adam = torch.optim.Adam([alpha], lr=lr, betas=moments, weight_decay=weight_decay)
    # what Adam would begin with, here from the start, so that a checkpoint can be read into it
    kept = {"exp_avg": torch.zeros_like(alpha), "exp_avg_sq": torch.zeros_like(alpha)}
    adam.state[alpha] = {"step": torch.tensor(0.0), **kept}
    return adam, {f"adam {key}": value for key, value in adam.state[alpha].items()}


def move_alphas(
    alphas: Alphas,
    adam: torch.optim.Optimizer,
    of_accuracy: Tensor,
    terms: Sequence[Term],
    weights: CostWeights,
    share: float,
) -> tuple[list[float], Tensor]:
    """One step of alpha against the cross-entropy and the weighted expected costs.

    Args:
        alphas: moved.
        adam: on alpha.
        of_accuracy: the gradient of the cross-entropy, in the shape of alpha.
        terms: costs in the loss.
        weights: of the terms.
        share: of the search that is done, 0 to 1.

    Returns:
        Each cost's expectation before the step, and its weight.

    Raises:
        OptionError: the gradient is not finite.
    """
    if not of_accuracy.isfinite().all():
        raise OptionError(
            "the gradient of alpha is not finite, since the weights diverged: search again with a "
            "smaller --learning-rate"
        )
    expected, of_costs = cost_gradients(alphas, terms)
    chosen = constrained_argmax(alphas)
    betas = weights(
        share,
        expected,
        [float(term(chosen[None])[0]) for term in terms],
        torch.stack([gradient.norm() for gradient in (of_accuracy, *of_costs)]),
    )
    alphas.alpha.grad = of_accuracy + sum(b * g for b, g in zip(betas, of_costs, strict=True))
    adam.step()
    return expected, betas


def cost_gradients(alphas: Alphas, costs: Sequence[Term]) -> tuple[list[float], list[Tensor]]:
    """Each cost's expectation under the probabilities (BetaNAS, eq. 6), and its gradient by alpha.

    Both are in the cost's unit; gradients are (n_decisions, most choices).
    """
    leaf = alphas.alpha.detach().requires_grad_()
    rows = probabilities_of(leaf, alphas.active)
    probabilities = [row[:n] for row, n in zip(rows, alphas.space.n_choices, strict=True)]
    means = [cost.expected(probabilities) for cost in costs]
    gradients = [torch.autograd.grad(mean, leaf, retain_graph=True)[0] for mean in means]
    return [mean.item() for mean in means], gradients


def constrained_argmax(
    alphas: Alphas, constraints: Sequence[Constraint] = (), *, pruned: bool = False
) -> IntArray:
    """The most probable architecture (n_decisions,) of eligible choices within the budgets, exact.

    Without budgets it is the largest alpha of each decision.

    Args:
        alphas: the architecture parameters.
        constraints: what it keeps.
        pruned: whether all choices take part, those that were pruned with the alpha they had then.

    Raises:
        InfeasibleBudgetError: no such architecture keeps them.
    """
    values = alphas.alpha.detach().numpy()
    kept = np.where(alphas.exist if pruned else alphas.active & alphas.eligible, values, -np.inf)
    if not constraints:
        largest: IntArray = kept.argmax(axis=1)
        return largest
    # a softmax would subtract the same from all choices of a decision
    logs = [row[:n] for row, n in zip(kept, alphas.space.n_choices, strict=True)]
    return most_probable_within(logs, constraints)


def random_active(
    alphas: Alphas, constraints: Sequence[Constraint], count: int, *, seed: int
) -> IntArray:
    """Uniform draws (count, n_decisions) of eligible architectures that keep all budgets."""
    rng = np.random.default_rng([seed, 0xBE7A])
    return sample_choices(constraints, active_choices(alphas.active & alphas.eligible), count, rng)


def log_alphas(
    run: Run,
    step: int,
    alphas: Alphas,
    *,
    expected: Sequence[float],
    betas: Tensor,
    loss: float,
) -> None:
    """Add one entry to the history: the alphas, and what moved them at this step."""
    kept = np.where(alphas.active, alphas.alpha.detach().numpy(), np.nan)
    run.log(
        "alpha",
        step=step,
        loss=round(loss, 4),
        expected=list(expected),
        beta=betas.tolist(),
        alpha=[[None if np.isnan(v) else round(v, 4) for v in row] for row in kept.tolist()],
        trained=alphas.trained.tolist(),
    )


def history(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What was logged of alpha, one entry a logged step, in order.

    Each has ``step`` (of the weights), ``alpha`` (null for the pruned) and ``trained`` as lists of
    rows, ``expected`` and ``beta`` a cost, and ``loss``. Steps that were done again after a kill
    are there once.

    Args:
        events: of the kind ``alpha``, such as ``run.logged("alpha")``.
    """
    return list({entry["step"]: entry for entry in events}.values())


def check_resumed(run: Run, alphas: Alphas, *, logged: bool) -> None:
    """Whether a training can go on with what its run holds.

    Args:
        run: its log has the history of alpha.
        alphas: as the checkpoint has them.
        logged: whether there must be a history by now.

    Raises:
        CheckpointError: alphas that are not finite, a decision without an active choice, or a
            history that lacks, has other rows, or steps that do not rise.
    """
    if not alphas.sound:
        raise CheckpointError(
            f"{run.folder / CHECKPOINT}: alpha is not finite, or no choice is active: {OWN}"
        )
    past = history(run.logged("alpha"))
    n_rows, n_columns = alphas.active.shape
    good = all(before["step"] < after["step"] for before, after in pairwise(past))
    for rows in (rows for entry in past for rows in (entry["alpha"], entry["trained"])):
        good = good and len(rows) == n_rows and all(len(row) == n_columns for row in rows)
    if not good or (logged and not past):
        raise CheckpointError(
            f"{run.folder / LOG}: the alpha events are not those of this search, {n_rows} rows of "
            f"{n_columns} at rising steps: {OWN}"
        )
