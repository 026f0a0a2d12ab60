"""Gradient ascent on a learned map of architectures, as in Neural Architecture Optimization."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet, decode
from hwnas.errors import OptionError
from hwnas.search.searchers.archive import Archive
from hwnas.search.searchers.nao_model import ArchitectureMap, Decoding, Fit, Scale, ascend, fit

__all__ = ["QUICK", "Ascent", "MapSearch"]


@dataclass(frozen=True, slots=True)
class Ascent:
    """How architectures are proposed.

    Attributes:
        top: the most accurate so many are climbed from.
        step: how far a step goes, see `hwnas.search.searchers.nao_model.ascend`.
        steps: how many.
        maps: several are trained from different weights, each proposes, and all judge.
        doubt: standard deviations over the maps that are added to their mean.
        ranked_draws: uniform draws within the budgets that the maps judge beside what they propose.
            Beside the paper: under a tight budget the ascents end at few that are new.
        fit: how a map is trained, before each proposal anew from where it was.
    """

    top: int = 20
    step: float = 0.8
    steps: int = 8
    maps: int = 3
    doubt: float = 1.0
    ranked_draws: int = 0
    fit: Fit = field(default_factory=Fit)

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise OptionError(f"an ascent's step is above 0, got {self.step:g}: it would stay")
        if min(self.top, self.steps, self.maps) < 1:
            raise OptionError(
                f"an ascent has 1 or more starts, steps and maps, got {self.top}, {self.steps} "
                f"and {self.maps}"
            )
        if self.ranked_draws < 0:
            raise OptionError(f"draws that are ranked are 0 or more, got {self.ranked_draws}")


#: Seconds for each batch of proposals: where an evaluation costs little, or there are many batches.
QUICK = Ascent(maps=2, fit=Fit(steps=80))


class MapSearch:
    """Encodes the best, climbs by the predictor's gradient, decodes (Balanced NAO, algorithm 1).

    The first proposals are uniform over the feasible set. Later ones are decoded from the points of
    the ascents, those of the highest choice and a draw each, among the choices from which the
    budgets can be kept; what breaks one all the same, or describes a network that is known, is
    dropped. Of the rest, and of uniform draws if they are ranked beside them, the maps' best are
    proposed, and uniform draws where too few are left.

    Args:
        feasible: what may be suggested.
        seed: of the draws and the maps.
        ascent: how.
        canonical: writes architectures that describe equal networks as one, such as
            ``space.canonical``; None where none are equal.
        neighbour_share: of what is proposed at once, see `Archive.neighbours`; beside the paper.

    Attributes:
        maps: as they were trained last.
        scale: of their targets.
        canonical: see above.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        seed: int = 0,
        *,
        ascent: Ascent | None = None,
        canonical: Callable[[IntArray], IntArray] | None = None,
        neighbour_share: float = 0.0,
    ):
        self.feasible = feasible
        self.neighbour_share = neighbour_share
        self.ascent = Ascent() if ascent is None else ascent
        n_choices = feasible.n_choices
        self.maps = [
            ArchitectureMap(n_choices, seed=_seed(seed, at)) for at in range(self.ascent.maps)
        ]
        self.scale = Scale(0.0, 1.0)
        self._archive = Archive(feasible, seed, canonical)
        self.canonical = self._archive.canonical
        self._seed = seed

    def suggest(self, count: int) -> IntArray:
        """Up to ``count`` new architectures."""
        archive = self._archive
        if not len(archive):
            return self.uniform(count)
        self.learn()
        proposed = iter([self._ranked(self._offered())])
        nothing = archive.rows([])
        taken = archive.neighbours(round(self.neighbour_share * count))
        taken += archive.new(count - len(taken), lambda _: next(proposed, nothing))
        taken += archive.uniform(count - len(taken))
        return archive.rows(taken)

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures; infeasible ones are left out."""
        self._archive.update(archs, accuracies)

    def best(self) -> tuple[IntArray, float]:
        """The most accurate architecture told, the cheaper of equals, and its accuracy."""
        return self._archive.best()

    def uniform(self, count: int) -> IntArray:
        """Up to ``count`` new architectures, uniform over the feasible set."""
        return self._archive.rows(self._archive.uniform(count))

    def learn(self) -> None:
        """Train the maps on all that was told."""
        archs, accuracies = self._archive.told
        self.scale = Scale.of(accuracies)
        written, targets = self.canonical(archs), self.scale.targets(accuracies)
        for at, network in enumerate(self.maps):
            fit(network, written, targets, self.ascent.fit, seed=_seed(self._seed, at, len(archs)))

    @torch.no_grad()
    def predict(self, archs: IntArray) -> FloatArray:
        """Accuracies by each map, (maps, n)."""
        rows = torch.from_numpy(self.canonical(archs))
        targets = [network.predict(network.encode(rows)).double().numpy() for network in self.maps]
        return self.scale.accuracies(np.stack(targets))

    def starts(self) -> IntArray:
        """The architectures that ascents start from, (n, n_decisions)."""
        return self.canonical(self._archive.top(self.ascent.top))

    def _offered(self) -> IntArray:
        """Architectures (n, n_decisions) of the points of each map's ascents, and uniform draws."""
        archs = []
        for network in self.maps:
            path = ascend(network, self.starts(), self.ascent.step, self.ascent.steps)
            points = path.flatten(0, 1)
            for rng in (None, self._archive.rng):
                scores = Decoding(network, points)
                archs.append(decode(self.feasible, scores, len(points), rng)[0])
        if self.ascent.ranked_draws:
            archs.append(self.feasible.sample(self.ascent.ranked_draws, self._archive.rng))
        return np.concatenate(archs)

    def _ranked(self, archs: IntArray) -> IntArray:
        """Those within the budgets that describe new networks, one of equals; the best first."""
        kept = self._archive.unknown(archs)
        if not len(kept):
            return kept
        votes = self.scale.targets(self.predict(kept))
        worth = votes.mean(axis=0) + self.ascent.doubt * votes.std(axis=0)
        ranked: IntArray = kept[np.argsort(-worth, kind="stable")]
        return ranked


def _seed(*parts: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence([*parts, 0x3A0]).generate_state(1, np.uint64)[0] >> 1)
