"""The VAE of TNAS as a searcher: learn the best met so far, draw, rank what is drawn."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.search.searchers.archive import Archive
from hwnas.search.searchers.vae import ArchitectureVAE, predicted, train_vae
from hwnas.search.searchers.vae_draws import VAEDraws
from hwnas.search.searchers.vae_settings import VAESettings
from hwnas.search.searchers.worth import worth
from hwnas.search.settings import setting
from hwnas.search.shared_settings import VAE_NEIGHBOUR_SHARE

__all__ = ["VAESearch", "VAESearchSettings", "best_of", "worths_of"]

_STREAM = 0x7A5
#: The VAE learns no fewer architectures.
_FEWEST = 10


@dataclass(frozen=True, kw_only=True)
class VAESearchSettings(VAESettings):
    """What the searcher takes beside the VAE."""

    start: Annotated[int, Ge(1)] = setting(
        20, "Architectures that are drawn uniformly before the VAE first learns.", most=1_000_000
    )
    explore: Annotated[float, Ge(0), Le(1)] = setting(
        0.5, "Share of the ranked draws that is uniform; without ranking, of the proposals."
    )
    predictors: Annotated[int, Ge(0)] = setting(
        8, "Predictors of accuracy that rank the VAE's draws; 0 as in the paper.", most=1000
    )
    candidates: Annotated[int, Ge(1)] = setting(
        500, "Architectures that the VAE draws to be ranked.", most=1_000_000
    )
    neighbour_share: Annotated[float, Ge(0), Le(1)] = setting(
        VAE_NEIGHBOUR_SHARE,
        "Share of what is proposed that differs from the best in one decision; 0 in TNAS.",
    )


class VAESearch:
    """Draws of a VAE that is trained, each time, on the best architectures told so far.

    With predictors, each of them in turn names the best of the draws that is still left, so that
    what is proposed at once differs as far as the predictors do (Thompson sampling by bootstrap).
    Without, the draws are proposed as they come, which is what the paper describes.

    Args:
        feasible: what may be suggested.
        settings: of the VAE, and of what is done with its draws.
        seed: of everything random.

    Attributes:
        drawn, limited: architectures that the VAE drew, and how many the budgets changed.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        settings: VAESearchSettings | None = None,
        *,
        seed: int = 0,
    ):
        self.feasible = feasible
        self.drawn = self.limited = 0
        self._settings = settings or VAESearchSettings()
        self._seed = seed
        self._archive = Archive(feasible, seed)
        self._draws = VAEDraws(feasible)

    def suggest(self, count: int) -> IntArray:
        """Up to ``count`` new architectures: uniform at first, then what the VAE draws."""
        archive, settings = self._archive, self._settings
        if len(archive) < settings.start:
            return archive.rows(archive.uniform(count))
        model = self._learned()
        chosen = archive.neighbours(round(settings.neighbour_share * count))
        left = count - len(chosen)
        if settings.predictors:
            chosen += archive.new(left, lambda _: self._ranked(model))
        else:
            drawn = left - round(settings.explore * left)
            chosen += archive.new(drawn, lambda n: self._drawn(model, n))
        chosen += archive.uniform(count - len(chosen))
        return archive.rows(chosen)

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures; infeasible ones are left out."""
        self._archive.update(archs, accuracies)

    def best(self) -> tuple[IntArray, float]:
        """The most accurate architecture told, the cheaper of equals, and its accuracy."""
        return self._archive.best()

    def _learned(self) -> ArchitectureVAE:
        """A VAE that has learned from all that was told."""
        archs, accuracies = self._archive.told
        rng = np.random.default_rng([self._seed, _STREAM, len(archs)])
        model = ArchitectureVAE(
            self.feasible.n_choices,
            predictors=self._settings.predictors,
            seed=int(rng.integers(2**63)),
        )
        best = best_of(accuracies, self._settings.top_share)
        worths = worths_of(accuracies) if self._settings.predictors else None
        train_vae(model, archs, best, rng, self._settings, worths)
        return model

    def _drawn(self, model: ArchitectureVAE, count: int) -> IntArray:
        archs, limited = self._draws(model, count, self._archive.rng)
        self.drawn += count
        self.limited += int(limited.sum())
        return archs

    def _ranked(self, model: ArchitectureVAE) -> IntArray:
        """What the VAE draws and some uniform draws, as the predictors want them in turn."""
        count = self._settings.candidates
        uniform = round(self._settings.explore * count)
        drawn = self._drawn(model, count - uniform)
        among = np.concatenate([drawn, self.feasible.sample(uniform, self._archive.rng)])
        wanted = np.argsort(-predicted(model, among), axis=0, kind="stable")
        return among[wanted.reshape(-1)]


def best_of(accuracies: FloatArray, share: float) -> npt.NDArray[np.bool_]:
    """Which (n,) are among the best share, but no fewer than 10 where there are as many."""
    count = max(_FEWEST, round(share * len(accuracies)))
    best = np.zeros(len(accuracies), bool)
    best[np.argsort(-accuracies, kind="stable")[:count]] = True
    return best


def worths_of(accuracies: FloatArray) -> FloatArray:
    """What predictors learn: `worth`, of mean 0 and variance 1."""
    values = worth(accuracies)
    worths: FloatArray = (values - values.mean()) / (values.std() + 1e-9)
    return worths
