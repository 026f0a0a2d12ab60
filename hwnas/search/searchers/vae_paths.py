"""The paths that a supernet trains, learned by a VAE meanwhile (TNAS, sections 4.2 and 4.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from hwnas.arrays import FloatArray, IntArray
from hwnas.errors import CheckpointError, OptionError
from hwnas.search.candidates.evaluation import (
    calibration_images,
    validation_evaluator,
    validation_images,
)
from hwnas.search.problem import Problem
from hwnas.search.runs.run import Run
from hwnas.search.runs.schema import OWN
from hwnas.search.searchers.vae import ArchitectureVAE, train_vae
from hwnas.search.searchers.vae_draws import VAEDraws
from hwnas.search.searchers.vae_settings import PathSettings
from hwnas.supernet import PathSampler, Supernet, make_sampler

__all__ = ["Rounds", "VAEPaths", "check_rounds", "learned_paths"]

_STREAM = 0x7A6
#: Keep what a round draws apart from the paths.
_OF_A_ROUND = 1
#: The VAE learned from fewer knows too little to be drawn from.
_FEWEST = 10
#: A training step passes its images forward, and backward at twice the cost.
_PASSES_OF_A_STEP = 3


@dataclass(frozen=True)
class Rounds:
    """When a training is interrupted to evaluate some paths and to train the VAE.

    Attributes:
        after: how many training steps are done at each of the rounds, rising.
        each: architectures evaluated in a round.
        eps_inc: by how much eps rises after each.
        paths: that a training step trains.
    """

    after: tuple[int, ...]
    each: int
    eps_inc: float
    paths: int = 1

    @classmethod
    def of(cls, settings: PathSettings, images: int, eps_inc: float, paths: int = 1) -> "Rounds":
        """Even rounds that evaluate as much as a share of the training steps pays for.

        A training step passes its images forward, and backward at twice the cost, through each of
        its paths; an evaluation passes its own forward.

        Args:
            settings: steps and batch of the training; how many rounds, what share, from when on.
            images: that an evaluation passes.
            eps_inc: by how much eps rises after each round.
            paths: that a training step trains.

        Raises:
            OptionError: the share pays for no evaluation in each round.
        """
        steps, count = settings.steps, settings.rounds
        passes = settings.metric_share * steps * _PASSES_OF_A_STEP * settings.batch_size * paths
        bought, first = int(passes / images), max(1, int(settings.vae_start * steps))
        if min(bought, steps - first) < count:
            raise OptionError(
                f"{count} rounds need {count} evaluations and steps; {settings.metric_share:g} of "
                f"{steps} steps pays for {bought} evaluations, and {steps - first} steps are left "
                "from the first round on: give fewer rounds, more steps, or a larger metric_share"
            )
        after = (first + (steps - first) * at // count for at in range(count))
        return cls(tuple(after), bought // count, eps_inc, paths)


class VAEPaths:
    """A path sampler that learns: (1 - eps) uniform and eps VAE (TNAS, eq. 11).

    In each round, architectures within the budgets are drawn in the same proportion and evaluated;
    the VAE learns the best of every round, since accuracies of different rounds are of different
    weights. Then eps rises. It is 0 until the VAE knows 10 architectures. A step may train several
    paths, numbered through all steps; each that the VAE draws takes the place of a uniform one, so
    that of a group of balanced paths the others still have each choice once at most.

    Args:
        draws: of the VAE, within the budgets.
        uniform: gives the other paths.
        evaluate: accuracies (n,), 0 to 1, with the weights that the supernet has now.
        rounds: when the VAE learns.
        settings: of the VAE, and how eps rises.
        seed: of everything random.
        tell: what a round did, by name; for the log.

    Attributes:
        state: the VAE's weights, the architectures evaluated with their accuracies, and counts.
    """

    def __init__(
        self,
        draws: VAEDraws,
        uniform: PathSampler,
        evaluate: Callable[[IntArray], FloatArray],
        rounds: Rounds,
        settings: PathSettings,
        *,
        seed: int,
        tell: Callable[..., Any] = lambda **facts: None,
    ):
        self._draws, self._uniform, self._evaluate = draws, uniform, evaluate
        self._rounds, self._settings, self._seed, self._tell = rounds, settings, seed, tell
        self.model = ArchitectureVAE(draws.feasible.n_choices, seed=seed)
        shape = (len(rounds.after), rounds.each)
        self._archs = torch.zeros(*shape, len(draws.feasible.n_choices), dtype=torch.int64)
        self._accuracies = torch.zeros(shape, dtype=torch.float64)
        self._done, self._drawn, self._limited = torch.zeros(3, 1, dtype=torch.int64).unbind()
        self.state = {
            "archs": self._archs,
            "accuracies": self._accuracies,
            "rounds": self._done,
            "drawn": self._drawn,
            "limited": self._limited,
            **{f"vae {name}": tensor for name, tensor in self.model.state_dict().items()},
        }

    @property
    def eps(self) -> float:
        """The share of the paths that the VAE draws now."""
        known = self._best_each * int(self._done)
        return 0.0 if known < _FEWEST else min(1.0, self._rounds.eps_inc * int(self._done))

    @property
    def limited_share(self) -> float | None:
        """Of the VAE's draws in the rounds, those that the budgets changed; None without draws."""
        drawn = int(self._drawn)
        return int(self._limited) / drawn if drawn else None

    @property
    def facts(self) -> dict[str, Any]:
        """What a result says of the VAE."""
        return {
            "eps": self.eps,
            "rounds": int(self._done),
            "architectures_evaluated": int(self._done) * self._rounds.each,
            "limited_share": self.limited_share,
        }

    def sample(self, step: int) -> IntArray:
        """The path of a step, int64 (n_decisions,).

        Raises:
            CheckpointError: the state is none that training leads to.
        """
        if not self._sound:
            raise CheckpointError(
                f"the checkpoint's VAE is not finite, or learned what is not of this space: {OWN}"
            )
        rng = np.random.default_rng([self._seed, _STREAM, step])
        if rng.random() >= self.eps:
            return self._uniform.sample(step)
        archs, _ = self._draws(self.model, 1, rng)
        return archs.reshape(-1)

    def update(self, step: int, arch: IntArray, loss: float) -> None:
        """Told of each path after its step; some steps end with a round."""
        trained, others = divmod(step + 1, self._rounds.paths)
        if not others and trained in self._rounds.after[int(self._done) :]:
            self._round(trained)

    def draw(self, count: int) -> IntArray:
        """Draws (count, n_decisions) of the VAE within the budgets, as it is now."""
        rng = np.random.default_rng([self._seed, _STREAM, int(self._done), _OF_A_ROUND, 1])
        archs, _ = self._draws(self.model, count, rng)
        return archs

    @property
    def _sound(self) -> bool:
        """Whether the state may be one of this search."""
        possible = self._archs < torch.tensor(self.model.n_choices)
        counted = 0 <= int(self._done) <= len(self._rounds.after)
        finite = all(bool(tensor.isfinite().all()) for tensor in self.model.parameters())
        return finite and counted and bool((possible & (self._archs >= 0)).all())

    @property
    def _best_each(self) -> int:
        """Architectures of each round that the VAE learns."""
        return max(1, round(self._settings.top_share * self._rounds.each))

    def _round(self, step: int) -> None:
        at, each, eps = int(self._done), self._rounds.each, self.eps
        rng = np.random.default_rng([self._seed, _STREAM, at, _OF_A_ROUND])
        of_vae = int(rng.binomial(each, eps))
        drawn, limited = self._draws(self.model, of_vae, rng)
        archs = np.concatenate([drawn, self._draws.feasible.sample(each - of_vae, rng)])
        accuracies = self._evaluate(archs)
        self._archs[at] = torch.from_numpy(archs)
        self._accuracies[at] = torch.from_numpy(accuracies)
        self._done += 1
        self._drawn += of_vae
        self._limited += int(limited.sum())
        order = self._accuracies[: at + 1].argsort(dim=1, descending=True, stable=True)
        best = np.zeros((at + 1, each), bool)
        np.put_along_axis(best, order[:, : self._best_each].numpy(), True, axis=1)
        met: IntArray = self._archs[: at + 1].flatten(0, 1).numpy()
        fit = train_vae(self.model, met, best.reshape(-1), rng, self._settings)
        self._tell(
            step=step,
            eps=eps,
            best=float(accuracies.max()),
            mean=float(accuracies.mean()),
            of_vae=of_vae,
            limited=int(limited.sum()),
            kl=fit.kl,
            reconstruction=fit.reconstruction,
        )


