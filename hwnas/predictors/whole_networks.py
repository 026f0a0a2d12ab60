"""The latency of a family's networks, from some that were measured whole."""

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.costs import AdditiveCost, Approximation, nearest_sum
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable, Target
from hwnas.predictors.intervals import check_confidence
from hwnas.predictors.layer_sums import LayerSums, left_out
from hwnas.spaces import SearchSpace
from hwnas.spaces.module_facts import Layer

__all__ = ["WholeNetworkPredictor"]

#: Fewer networks say nothing of a family.
_LEAST = 5
#: Networks that the nearest sum over decisions is fitted to; each of them is built.
_SAMPLES = 1000


class WholeNetworkPredictor:
    """Predicts a family's networks by the layers that they run, see `LayerSums`.

    Args:
        table: holds measured networks of the family.
        space: the family; has `SearchSpace.modules`.

    Raises:
        OptionError: the table is of another space, or holds too few networks.
    """

    #: `cost` is the nearest sum over decisions, not the prediction.
    additive = False
    name = "a table of whole networks"

    def __init__(self, table: LatencyTable, space: SearchSpace):
        if len(table.networks) < _LEAST:
            raise OptionError(
                f"the latency of {space.name} is learned from {_LEAST} whole networks or more, and "
                f"the table of {table.space.name} on {table.target} holds {len(table.networks)}"
            )
        self.table = table
        self.space = space
        archs = np.array([space.parse(name) for name in table.networks])
        self._measured_ms = np.array([entry.latency_ms for entry in table.networks.values()])
        self._networks = [self._layers(arch) for arch in archs.tolist()]
        self._sums = LayerSums.fit(self._networks, self._measured_ms)

    def _layers(self, arch: list[int]) -> Mapping[Layer, int]:
        modules = self.space.modules
        assert modules is not None, f"{self.space.name} has operators"
        return modules.facts(arch).layers

    @property
    def target(self) -> Target:
        """What the networks were measured on."""
        return self.table.target

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the ``target``, and how many networks were measured."""
        return {"target": str(self.target), "networks": str(len(self._networks))}

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions).

        Raises:
            ArchitectureError: they do not belong to the space.
        """
        rows = self.space.check(archs)
        if not len(rows):
            return np.empty(0)
        return self._sums.predict([self._layers(row) for row in rows.tolist()])

    def predict_interval(self, archs: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Interval (n, 2) in ms that holds a measured latency with this confidence.

        Conformal: as wide as the errors on measured networks that were predicted from others.

        Raises:
            OptionError: the confidence is not between 0 and 1, or needs more networks.
        """
        factor, ms = self.interval_factor(confidence), self.predict(archs)
        return np.stack([ms / factor, ms * factor], axis=1)

    def interval_factor(self, confidence: float) -> float:
        """What an interval's upper end is, times the latency; its lower end is divided by it.

        Raises:
            OptionError: the confidence is not between 0 and 1, or needs more networks.
        """
        check_confidence(confidence)
        rank = math.ceil((len(self.scores) + 1) * confidence - 1e-9)
        if rank > len(self.scores):
            raise OptionError(
                f"an interval of confidence {confidence:g} needs at least "
                f"{math.ceil(confidence / (1 - confidence) - 1e-9)} measured networks, got "
                f"{len(self.scores)}: measure more, or ask for less"
            )
        return math.exp(self.scores[rank - 1])

    @cached_property
    def scores(self) -> FloatArray:
        """How far networks were off that were left out, abs(log(predicted / measured)), sorted."""
        predicted = left_out(self._networks, self._measured_ms)
        scores: FloatArray = np.sort(np.abs(np.log(predicted / self._measured_ms)))
        return scores

    @cached_property
    def approximation(self) -> Approximation:
        """The nearest sum over decisions, and how far it is off."""
        return nearest_sum(self.predict, self.space.n_choices, samples=_SAMPLES)

    @property
    def cost(self) -> AdditiveCost:
        """The nearest sum over decisions, in ms; see `approximation` for its error."""
        return self.approximation.cost
