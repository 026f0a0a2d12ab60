"""Convolutions on a V100 through TensorRT, from measurements of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.arrays import FloatArray
from hwnas.errors import OptionError, PredictorFormatError
from hwnas.kernels.fused import ConvolutionShape
from hwnas.latency_tables.published import shipped_convolutions
from hwnas.predictors.npz_format import NpzFormat
from hwnas.predictors.tensorrt.features import RATES, columns_of, roofline_ms
from hwnas.predictors.tensorrt.measured_range import MeasuredRange
from hwnas.predictors.tensorrt.perceptrons import Perceptrons
from hwnas.predictors.tensorrt.squares import SquareConvolutions, squares_of
from hwnas.predictors.tensorrt.uncertainty import Uncertainty

__all__ = ["ConvolutionTimes", "shipped_convolutions"]

_FORMAT = NpzFormat(
    "hwnas-convolutions-1",
    (MeasuredRange, Perceptrons, Uncertainty),
    "benchmarks/v100_tensorrt.py",
)
#: Pixels from which a linear layer runs as a 1x1 convolution of that many pixels does.
_CONVOLVED_PIXELS = 128


@dataclass(frozen=True, eq=False)
class ConvolutionTimes:
    """What convolutions take in one precision, with whatever is fused into them.

    A time is a roofline of the card multiplied by what small networks learned from the measured
    ones. Linear layers, which were not measured, lie between that and the roofline: the fewer
    images, the more of their time is the reading of weights.

    Attributes:
        precision: ``fp32``, ``fp16`` or ``int8``.
        floor_ms: the fastest measured convolution; no prediction is faster.
        efficiency: predicts log(ms / roofline) from the columns of a shape.
        uncertainty: of shapes that were never seen.
        measured: their range.
        notes: what a reader should know, such as where the measurements came from.
    """

    precision: str
    floor_ms: float
    efficiency: Perceptrons
    uncertainty: Uncertainty
    measured: MeasuredRange
    notes: dict[str, str]

    @classmethod
    def load(cls, source: str | Path) -> "ConvolutionTimes":
        """Read what `save` wrote, or what ships under a precision's name.

        Raises:
            PredictorFormatError: it is neither; nothing in the file is executed.
        """
        path = shipped_convolutions().get(str(source), Path(source))
        content = _FORMAT.read(path)
        try:
            times = cls(**content)
            times._check()
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            raise PredictorFormatError(
                f"{path} holds no times of convolutions: {error}. Give fp32, fp16 or int8, or a "
                "file that benchmarks/v100_tensorrt.py wrote"
            ) from None
        return times

    def save(self, path: str | Path) -> None:
        """Write to a file, whole or not at all; by convention ``.npz``."""
        names = ("precision", "floor_ms", "efficiency", "uncertainty", "measured", "notes")
        _FORMAT.write(Path(path), {name: getattr(self, name) for name in names})

    def predict(self, shapes: Sequence[ConvolutionShape], batch: int) -> FloatArray:
        """Milliseconds of each convolution at a batch of 1 or more, (n,)."""
        squares = self._squares(shapes, batch)
        roofline = roofline_ms(squares, RATES[self.precision], self.floor_ms)
        log_efficiency = self.efficiency(self._columns(squares))
        linear = np.array([s.height == s.width == s.out_height == s.out_width == 1 for s in shapes])
        if linear.any():
            share = min(1.0, np.log2(batch) / np.log2(_CONVOLVED_PIXELS))
            log_efficiency[linear] *= share
        return np.maximum(self.floor_ms, roofline * np.exp(log_efficiency))

    def log_spread(self, shapes: Sequence[ConvolutionShape], batch: int) -> FloatArray:
        """Standard deviation of log(predicted / measured) of each, (n,)."""
        return self.uncertainty.log_spread(self._columns(self._squares(shapes, batch)))

    def interval_factors(
        self, shapes: Sequence[ConvolutionShape], batch: int, confidence: float = 0.9
    ) -> FloatArray:
        """What predictions are multiplied by at both ends of an interval, (n, 2).

        As many measured times of shapes that were never seen lie in it as the confidence says; of
        a shape that is `outside` nobody knows.

        Raises:
            OptionError: the confidence is not between 0 and 1.
        """
        columns = self._columns(self._squares(shapes, batch))
        return self.uncertainty.interval_factors(columns, confidence)

    def outside(self, shapes: Sequence[ConvolutionShape], batch: int) -> list[str | None]:
        """In what each shape was not measured; None where it lies within the measured range."""
        return [self.measured.outside(shape, batch) for shape in shapes]

    def _squares(self, shapes: Sequence[ConvolutionShape], batch: int) -> SquareConvolutions:
        if batch < 1:
            raise OptionError(f"a batch is 1 or more images, got {batch}")
        return squares_of(shapes, batch)

    def _columns(self, squares: SquareConvolutions) -> FloatArray:
        return columns_of(squares, RATES[self.precision], self.floor_ms)

    def _check(self) -> None:
        """Raise `ValueError` and the like where the parts do not work together."""
        if self.precision not in RATES:
            raise ValueError(f"its precision is {self.precision!r}")
        if not 0 < self.floor_ms < np.inf:
            raise ValueError(f"its floor is {self.floor_ms}")
        if not isinstance(self.notes, dict):
            raise TypeError("its notes are no names with texts")
        trial = ConvolutionShape(64, 64, 28, 28, 28, 28, (3, 3))
        n_columns = self._columns(squares_of([trial], 1)).shape[1]
        self.efficiency.check(n_columns)
        self.uncertainty.check(n_columns)
        self.outside([trial], 1)
