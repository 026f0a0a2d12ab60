"""Latency of kernels that nobody measured, from kernels of the same family that were."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.errors import TableFormatError, TableTargetError, UnknownNameError
from hwnas.kernels import NAMES, Kernel, features, parse_kernel, work
from hwnas.latency_tables import KernelRecord, LatencyTable
from hwnas.predictors.calibrated import Calibration, calibrate_by_median
from hwnas.predictors.roofline import Roofline
from hwnas.progress import Progress, silent

__all__ = ["KernelPredictor"]

#: A family of fewer measured kernels is not predicted.
_LEAST_KERNELS = 3
_LEAST_NETWORKS = 5
#: Subtracting the call from kernels that hardly take longer leaves noise; this share stays.
_LEAST_SHARE = 0.1
#: From one node of a network to the next, over what a call takes, one node included
#: (`benchmarks/node_time.py`).
_NODE = 0.1
#: What each kernel of a network takes whatever its work is, over what the network takes before its
#: first; alone, one takes more, since its code is not in the cache. Random networks of five tables
#: are off least with 0.25 or 0.3.
_OWN = 0.3
#: Few networks cannot tell that nothing is unsure but kernels: this share of their errors stays.
_LEAST_SYSTEMATIC = 0.5
#: Logarithm of 1.5: a kernel farther than this factor from all measured ones is named.
_FAR = 0.405
_AT_ONCE = 1000
#: Standard deviation of what a call takes, over that of the almost empty model: others have more
#: inputs.
_CALL_UNSURE = 0.3
#: And of a kernel that branches at signs: a model's may be all alike, or each random, which takes
#: ten times as long; both lie within two of it.
_SIGNS_UNSURE = 0.6


class KernelPredictor:
    """Predicts kernels by family, and corrects their sums by the table's networks of kernels.

    Each family has its own `Roofline`. A family that was not measured is not predicted: no other
    family stands in for it.

    Attributes:
        call_ms: what a network costs before its first kernel.
        node_ms: what it takes to come to a kernel, even to one that does nothing.
        calibration: from sums of kernels to whole networks.
        systematic: standard deviation of the logarithm of a network, beyond that of its kernels.

    Args:
        table: one with kernels.
        progress: told after every family.

    Raises:
        TableTargetError: the table has none, or too few whole networks of kernels.
        TableFormatError: a key in it is no kernel.
    """

    def __init__(self, table: LatencyTable, *, progress: Progress = silent):
        record = table.kernels
        if record is None or len(record.networks) < _LEAST_NETWORKS:
            raise TableTargetError(
                "ONNX models are predicted from measured kernels, and the table holds too few or "
                "none: measure them with 'hwnas profile --kernels 500'"
            )
        self.table = table
        self.node_ms = _NODE * record.call.latency_ms
        self.call_ms = record.call.latency_ms - self.node_ms
        self._families = self._fit(record, progress)
        self.calibration, self.systematic = self._calibrate(record)

    def can_predict(self, kernel: Kernel) -> bool:
        """Whether it costs nothing, or kernels of its family were measured."""
        return kernel.no_op or (kernel.static and kernel.family in self._families)

    def predict(self, kernels: Sequence[Kernel]) -> FloatArray:
        """Milliseconds of each kernel within a network, (n,); nan where it cannot be predicted.

        Kernels of one family share what it takes to start the first of them.
        """
        counts = Counter(kernels)  # a model of many nodes repeats most of them
        ms = self.calibration.scale * self._within(counts)
        place = {kernel: at for at, kernel in enumerate(counts)}
        return ms[np.array([place[kernel] for kernel in kernels], np.int64)]

    def spread(self, kernels: Sequence[Kernel], ms: FloatArray) -> float:
        """Standard deviation of log(sum of kernels): what is unsure of each, weighted by its share.

        Errors of kernels of one family go together as their models say; those of families do not.

        Args:
            kernels: n of them.
            ms: (n,), milliseconds of each as `predict` gives them; nan counts for nothing.
        """
        members: dict[str, dict[Kernel, float]] = {}
        for kernel, value in zip(kernels, ms, strict=True):
            if value > 0 and not kernel.no_op:
                shares = members.setdefault(kernel.family, {})
                shares[kernel] = shares.get(kernel, 0.0) + float(value)
        deviations_ms = [
            self._deviation_ms(family, list(shares), list(shares.values()))
            for family, shares in members.items()
        ]
        branching = [v for k, v in zip(kernels, ms, strict=True) if k.branches and v > 0]
        deviations_ms += [_CALL_UNSURE * self.call_ms, _SIGNS_UNSURE * sum(branching)]
        return math.hypot(*deviations_ms) / (self.call_ms + float(np.nansum(ms)))

    def _deviation_ms(self, family: str, kernels: Sequence[Kernel], ms: Sequence[float]) -> float:
        """Standard deviation of the sum of distinct kernels of a family.

        Of very many some are taken at a time, whose errors are taken to go together.
        """
        total = 0.0
        for start in range(0, len(kernels), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            covariance = self._families[family].covariance(_arrays(kernels[part])[1])
            weights = np.array(ms[part])
            total += math.sqrt(max(float(weights @ covariance @ weights), 0.0))
        return total

    def outside(self, kernels: Sequence[Kernel]) -> list[tuple[str, ...]]:
        """For each kernel the features in which it is far from all measured ones of its family."""
        far: dict[Kernel, tuple[str, ...]] = {}
        for kernel in dict.fromkeys(kernels):
            far[kernel] = ()
            if not kernel.no_op and self.can_predict(kernel):
                beyond = self._families[kernel.family].beyond(features(kernel)[None])[0]
                far[kernel] = tuple(name for name, d in zip(NAMES, beyond, strict=True) if d > _FAR)
        return [far[kernel] for kernel in kernels]

    def _within(self, counts: Mapping[Kernel, int]) -> FloatArray:
        """Milliseconds of each distinct kernel of a network, without the call, (n,).

        Alone, a kernel begins with its code outside of the cache. In a network the next one of the
        family finds it there, so that all of them together pay for that once, and each for its own
        memory.
        """
        kernels = list(counts)
        ms = np.full(len(kernels), np.nan)
        members: dict[str, list[int]] = {}
        for at, kernel in enumerate(kernels):
            if kernel.no_op:
                ms[at] = self.node_ms
            elif self.can_predict(kernel):
                members.setdefault(kernel.family, []).append(at)
        for family, where in members.items():
            rows = _arrays([kernels[at] for at in where])
            model = self._families[family]
            alone, _ = model.predict(*rows)
            others = 1 - 1 / sum(counts[kernels[at]] for at in where)
            shared = model.start_share(rows[0]) * alone - _OWN * self.call_ms
            ms[where] = alone - others * np.maximum(shared, 0.0)
        return ms

    def _fit(self, record: KernelRecord, progress: Progress) -> dict[str, Roofline]:
        measured: dict[str, list[tuple[Kernel, float]]] = {}
        for key, entry in record.entries.items():
            ms = max(entry.latency_ms - self.call_ms, _LEAST_SHARE * entry.latency_ms)
            kernel = _parsed(key)
            measured.setdefault(kernel.family, []).append((kernel, ms))
        families = {}
        for at, (family, found) in enumerate(measured.items(), start=1):
            if len(found) >= _LEAST_KERNELS:
                rows = _arrays([kernel for kernel, _ in found])
                families[family] = Roofline.fit(*rows, [ms for _, ms in found])
            progress("modelling kernels", at / len(measured), "")
        return families

    def _calibrate(self, record: KernelRecord) -> tuple[Calibration, float]:
        sums, wholes, known = [], [], []
        for network in record.networks.values():
            counts = {_parsed(key): count for key, count in network.kernels.items()}
            ms = self._within(counts) * np.array(list(counts.values()))
            if np.isnan(ms).any():
                continue
            sums.append(float(ms.sum()))
            known.append(self.spread(list(counts), ms) ** 2)
            wholes.append(network.measurement.latency_ms - self.call_ms)
        if len(wholes) < _LEAST_NETWORKS:
            raise TableTargetError(
                f"only {len(wholes)} of the table's networks consist of kernels that it can "
                f"predict, {_LEAST_NETWORKS} are needed: profile again with more kernels"
            )
        found = calibrate_by_median(sums, wholes)
        least = (_LEAST_SYSTEMATIC * found.residual) ** 2
        return found, max(found.residual**2 - float(np.median(known)), least) ** 0.5


def _arrays(kernels: Sequence[Kernel]) -> tuple[FloatArray, FloatArray]:
    return np.array([work(k) for k in kernels]), np.array([features(k) for k in kernels])


def _parsed(key: str) -> Kernel:
    try:
        return parse_kernel(key)
    except UnknownNameError as error:
        raise TableFormatError(f"the table's kernels: {error}") from None
