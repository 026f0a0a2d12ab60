"""A published campaign of measured convolutions, as rows of a CSV file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.arrays import BoolArray, FloatArray, IntArray
from hwnas.csv_files import read_csv
from hwnas.errors import DataError
from hwnas.kernels.fused import ConvolutionShape

__all__ = ["Campaign", "read_campaign"]

_NUMBERS = ("batch", "in_channels", "size", "out_channels", "kernel", "stride", "fused_add", "ms")
_KINDS = ("regular", "depthwise")


@dataclass(frozen=True, eq=False)
class Campaign:
    """What was measured in one precision.

    Attributes:
        shapes: of n rows.
        batch: images at once, (n,).
        ms: milliseconds, (n,).
    """

    shapes: list[ConvolutionShape]
    batch: IntArray
    ms: FloatArray

    def __len__(self) -> int:
        return len(self.shapes)

    def take(self, rows: BoolArray | IntArray) -> "Campaign":
        """Some of the rows."""
        at = np.arange(len(self))[rows]
        return Campaign([self.shapes[i] for i in at], self.batch[at], self.ms[at])

    def groups(self) -> IntArray:
        """A number for each row, (n,), the same for all batches, with and without a sum."""
        keys = [
            (s.groups, s.in_channels, s.height, s.out_channels, s.kernel, s.stride)
            for s in self.shapes
        ]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return np.array([numbers[key] for key in keys], np.int64)


def read_campaign(path: Path) -> dict[str, Campaign]:
    """Precision -> what was measured in it.

    The file's columns: precision, convolution (regular or depthwise), batch, in_channels, size (of
    the square map that is read), out_channels, kernel, stride, fused_add (0 or 1), ms. Maps are
    padded so that stride 1 keeps their size.

    Raises:
        DataError: it cannot be read, or a row is no measured convolution.
    """
    found = read_csv(path).columns(["precision", "convolution", *_NUMBERS])
    rows: dict[str, list[tuple[ConvolutionShape, int, float]]] = {}
    for line, row in zip(found.lines, found.rows, strict=True):
        precision, kind, *texts = row
        try:
            rows.setdefault(precision, []).append(_convolution(kind, texts))
        except ValueError as error:
            raise DataError(f"line {line} of {path} is no measured convolution: {error}") from None
    return {
        precision: Campaign(
            [shape for shape, _, _ in measured],
            np.array([batch for _, batch, _ in measured], np.int64),
            np.array([ms for _, _, ms in measured], np.float64),
        )
        for precision, measured in rows.items()
    }


def _convolution(kind: str, texts: list[str]) -> tuple[ConvolutionShape, int, float]:
    batch, inputs, size, outputs, kernel, stride, fused_add = map(int, texts[:-1])
    ms = float(texts[-1])
    if kind not in _KINDS:
        raise ValueError(f"its kind is {kind!r}, and one of {', '.join(_KINDS)} is needed")
    if min(batch, inputs, size, outputs, kernel, stride) < 1 or fused_add not in (0, 1):
        raise ValueError("its sizes are whole numbers from 1, and fused_add is 0 or 1")
    if not 0 < ms < np.inf:
        raise ValueError(f"its time is {ms} ms")
    if kind == "depthwise" and inputs != outputs:
        raise ValueError(f"it is depthwise, of {inputs} channels to {outputs}")
    after = -(-size // stride)
    shape = ConvolutionShape(
        *(inputs, outputs, size, size, after, after),
        *((kernel, kernel), (stride, stride)),
        groups=inputs if kind == "depthwise" else 1,
        fused_add=bool(fused_add),
    )
    return shape, batch, ms
