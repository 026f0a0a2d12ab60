"""TNAS-G (Yan et al., 2021): the VAE draws the paths, weights and a multinomial learn from each.

Each path trains the weights on training images and then, on validation images, the parameters of a
distribution over the choices of every decision (section 4.3), by the gradient of gates (BetaNAS,
eq. 4). The most probable architecture within the budgets is the result. What the paper leaves open
is in docs/tnas.md. What is heavy is imported when the method runs, so that its flags show at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Gt

from hwnas.data import TrainableValidation, augmented
from hwnas.search.limits import check_alpha_images, check_gates
from hwnas.search.problem import Problem
from hwnas.search.searchers.vae_settings import PathSettings
from hwnas.search.settings import setting
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    from hwnas.search.context import Context
    from hwnas.search.gradient.alphas import Alphas
    from hwnas.search.searchers.vae_paths import VAEPaths
    from hwnas.supernet import Supernet

__all__ = ["Settings", "check", "search", "train_alphas"]

#: Steps of alpha from one entry in the log to the next.
_LOG_EVERY = 5
#: Moments of Adam: each gradient is of another path, so none is carried on, as in BetaNAS.
_MOMENTS = (0.0, 0.999)


@dataclass(frozen=True, kw_only=True)
class Settings(PathSettings):
    """What TNAS-G takes."""

    alpha_every: Annotated[int, Ge(1)] = setting(2, "Training steps for each step of alpha.")
    alpha_lr: Annotated[float, Gt(0)] = setting(0.05, "Learning rate of alpha.", most=1000)
    alpha_batch: Annotated[int, Ge(1)] = setting(
        64, "Validation images for each step of alpha.", most=65_536
    )


def suits(space: SearchSpace) -> None:
    """Refuse a space whose choices have no gates; see `check_gates`."""
    check_gates(space, "tnas-g")


def check(problem: Problem, settings: Settings) -> Settings:
    """The settings as they are, if they fit the problem.

    Raises:
        OptionError: as `suits`, the data draw no batches of validation images, or the metric's
            share pays for too little.
    """
    from hwnas.search.searchers.vae_paths import check_rounds

    suits(problem.proxy)
    check_alpha_images(problem.data, "tnas-g")
    check_rounds(problem, settings)
    return settings


def search(context: "Context", settings: Settings) -> dict[str, Any]:
    """Train weights and alpha on the VAE's paths, choose, measure; the ``result.json``.

    Raises:
        BudgetMissedError: no network kept the latency budget on the device.
    """
    from hwnas.search.choosing import choose
    from hwnas.search.gradient.pictures import draw_alphas
    from hwnas.search.searchers.vae_paths import learned_paths
    from hwnas.search.supernet_training import make_supernet

    problem, run = context.problem, context.run
    supernet = make_supernet(problem.proxy, settings, seed=problem.seed)
    # eq. 12: once the VAE has learned, all paths are its draws
    paths = learned_paths(problem, run, supernet, settings, 1.0)
    alphas = train_alphas(context, supernet, paths, settings)

    chosen = choose(context, supernet, alphas, settings)
    extras = {
        "method": "tnas-g",
        "vae": paths.facts,
        "files": draw_alphas(run, problem, "TNAS-G"),
    }
    return chosen.conclude(context, extras)


def train_alphas(
    context: "Context", supernet: "Supernet", paths: "VAEPaths", settings: Settings
) -> "Alphas":
    """Train weights and alpha on the same paths, in one checkpoint.

    Args:
        context: the problem, whose validation images train alpha; the run.
        supernet: trained in place.
        paths: the VAE's, which learns on the way.
        settings: of the method.

    Raises:
        CheckpointError: the run holds a supernet of another space or method.
    """
    import torch

    from hwnas.search.gradient.alphas import Alphas, alpha_adam, check_resumed, log_alphas
    from hwnas.search.runs.run import CHECKPOINT
    from hwnas.search.supernet_training import (
        checkpoint_due,
        optimizer_of,
        to_tensors,
        train_path,
        training_batch,
    )
    from hwnas.supernet import (
        alpha_gradient,
        load_checkpoint,
        sampler_state,
        save_checkpoint,
    )

    run, problem = context.run, context.problem
    data, seed, steps = problem.data, problem.seed, settings.steps
    assert isinstance(data, TrainableValidation)  # see `check`
    drawn = augmented(data, settings.augmentation)
    alphas = Alphas(supernet.space)
    optimizer = optimizer_of(supernet, settings)
    adam, moments = alpha_adam(alphas, settings.alpha_lr, _MOMENTS)
    alpha = alphas.alpha
    state = {**alphas.state, **sampler_state(paths), **moments}
    path, about = run.folder / CHECKPOINT, {"method": "tnas-g"}
    step = 0
    if path.exists():
        step = load_checkpoint(path, supernet, optimizer, about, state, steps=steps)
    check_resumed(run, alphas, logged=False)
    while step < steps:
        arch = paths.sample(step)
        batch = training_batch(drawn, step, settings, space=supernet.space, seed=seed)
        loss = train_path(supernet, optimizer, batch, arch, step, settings, task=problem.task)
        alphas.trained[np.arange(len(arch)), arch] += 1
        paths.update(step, arch, loss)
        step += 1
        turn, waiting = divmod(step, settings.alpha_every)
        if not waiting:
            images, labels = to_tensors(data.validation_batch(turn, settings.alpha_batch, seed))
            alpha.grad, alpha_loss = alpha_gradient(
                supernet, images, labels, arch, alpha, alphas.active, problem.task
            )
            adam.step()
            if turn % _LOG_EVERY == 0 or step == steps:
                none = torch.zeros(0)
                log_alphas(run, step, alphas, expected=(), betas=none, loss=alpha_loss)
        if checkpoint_due(step, steps):
            save_checkpoint(path, supernet, optimizer, step, about, state)
            run.log("trained", step=step, loss=round(loss, 4), lr=optimizer.param_groups[0]["lr"])
        context.progress("training and choosing", step / steps, f"loss {loss:.2f}")
    return alphas
