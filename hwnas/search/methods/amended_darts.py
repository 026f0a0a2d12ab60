"""Amended-DARTS (Bi et al., 2019): all operators mixed, with an amended gradient of alpha.

Weights learn from one half of the training images, architecture parameters from the other, in turn
(`train_mixed`). Alpha goes against g1 + g2', the amended gradient of eq. 7, and against the
expected costs, steered to the budgets as in BetaNAS. It ends where alpha has come to rest, or after
the given steps; the result is the most probable architecture within the budgets. All state is in
one checkpoint, so it goes on where it was killed and ends as it would have ended. What the paper
leaves open is in docs/amended-darts.md. What is heavy is imported when the method runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from hwnas.memory import check_memory
from hwnas.search.gradient.alpha_steps import alpha_steps
from hwnas.search.gradient.betas import beta_facts, check_betas, parse_betas
from hwnas.search.gradient.mixed_settings import MixedSettings
from hwnas.search.problem import Problem
from hwnas.search.settings import setting
from hwnas.search.shared_settings import EvaluationSettings
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.search.context import Context
    from hwnas.search.gradient.alphas import Alphas
    from hwnas.search.gradient.cost_weights import CostWeights
    from hwnas.search.gradient.terms import Term
    from hwnas.supernet import Supernet

__all__ = ["Settings", "check", "search", "train_mixed"]

#: Moments of Adam, the paper's (section 4.1.1).
_MOMENTS = (0.5, 0.999)
#: Entries of alpha in the log, at most, beside those at the ends of epochs.
_LOGGED = 200


@dataclass(frozen=True, kw_only=True)
class Settings(EvaluationSettings, MixedSettings):
    """What Amended-DARTS takes."""

    eta: Annotated[float, Ge(0)] = setting(
        0.1, "Weight of the second term of alpha's gradient; 0 is first-order DARTS.", most=1e6
    )
    order: Literal["amended", "second", "first"] = setting(
        "amended", "Second term: the amended one, that of second-order DARTS, or none."
    )
    products: Literal["exact", "finite"] = setting(
        "exact", "Products with second derivatives: exact, or by differences, with less memory."
    )
    warm_up: Annotated[float, Ge(0), Lt(1)] = setting(
        0.0, "Share of the steps before alpha first moves."
    )
    alpha_every: Annotated[int, Ge(1)] = setting(1, "Training steps for each step of alpha.")
    alpha_lr: Annotated[float, Gt(0)] = setting(3e-3, "Learning rate of alpha.", most=1000)
    alpha_decay: Annotated[float, Ge(0)] = setting(1e-3, "Weight decay of alpha.", most=1000)
    alpha_batch: Annotated[int, Ge(2)] = setting(
        64, "Images of the other half for each step of alpha.", most=65_536
    )
    still: Annotated[float, Ge(0), Le(1)] = setting(
        0.002,
        "Stop when each decision is made and no probability changes by more in an epoch; 0: never.",
    )
    zeros: Literal["needed", "allowed"] = setting(
        "needed",
        "An edge ends without an operator where the budgets need it, as DARTS derives networks, or "
        "wherever alpha prefers that.",
        later=True,
    )
    beta: Sequence[str] = setting(
        (),
        "Fixed weight of a cost in alpha's loss, such as latency=0.1 (nats per ms)  [default: "
        "steered to the budgets]",
        metavar="COST=NATS",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_betas(self.beta)
        _ = self.first

    @property
    def first(self) -> int:
        """The step of the weights at which alpha first moves."""
        return alpha_steps(self.steps, self.warm_up, self.alpha_every)[0]


def suits(space: SearchSpace) -> None:
    """Refuse a space without mixed edges; see `check_mixable`."""
    from hwnas.supernet import check_mixable

    check_mixable(space)


def check(problem: Problem, settings: Settings) -> Settings:
    """The settings as they are, if they fit the problem.

    Raises:
        BudgetError: a beta of BitOps for a space that has none.
        OptionError: a space without mixed edges, training images too few for two halves, a mixture
            too large for this machine's memory, or a predictor that gives no expected latency,
            which a term of the loss needs.
    """
    from hwnas.search.gradient.halves import check_halves
    from hwnas.supernet import mixed_bytes

    suits(problem.proxy)
    if settings.auxiliary:
        from hwnas.search.auxiliary import auxiliary_join

        auxiliary_join(problem.proxy)
    check_halves(problem.data, settings.batch_size, settings.alpha_batch)
    check_memory(
        mixed_bytes(problem.proxy, max(settings.batch_size, settings.alpha_batch)),
        f"mixing all operators of {problem.proxy.name} at {problem.proxy.input_shape[1]} pixels",
        "give a smaller proxy_width, proxy_input_size, batch_size or alpha_batch",
    )
    check_betas(settings.beta, problem, "amended-darts")
    return settings


def search(context: "Context", settings: Settings) -> dict[str, Any]:
    """Train weights and alpha, choose, measure; returns the content of ``result.json``.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.choosing import choose
    from hwnas.search.gradient.alphas import history
    from hwnas.search.gradient.convergence import Rest
    from hwnas.search.gradient.pictures import draw_alphas
    from hwnas.search.gradient.terms import loss_terms
    from hwnas.search.supernet_training import make_supernet

    problem = context.problem
    terms, weights = loss_terms(problem, parse_betas(settings.beta))
    supernet = make_supernet(problem.proxy, settings, seed=problem.seed)
    alphas = train_mixed(context, supernet, settings, terms, weights)

    chosen = choose(context, supernet, alphas, settings)
    past = history(context.run.logged("alpha"))
    extras = {
        "method": "amended-darts",
        "order": settings.order if settings.eta else "first",
        "eta": settings.eta if settings.order != "first" else 0.0,
        **beta_facts(settings.beta, past[-1]),
        **Rest(alphas, settings.still).report(context.run, settings.steps),
        "files": draw_alphas(context.run, problem, "Amended-DARTS", by_operator=True),
    }
    return chosen.conclude(context, extras)


