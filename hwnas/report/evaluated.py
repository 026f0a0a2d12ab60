"""Every network that a search evaluated: what the page's scatter shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.arrays import FloatArray, IntArray
from hwnas.data import Metric
from hwnas.predictors import LatencyPredictor
from hwnas.search.runs.schema import ANOTHER, parse_of_file
from hwnas.search.searchers.pareto import front
from hwnas.spaces import SearchSpace

__all__ = ["Evaluated", "evaluated_of"]

#: Digits of a choice's number; no more choices than 36^2 = 1,296 take two.
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Networks in the order in which they were evaluated.

    Attributes:
        space: of their architectures.
        archs: (n, n_decisions).
        accuracies: with shared weights or looked up, 0 to 1, (n,); scores of an own metric.
        latency_ms: predicted or looked up, (n,); None where nothing predicts.
        macs: (n,).
        params: (n,).
    """

    space: SearchSpace
    archs: IntArray
    accuracies: FloatArray
    latency_ms: FloatArray | None
    macs: IntArray
    params: IntArray

    @property
    def costs(self) -> FloatArray:
        """What stands on the x axis: milliseconds, else millions of MACs, (n,)."""
        return self.macs / 1e6 if self.latency_ms is None else self.latency_ms

    @property
    def front(self) -> list[int]:
        """Positions that no other beats in cost and accuracy, by rising cost."""
        return front(self.costs, self.accuracies)

    def position(self, architecture: str) -> int | None:
        """Where a network stands, if it was evaluated."""
        at = np.flatnonzero((self.archs == self.space.parse(architecture)).all(axis=1))
        return int(at[0]) if len(at) else None

    def as_data(self, metric: Metric) -> dict[str, Any]:
        """The same for the page's script, small: an architecture is a text of choice numbers.

        Args:
            metric: that scores are of; the script is given its values.
        """
        most = max(self.space.n_choices, default=1)
        width = 1 if most <= len(_DIGITS) else 2
        return {
            "decisions": [d.name for d in self.space.decisions],
            "choices": [[c.token for c in d.choices] for d in self.space.decisions],
            "width": width,
            "archs": _written(self.archs, width),
            "costs": self.costs.tolist(),
            "accuracies": metric.value(self.accuracies).tolist(),
            "metric": metric.name,
            "percent": metric.is_accuracy,
            "macs": self.macs.tolist(),
            "params": self.params.tolist(),
            "unit": "M MACs" if self.latency_ms is None else "ms",
            "front": self.front,
        }


def evaluated_of(
    space: SearchSpace,
    accuracies: Mapping[str, float],
    predictor: LatencyPredictor | None,
    path: Path,
) -> Evaluated:
    """What is known of networks whose accuracies are known.

    Args:
        space: of the networks.
        accuracies: 0 to 1, by architecture string.
        predictor: of latencies, if there is one.
        path: of the file that names them, for messages.

    Raises:
        CheckpointError: one is none of the space.
    """
    archs = np.array([parse_of_file(space, name, path, ANOTHER) for name in accuracies], np.int64)
    archs = archs.reshape(len(accuracies), len(space.decisions))
    if not len(archs):
        nothing = np.zeros(0)
        return Evaluated(space, archs, nothing, None, nothing.astype(int), nothing.astype(int))
    ms = None if predictor is None else predictor.predict(archs)
    if ms is not None and not np.isfinite(ms).all():
        ms = None
    return Evaluated(
        space, archs, np.array([*accuracies.values()]), ms, space.macs(archs), space.params(archs)
    )


def _written(archs: IntArray, width: int) -> str:
    """Architectures (n, n_decisions) one after the other, ``width`` digits of base 36 a choice."""
    digits = np.array(list(_DIGITS))
    parts = [digits[archs // len(_DIGITS) ** at % len(_DIGITS)] for at in reversed(range(width))]
    return "".join(np.stack(parts, axis=-1).ravel().tolist())