def check_rounds(problem: Problem, settings: PathSettings, paths: int = 1) -> None:
    """Raise `OptionError` where the metric's share pays for too little; see `learned_paths`."""
    calibration = calibration_images(problem.data, settings.calibration_images)
    images, _ = validation_images(problem.data, settings)
    Rounds.of(settings, len(calibration) + len(images), 0.0, paths)


def learned_paths(
    problem: Problem,
    run: Run,
    supernet: Supernet,
    settings: PathSettings,
    eps_inc: float,
    *,
    sampler: Literal["uniform", "balanced"] = "uniform",
    paths: int = 1,
) -> VAEPaths:
    """The paths of a search: U(alpha) is uniform over the space, the metric validation accuracy.

    Args:
        problem: its budgets limit what the VAE draws, and what is evaluated.
        run: its log tells of each round.
        supernet: whose weights evaluate, as they are at the time.
        settings: of the training and of the VAE.
        eps_inc: by how much the VAE's share of the paths rises after each round.
        sampler: how U(alpha) is drawn, see `hwnas.supernet.make_sampler`.
        paths: that a training step trains.

    Raises:
        OptionError: the metric's share pays for too little.
    """
    validation = validation_evaluator(supernet, problem.data, settings)
    calibration, images, _, _ = validation.inputs()
    return VAEPaths(
        VAEDraws(problem.feasible),
        make_sampler(sampler, problem.proxy, problem.constraints[0], seed=problem.seed),
        validation.accuracies,
        Rounds.of(settings, len(calibration) + len(images), eps_inc, paths),
        settings,
        seed=problem.seed,
        tell=lambda **facts: run.log("vae", **facts),
    )
