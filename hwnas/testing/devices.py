"""A synthetic device whose true latencies are known, to test statistics against."""

import numpy as np
import onnx
from onnx import numpy_helper

from hwnas.latency_tables import Target
from hwnas.profilers.protocol import Job

__all__ = ["SyntheticRuntime"]

_MS_PER_NODE = 0.01
_MS_PER_WEIGHT = 2e-6
_PAIR = ("QuantizeLinear", "DequantizeLinear")


class SyntheticRuntime:
    """Runs nothing: a run takes its true time, made worse in the ways real devices do.

    The truth is additive: a call, and for each node a constant and a little for each weight.

    Args:
        noise: standard deviation of a single run, relative.
        spell: factor of slow spells; they last 0.7 of every 2.1 seconds of the device's own clock.
        outliers: probability that a run takes five times as long.
        slow_first: factor of the first run of every model.
        call_ms: what a call costs.
        name: of the device, part of the target.
        seed: of the noise.
        int8_factor: time of an int8 network over that of the same without its pairs of
            QuantizeLinear and DequantizeLinear; None where pairs are nodes as all others.
    """

    precisions = ("fp32", "int8")

    def __init__(
        self,
        *,
        noise: float = 0.03,
        spell: float = 1.3,
        outliers: float = 0.01,
        slow_first: float = 20.0,
        call_ms: float = 0.02,
        name: str = "synthetic",
        seed: int = 0,
        int8_factor: float | None = None,
    ):
        self.noise, self.spell, self.outliers = noise, spell, outliers
        self.slow_first, self.call_ms, self.name = slow_first, call_ms, name
        self.int8_factor = int8_factor
        self.clock_ms = 0.0
        self.runs = 0
        self._rng = np.random.default_rng(seed)

    def target(self, precision: str, batch: int) -> Target:
        """A CPU of this name."""
        return Target("cpu", self.name, "0", "synthetic", "1", precision, batch, 1)  # type: ignore[arg-type]

    def true_ms(self, model: bytes) -> float:
        """What a run of the model takes on the undisturbed device."""
        graph = onnx.load_from_string(model).graph
        nodes, held, factor = graph.node, graph.initializer, 1.0
        pairs = [node for node in nodes if node.op_type in _PAIR]
        if pairs and self.int8_factor is not None:
            scales = {name for node in pairs for name in node.input[1:]}
            nodes = [node for node in nodes if node.op_type not in _PAIR]
            held = [tensor for tensor in held if tensor.name not in scales]
            factor = self.int8_factor
        weights = sum(int(numpy_helper.to_array(tensor).size) for tensor in held)
        return self.call_ms + factor * (_MS_PER_NODE * len(nodes) + _MS_PER_WEIGHT * weights)

    def load(self, model: bytes, *, warm: bool = False) -> Job:
        """A job that advances the device's clock by what it says it took."""
        truth = self.true_ms(model)
        first = True

        def job() -> float:
            nonlocal first
            ms = truth * float(np.exp(self._rng.normal(0, self.noise)))
            if self.clock_ms % 2100 < 700:
                ms *= self.spell
            if self._rng.random() < self.outliers:
                ms *= 5
            if first:
                ms, first = ms * self.slow_first, False
            self.clock_ms += ms
            self.runs += 1
            return ms

        return job
