"""Latency as a sum of table entries, corrected by a few whole networks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.costs import AdditiveCost
from hwnas.costs.additive import FloatArray
from hwnas.errors import ArchitectureError, OptionError, TableTargetError
from hwnas.latency_tables import LatencyTable
from hwnas.ops import Workload
from hwnas.spaces import SearchSpace

if TYPE_CHECKING:
    import torch

__all__ = ["AdditivePredictor", "Calibration"]

_LEAST_NETWORKS = 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sums of parts became the latency of wholes.

    Attributes:
        scale: wholes over sums; below 1 since a block alone pays layout conversions that it does
            not pay inside a network.
        residual: standard deviation of log(predicted / measured), each network left out in turn.
        count: networks it was estimated on.
    """

    scale: float
    residual: float
    count: int


class AdditivePredictor:
    """Predicts the latency of architectures as a sum over their workloads.

    A network is one runtime call and its workloads, each the measured median of the workload alone
    less a call, times one scale that is estimated on the table's whole networks. Entries are
    rounded to a power of two (below a thousandth of a millisecond), so that minima, counts, samples
    and expectations agree to the last digit with `predict`.

    Args:
        table: holds every workload of the space.
        space: whose architectures are predicted.
        origin: the space that the table's whole networks belong to; ``space`` if it is the same.

    Raises:
        WorkloadNotInTableError: an entry is missing.
        TableTargetError: the table has no whole networks, or they are of another space.
    """

    def __init__(self, table: LatencyTable, space: SearchSpace, origin: SearchSpace | None = None):
        self.table = table
        self.space = space
        self.calibration = _calibrate(table, space if origin is None else origin)
        fixed, entries = _entries(table, space)
        scale = self.calibration.scale
        whole = table.call.latency_ms + scale * fixed
        self.cost = AdditiveCost.from_floats(whole, [row * scale for row in entries])

    def predict(self, archs: npt.ArrayLike) -> FloatArray:
        """Latencies in ms, (n,), of an integer array (n, n_decisions)."""
        return self.cost(self.space.check(archs))

    def predict_interval(self, archs: npt.ArrayLike, confidence: float = 0.95) -> FloatArray:
        """Interval (n, 2) in ms that holds the measured latency with this confidence.

        From the spread of the table's whole networks around their predictions (Student's t).

        Raises:
            OptionError: the confidence is not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise OptionError(f"confidence lies between 0 and 1, such as 0.95, got {confidence}")
        from scipy.stats import t

        known = self.calibration
        spread = float(t.ppf((1 + confidence) / 2, known.count - 1)) * known.residual
        spread *= (1 + 1 / known.count) ** 0.5
        ms = self.predict(archs)
        return np.stack([ms * np.exp(-spread), ms * np.exp(spread)], axis=1)

    def expected(self, probabilities: Sequence["torch.Tensor"]) -> "torch.Tensor":
        """Mean latency in ms if each decision is drawn from its own distribution; differentiable.

        Args:
            probabilities: one tensor (n_choices,) a decision.

        Raises:
            OptionError: another number of decisions or choices.
        """
        import torch

        shapes = [tuple(p.shape) for p in probabilities]
        wanted = [(n,) for n in self.space.n_choices]
        if shapes != wanted:
            raise OptionError(
                f"one tensor of {', '.join(str(n) for (n,) in wanted)} probabilities is needed for "
                f"the {len(wanted)} decisions, got shapes {shapes}"
            )
        total = torch.tensor(self.cost.fixed * self.cost.unit, dtype=torch.float64)
        for p, steps in zip(probabilities, self.cost.entries, strict=True):
            total = (
                total + (p.double() * torch.from_numpy(steps * self.cost.unit).to(p.device)).sum()
            )
        return total


def _entries(table: LatencyTable, space: SearchSpace) -> tuple[float, list[FloatArray]]:
    """Fixed ms, and one array (n_choices,) of ms a decision, the runtime calls taken off."""

    def ms(workloads: Iterable[Workload]) -> float:
        alone = (table.latency_ms(w) - table.call.latency_ms for w in workloads if not w.op.free)
        return sum(max(value, 0.0) for value in alone)

    rows = [
        np.array([ms(space.layout.parts(d, c)) for c in range(n)])
        for d, n in enumerate(space.n_choices)
    ]
    return ms(space.layout.fixed), rows


def _calibrate(table: LatencyTable, origin: SearchSpace) -> Calibration:
    """The scale from sums to wholes, and its leave-one-out error."""
    if len(table.networks) < _LEAST_NETWORKS:
        raise TableTargetError(
            f"a predictor needs {_LEAST_NETWORKS} whole networks in the table to know how far sums "
            f"are off, got {len(table.networks)}: profile the device again"
        )
    try:
        archs = np.stack([origin.parse(text) for text in table.networks])
    except ArchitectureError as error:
        raise TableTargetError(f"the table's networks are of another space: {error}") from None
    fixed, rows = _entries(table, origin)
    sums = fixed + sum(row[column] for row, column in zip(rows, archs.T, strict=True))
    wholes = np.array([entry.latency_ms for entry in table.networks.values()])
    call_ms = table.call.latency_ms
    scales = (wholes - call_ms) / sums
    count = len(scales)
    others = (scales.sum() - scales) / (count - 1)
    residual = float(np.sqrt(np.mean(np.log((call_ms + others * sums) / wholes) ** 2)))
    transfer = table.provenance.transfer
    if transfer is not None:  # the fit has seen these networks; its own error left them out
        residual = max(residual, transfer.residual)
    return Calibration(float(scales.mean()), residual, count)
