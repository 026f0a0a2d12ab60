"""The latency of a family's networks, from some that were measured whole."""

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.costs import AdditiveCost, Approximation, nearest_sum
from hwnas.errors import OptionError
from hwnas.latency_tables import LatencyTable, Target
from hwnas.predictors.intervals import check_confidence
from hwnas.predictors.layer_sums import LayerSums, left_out
from hwnas.progress import say
from hwnas.spaces import SearchSpace
from hwnas.spaces.module_facts import Layer

__all__ = ["WholeNetworkPredictor"]

#: Fewer networks say nothing of a family.
_LEAST = 5
#: Networks that the nearest sum over decisions is fitted to; each of them is built.
_SAMPLES = 1000
#: Networks that are predicted kernel by kernel.
_PREDICTED = 40


class WholeNetworkPredictor:
    """Predicts a family's networks by the layers that they run, see `LayerSums`.

    Args:
        space: the family; has `SearchSpace.modules`.
        latencies_ms: architecture string -> ms of some networks.
        target: what these are of.
        spread: of those ms themselves, as the logarithm of a factor, for a confidence.

    Raises:
        OptionError: too few networks.
    """

    #: `cost` is the nearest sum over decisions, not the prediction.
    additive = False
    #: The confidence that a budget is kept where nothing is measured and nobody says another.
    margin = 0.9
    name = "a table of whole networks"

    def __init__(
        self,
        space: SearchSpace,
        latencies_ms: Mapping[str, float],
        target: Target,
        spread: Callable[[float], float] = lambda confidence: 0.0,
    ):
        if len(latencies_ms) < _LEAST:
            raise OptionError(
                f"the latency of {space.name} is learned from {_LEAST} whole networks or more, and "
                f"the table of {target} holds {len(latencies_ms)}"
            )
        self.space = space
        self.target = target
        archs = np.array([space.parse(name) for name in latencies_ms])
        self._ms = np.array(list(latencies_ms.values()))
        self._networks = [self._layers(arch) for arch in archs.tolist()]
        self._sums = LayerSums.fit(self._networks, self._ms)
        self._spread = spread

    @classmethod
    def of_table(cls, table: LatencyTable, space: SearchSpace) -> "WholeNetworkPredictor":
        """Of networks that a table of the family measured whole."""
        measured = {name: entry.latency_ms for name, entry in table.networks.items()}
        return cls(space, measured, table.target)

    @classmethod
    def of_kernels(cls, table: LatencyTable, space: SearchSpace) -> "WholeNetworkPredictor":
        """Of networks that are predicted kernel by kernel; none of them is measured.

        Args:
            table: of any space, with kernels.
            space: the family.

        Raises:
            TableTargetError: the table holds too few kernels.
            OptionError: it knows nothing like a kernel of the family.
        """
        from hwnas.predictors.kernels import KernelPredictor
        from hwnas.predictors.onnx_model import predict_onnx

        kernels = KernelPredictor(table)
        precision: Any = table.target.precision
        found = {}
        for arch in np.unique(space.canonical(space.sample(_PREDICTED, seed=0)), axis=0):
            model = space.to_onnx(arch, batch=table.target.batch, precision=precision)
            found[space.format(arch)] = predict_onnx(model, kernels)
        lacking = {k.op for prediction in found.values() for k in prediction.unpredicted}
        if lacking:
            raise OptionError(
                f"the table measured no kernels like some of {space.name} "
                f"({', '.join(sorted(lacking))}): leave the table out to measure whole networks"
            )

        def spread(confidence: float) -> float:
            known = next(iter(found.values()))
            return math.log(known.interval(confidence)[1] / known.predicted_ms)

        say(f"latencies of {space.name} are predicted kernel by kernel, from {len(found)} networks")
        predicted = {name: prediction.predicted_ms for name, prediction in found.items()}
        return cls(space, predicted, table.target, spread)

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the ``target``, and how many networks are known."""
        return {"target": str(self.target), "networks": str(len(self._networks))}

    def _layers(self, arch: list[int]) -> Mapping[Layer, int]:
        modules = self.space.modules
        assert modules is not None, f"{self.space.name} has operators"
        return modules.facts(arch).layers

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions).

        Raises:
            ArchitectureError: they do not belong to the space.
        """
        rows = self.space.check(archs)
        if not len(rows):
            return np.empty(0)
        return self._sums.predict([self._layers(row) for row in rows.tolist()])

    def by_layer(self, arch: npt.ArrayLike) -> dict[Layer, float]:
        """What each layer of one architecture takes, all its runs together, in ms."""
        (row,) = self.space.check(arch).tolist()
        layers = self._layers(row)
        each = self._sums.each(tuple(layers)).tolist()
        return {layer: n * ms for (layer, n), ms in zip(layers.items(), each, strict=True)}

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
        return math.exp(self.scores[rank - 1] + self._spread(confidence))

    @cached_property
    def scores(self) -> FloatArray:
        """How far networks were off that were left out, abs(log(predicted / measured)), sorted."""
        predicted = left_out(self._networks, self._ms)
        scores: FloatArray = np.sort(np.abs(np.log(predicted / self._ms)))
        return scores

    @cached_property
    def approximation(self) -> Approximation:
        """The nearest sum over decisions, and how far it is off."""
        return nearest_sum(self.predict, self.space.n_choices, samples=_SAMPLES)

    @property
    def cost(self) -> AdditiveCost:
        """The nearest sum over decisions, in ms; see `approximation` for its error."""
        return self.approximation.cost