def train_mixed(
    context: "Context",
    supernet: "Supernet",
    settings: Settings,
    terms: "Sequence[Term]",
    weights: "CostWeights",
) -> "Alphas":
    """Train the weights of a mixed supernet and the architecture parameters in turn.

    Args:
        context: the problem, and the run, which holds the checkpoint and the history.
        supernet: fresh; trained in place.
        settings: of the method.
        terms: costs in alpha's loss, beside the cross-entropy.
        weights: of the terms.

    Raises:
        CheckpointError: the run holds a supernet of another space or method.
    """
    from torch import Tensor
    from torch.nn import ModuleList
    from torch.nn.utils import clip_grad_norm_

    from hwnas.search.auxiliary import mixed_head
    from hwnas.search.gradient.alphas import (
        Alphas,
        alpha_adam,
        check_resumed,
        log_alphas,
        move_alphas,
    )
    from hwnas.search.gradient.amended import amended_gradient
    from hwnas.search.gradient.convergence import Rest
    from hwnas.search.gradient.halves import halves
    from hwnas.search.gradient.zeros import without_zeros
    from hwnas.search.regularisation import cutout, drop_path
    from hwnas.search.runs.run import CHECKPOINT
    from hwnas.search.supernet_training import checkpoint_due, optimizer_of, to_tensors
    from hwnas.supernet import (
        learning_rate,
        load_checkpoint,
        mixed_logits,
        probabilities_of,
        save_checkpoint,
    )

    run, seed, steps = context.run, context.problem.seed, settings.steps
    task = context.problem.task
    head, concat, extra = None, None, {}
    if settings.auxiliary:
        head, concat = mixed_head(supernet.space, seed)
        extra = {f"auxiliary {name}": tensor for name, tensor in head.state_dict().items()}
    learning = ModuleList([supernet] if head is None else [supernet, head])
    trained = [p for p in learning.parameters() if p.requires_grad]
    optimizer = optimizer_of(learning, settings)
    alphas = Alphas(supernet.space)
    if settings.zeros == "needed":
        constraints = context.problem.constraints
        alphas.eligible[:] = without_zeros(alphas.active, supernet.space, constraints)
    adam, moments = alpha_adam(alphas, settings.alpha_lr, _MOMENTS, settings.alpha_decay)
    rest = Rest(alphas, settings.still)
    state = {**alphas.state, **weights.state, **moments, **rest.state, **extra}
    path, about, step = run.folder / CHECKPOINT, {"method": "amended-darts"}, 0
    if path.exists():
        step = load_checkpoint(path, supernet, optimizer, about, state, steps=steps)
    check_resumed(run, alphas, logged=step > settings.first)
    of_weights, of_alpha = halves(context.problem.data, seed)
    epoch = max(1, of_weights.count // settings.batch_size)
    turns = -(-(steps - settings.first) // settings.alpha_every)
    learning.train()

    def loss_on(batch: tuple[Tensor, Any], rate: float = 0.0, smoothing: float = 0.0) -> Tensor:
        probabilities = probabilities_of(alphas.alpha, alphas.active)
        drop = drop_path(rate, seed=seed, step=step)
        logits = mixed_logits(supernet, batch[0], probabilities, drop, concat)
        second = 0.0 if head is None else task.loss_of(head(), batch[1])
        return task.loss_of(logits, batch[1], smoothing) + settings.auxiliary * second

    while step < steps:
        images, labels = to_tensors(of_weights.batch(step, settings.batch_size))
        batch = cutout(images, settings.cutout, seed=seed, step=step), labels
        train_loss = partial(loss_on, batch, settings.path_drop, settings.label_smoothing)

        # alpha, weights fixed: on the other half, and on the batch that the weights learn from next
        turn, waiting = divmod(step - settings.first, settings.alpha_every)
        if turn >= 0 and not waiting:
            others = to_tensors(of_alpha.batch(turn, settings.alpha_batch))
            gradient = amended_gradient(
                train_loss,
                partial(loss_on, others),
                trained,
                alphas.alpha,
                eta=settings.eta,
                order=settings.order,
                products=settings.products,
            )
            share = (turn + 1) / turns
            expected, betas = move_alphas(alphas, adam, gradient.total, terms, weights, share)
            if turn % max(1, turns // _LOGGED) == 0 or turn == turns - 1:
                log_alphas(
                    run, step + 1, alphas, expected=expected, betas=betas, loss=gradient.loss
                )

        # weights, alpha fixed
        lr = learning_rate(step, steps, settings.peak_lr, 0, "cosine")
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        loss = train_loss()
        loss.backward(inputs=trained)  # type: ignore[no-untyped-call]
        if settings.max_norm:
            clip_grad_norm_(trained, settings.max_norm, foreach=True)
        optimizer.step()
        alphas.trained[alphas.active] += 1
        step += 1

        converged = step % epoch == 0 and rest.after_epoch(run, step)
        if converged or checkpoint_due(step, steps):
            # what has come to rest is finished, and its file says so
            save_checkpoint(path, supernet, optimizer, steps if converged else step, about, state)
            run.log("trained", step=step, loss=round(loss.item(), 4), lr=lr)
        remark = f"loss {loss.item():.2f}, least sure {alphas.probabilities.max(1).min():.2f}"
        context.progress("mixing and choosing", step / steps, remark)
        if converged:
            break
    return alphas
