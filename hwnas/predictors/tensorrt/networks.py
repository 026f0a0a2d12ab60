"""What the kernels of an engine take: those that were measured, and all others by their bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.kernels import ConvolutionShape, FusedKernel
from hwnas.predictors.tensorrt.engines import Engine

__all__ = [
    "PUBLISHED_COUNT",
    "PUBLISHED_SPREAD",
    "WITHIN_NETWORK",
    "Convolutions",
    "EngineTimes",
    "KernelTime",
    "relative_spread",
]

#: Root mean square of log(predicted / published) of whole networks, and how many latencies these
#: are: ``benchmarks/v100_networks.py``.
PUBLISHED_SPREAD, PUBLISHED_COUNT = 0.15, 18
#: What a kernel takes within a network, times what it takes alone: alone it finds its input in the
#: cache. Of the six latencies of ResNet-50 there, which hold no copies: 1.04 to 1.06, from fit to fit.
WITHIN_NETWORK = 1.05

#: What the card's memory moves in a millisecond: 900 GB/s.
_BYTES_A_MS = 900e6
#: Multiply-accumulates of a millisecond, half of the card's peak, of products of activations.
_MACS_A_MS = {"fp32": 3.9e9, "fp16": 31e9, "int8": 15e9}
_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
#: Standard deviation of log(predicted / measured) of what nobody measured: a judgement.
_ESTIMATED, _OUTSIDE = 0.4, 0.3
#: Kinds whose time follows from the bytes that they move.
_MOVING = frozenset({"copy", "pointwise", "pool", "product", "reduce", "resize", "softmax"})
_BY_BYTES = "estimated from bytes"
_LINEAR = "linear layers: estimated as 1x1 convolutions of as many pixels, and from their weights"


class Convolutions(Protocol):
    """What `ConvolutionTimes` gives."""

    @property
    def floor_ms(self) -> float:
        """The fastest that was measured: a launch."""
        ...

    def predict(self, shapes: Sequence[ConvolutionShape], batch: int) -> FloatArray:
        """Milliseconds (n,)."""
        ...

    def log_spread(self, shapes: Sequence[ConvolutionShape], batch: int) -> FloatArray:
        """Standard deviation of log(predicted / measured), (n,)."""
        ...

    def outside(self, shapes: Sequence[ConvolutionShape], batch: int) -> list[str | None]:
        """In what each was not measured; None where it was."""
        ...


@dataclass(frozen=True, slots=True)
class KernelTime:
    """One kernel of an engine.

    Attributes:
        ms: None where nothing is known of it.
        spread: standard deviation of log(predicted / measured).
        note: why it is not as sure as others; empty where it lies within what was measured.
    """

    ms: float | None
    spread: float
    note: str = ""

    @property
    def measured(self) -> bool:
        """Whether it lies within what was measured."""
        return not self.note

    @property
    def ordinary(self) -> bool:
        """Whether every network has such kernels: those that move data, and linear layers."""
        return self.note in (_BY_BYTES, _LINEAR)


@dataclass(frozen=True, eq=False)
class EngineTimes:
    """Times of fused kernels on the V100; each shape is asked for once.

    No kernel is faster than a launch, which is the fastest convolution that was measured.

    Attributes:
        engine: precision and batch.
        convolutions: of the same precision.
    """

    engine: Engine
    convolutions: Convolutions
    _known: dict[FusedKernel, KernelTime] = field(default_factory=dict, init=False)

    def __call__(self, kernels: Iterable[FusedKernel]) -> list[KernelTime]:
        """The time of each kernel, in order."""
        asked = list(kernels)
        new = [k for k in dict.fromkeys(asked) if k not in self._known]
        shaped = [k for k in new if _is_convolution(k)]
        for kernel, time in zip(shaped, self._convolved(shaped), strict=True):
            self._known[kernel] = time
        for kernel in new:
            if kernel not in self._known:
                self._known[kernel] = self._moved(kernel)
        return [self._known[kernel] for kernel in asked]

    def _convolved(self, kernels: Sequence[FusedKernel]) -> list[KernelTime]:
        if not kernels:
            return []
        shapes = [k.convolution for k in kernels if k.convolution is not None]
        batch = self.engine.batch
        ms = self._with_sums(kernels, shapes)
        spreads = self.convolutions.log_spread(shapes, batch)
        outside = self.convolutions.outside(shapes, batch)
        times = []
        for kernel, value, known, reason in zip(kernels, ms, spreads, outside, strict=True):
            note = kernel.remark or (_LINEAR if _is_linear(kernel.convolution) else reason or "")
            spread = max(float(known), _OUTSIDE) if note else float(known)
            times.append(KernelTime(WITHIN_NETWORK * float(value), spread, note))
        return times

    def _with_sums(
        self, kernels: Sequence[FusedKernel], shapes: Sequence[ConvolutionShape]
    ) -> FloatArray:
        """Milliseconds (n,) alone; a sum costs no more inside a convolution than behind it.

        It did where it was measured alone in fp16, up to nine times as much: its second input was
        brought into another format, which kernels within a network have already.
        """
        batch = self.engine.batch
        bare = [replace(shape, fused_add=False) for shape in shapes]
        alone = self.convolutions.predict([*shapes, *bare], batch)
        written = [kernel.elements_out for kernel in kernels]
        behind = [self._bound_ms(FusedKernel("", "pointwise", (), 2 * n, n)) for n in written]
        most = alone[len(shapes) :] + np.array(behind)
        ms: FloatArray = np.minimum(alone[: len(shapes)], most)
        return np.maximum(ms, self.convolutions.floor_ms)

    def _moved(self, kernel: FusedKernel) -> KernelTime:
        if kernel.remark or kernel.kind not in _MOVING:
            reason = kernel.remark or "nothing is known of this operator"
            return KernelTime(None, 0.0, reason)
        ms, note = self._bound_ms(kernel), _BY_BYTES
        if kernel.convolution is not None:
            macs = kernel.convolution.macs * self.engine.batch
            ms = max(ms, macs / _MACS_A_MS[self.engine.precision])
            note += " and arithmetic"
        return KernelTime(WITHIN_NETWORK * ms, _ESTIMATED, note)

    def _bound_ms(self, kernel: FusedKernel) -> float:
        """A launch, or all bytes once at the card's bandwidth, alone."""
        moved = (kernel.elements_in + kernel.elements_out) * self.engine.batch
        moved += kernel.elements_constant
        bytes_moved = moved * _BYTES[self.engine.precision]
        return max(self.convolutions.floor_ms, bytes_moved / _BYTES_A_MS)


def relative_spread(times: Sequence[KernelTime]) -> float:
    """Standard deviation of the sum of times, relative to it.

    What was measured errs in all directions, what was not as if all in the same.
    """
    known = [(time.ms, time) for time in times if time.ms is not None]
    total = sum(ms for ms, _ in known)
    if not total:
        return 0.0
    apart = np.sqrt(sum((ms * time.spread) ** 2 for ms, time in known if time.measured))
    alike = sum(ms * time.spread for ms, time in known if not time.measured)
    return float(np.hypot(apart, alike) / total)


def _is_linear(shape: ConvolutionShape | None) -> bool:
    """Whether it multiplies vectors with a matrix, of one pixel an image or of several."""
    return shape is not None and shape.kernel == shape.stride == (1, 1) and shape.width == 1


def _is_convolution(kernel: FusedKernel) -> bool:
    return kernel.kind in ("convolution", "linear") and kernel.convolution is not None
