"""A plain model-based searcher: scikit-learn's extra trees on the decisions."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesRegressor

from hwnas.arrays import FloatArray, IntArray
from hwnas.costs import FeasibleSet
from hwnas.search.searchers.archive import Archive
from hwnas.search.searchers.worth import worth

__all__ = ["Trees", "features"]

_TREES = 60
#: What is ranked: so many uniform draws, and as many changes of the best so many.
_DRAWS, _PARENTS, _CHANGE = 1000, 10, 0.3
#: Standard deviations over the trees that are added to their mean: what is in doubt is tried, too.
_DOUBT = 1.0


class Trees:
    """Proposes what trees that were trained on all that was told expect to be best.

    The first proposals are uniform over the feasible set. Later ones are the best of uniform draws
    and of changes of the best told, by the trees' mean and a standard deviation; trees learn
    -log(1.01 - accuracy) of one-hot choices and of how often each choice occurs. Of architectures
    that describe equal networks one is learned and proposed.

    Args:
        feasible: what may be suggested.
        seed: of the draws and the trees.
        canonical: see `Archive`.
        neighbour_share: of what is proposed at once, see `Archive.neighbours`.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        seed: int = 0,
        *,
        canonical: Callable[[IntArray], IntArray] | None = None,
        neighbour_share: float = 0.0,
    ):
        self.feasible = feasible
        self.neighbour_share = neighbour_share
        self._archive = Archive(feasible, seed, canonical)
        self._seed = seed

    def suggest(self, count: int) -> IntArray:
        """Up to ``count`` new architectures."""
        archive = self._archive
        if not len(archive):
            return archive.rows(archive.uniform(count))
        taken = archive.neighbours(round(self.neighbour_share * count))
        taken += archive.new(count - len(taken), lambda _: self._ranked())
        taken += archive.uniform(count - len(taken))
        return archive.rows(taken)

    def update(self, archs: IntArray, accuracies: npt.ArrayLike) -> None:
        """Tell the accuracy, 0 to 1, of architectures; infeasible ones are left out."""
        self._archive.update(archs, accuracies)

    def best(self) -> tuple[IntArray, float]:
        """The most accurate architecture told, the cheaper of equals, and its accuracy."""
        return self._archive.best()

    def _ranked(self) -> IntArray:
        """What may be proposed (n, n_decisions), the most promising first."""
        archive, n_choices = self._archive, self.feasible.n_choices
        archs, accuracies = archive.told
        trees = ExtraTreesRegressor(_TREES, random_state=self._seed % 2**32)
        trees.fit(features(archive.canonical(archs), n_choices), worth(accuracies))
        drawn = archive.unknown(np.unique(self._candidates(), axis=0))
        if not len(drawn):
            return drawn
        offered = features(archive.canonical(drawn), n_choices)
        votes = np.stack([tree.predict(offered) for tree in trees.estimators_])
        hoped = votes.mean(axis=0) + _DOUBT * votes.std(axis=0)
        ranked: IntArray = drawn[np.argsort(-hoped, kind="stable")]
        return ranked

    def _candidates(self) -> IntArray:
        rng = self._archive.rng
        parents = self._archive.top(_PARENTS)
        chosen = parents[rng.integers(0, len(parents), _DRAWS)]
        redrawn = rng.integers(0, self.feasible.n_choices, chosen.shape)
        changed = np.where(rng.random(chosen.shape) < _CHANGE, redrawn, chosen)
        return np.concatenate([self.feasible.sample(_DRAWS, rng), changed])


def features(archs: IntArray, n_choices: Sequence[int]) -> FloatArray:
    """One column a choice of each decision, and how often each choice occurs, (n, columns)."""
    most = max(n_choices)
    one_hot = (archs[:, :, None] == np.arange(most)).astype(np.float64)
    offered = np.arange(most) < np.array(n_choices)[:, None]
    return np.concatenate([one_hot[:, offered], one_hot.sum(axis=1)], axis=1)
