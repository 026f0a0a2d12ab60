"""Latencies of a person's own networks on a V100 that is not here."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from hwnas.arrays import FloatArray
from hwnas.costs import AdditiveCost, nearest_sum
from hwnas.errors import OptionError
from hwnas.kernels import fuse
from hwnas.latency_tables import Target
from hwnas.predictors.model_prediction import KernelLatency, ModelPrediction
from hwnas.predictors.tensorrt.engines import SOURCE
from hwnas.predictors.tensorrt.models import predict_kernels
from hwnas.predictors.tensorrt.networks import EngineTimes
from hwnas.spaces import SearchSpace

__all__ = ["EngineFamilyPredictor"]

#: Networks that the nearest sum over decisions is fitted to; each of them is built and written.
_SAMPLES = 400


class EngineFamilyPredictor:
    """Predicts a family's networks on a V100 through TensorRT, from measurements of others.

    Each network is written as ONNX and fused once, which takes some hundredths of a second.

    Args:
        times: of the engine.
        space: the family; has `SearchSpace.modules`.

    Raises:
        OptionError: another precision than fp32, which is what torch writes.
    """

    #: `cost` is the nearest sum over decisions, not the prediction.
    additive = False

    def __init__(self, times: EngineTimes, space: SearchSpace):
        if times.engine.precision != "fp32":
            raise OptionError(
                f"networks of {space.name} are written by torch, in fp32: take "
                f"v100-tensorrt-fp32, got {times.engine.name}"
            )
        self.times = times
        self.space = space
        self.name = times.engine.name
        self._known: dict[str, ModelPrediction] = {}

    @property
    def target(self) -> Target:
        """A V100 that is not here."""
        return self.times.engine.target

    @property
    def notes(self) -> dict[str, str]:
        """What a reader should know: the target, and where times come from."""
        return {"target": str(self.target), "source": SOURCE}

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions).

        Raises:
            ArchitectureError: they do not belong to the space.
            OptionError: a network has kernels of which nothing is known.
        """
        rows = self.space.check(archs).tolist()
        return np.array([self._network(row).predicted_ms for row in rows], np.float64)

    def by_kernel(self, arch: npt.ArrayLike) -> tuple[KernelLatency, ...]:
        """The kernels of one architecture; their milliseconds add up to `predict`."""
        (row,) = self.space.check(arch).tolist()
        return self._network(row).kernels

    def predict_interval(self, archs: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Interval (n, 2) in ms, see `ModelPrediction.interval`."""
        rows = self.space.check(archs).tolist()
        ends = [self._network(row).interval(confidence) for row in rows]
        return np.array(ends, np.float64).reshape(-1, 2)

    @cached_property
    def cost(self) -> AdditiveCost:
        """The nearest sum over decisions, in ms."""
        return nearest_sum(self.predict, self.space.n_choices, samples=_SAMPLES).cost

    def _network(self, arch: list[int]) -> ModelPrediction:
        modules = self.space.modules
        assert modules is not None, f"{self.space.name} has operators"
        digest = modules.facts(arch).digest
        if digest not in self._known:
            found = predict_kernels(fuse(self.space.to_onnx(arch)).kernels, self.times)
            if found.unpredicted:
                lacking = found.unpredicted[0]
                raise OptionError(
                    f"{self.space.format(arch)} of {self.space.name} cannot be predicted on "
                    f"{self.name}: of {lacking.op} nothing is known ({lacking.note}); measure "
                    "networks on a card of your own"
                )
            self._known[digest] = found
        return self._known[digest]
