"""Latency of any ONNX model, without running it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.errors import KernelNotInTableError
from hwnas.kernels import Piece, count_model_macs, split
from hwnas.latency_tables import LatencyTable, Target
from hwnas.predictors.intervals import student_quantile
from hwnas.predictors.kernels import KernelPredictor

__all__ = ["KernelLatency", "ModelPrediction", "predict_onnx", "predict_pieces"]


@dataclass(frozen=True, slots=True)
class KernelLatency:
    """One kernel of a model in the order they run.

    Attributes:
        name, op, key, macs: of the node that runs.
        ms: None where it cannot be predicted.
        outside: in what it is far from every kernel that was measured, such as ``dilation``.
    """

    name: str
    op: str
    key: str
    macs: int
    ms: float | None
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelPrediction:
    """What a model will take, and where it goes.

    Attributes:
        predicted_ms: of a whole run; the kernels in ``unpredicted`` are not in it.
        kernels: all kernels in order.
        call_ms: part of ``predicted_ms`` that belongs to no kernel.
        target: what it will take that long on.
        residual: root mean square of log(predicted / measured) on the table's random networks.
        count: how many of these there are.
        macs: multiply-accumulates of the model as it was exported; None where nobody counted them.
            Kernels have their own, which a layout may have rounded up.
        spread: standard deviation of log(predicted / measured) of this model: what is unsure of its
            kernels, and what the table's random networks leave over; None: ``residual``.
    """

    predicted_ms: float
    kernels: tuple[KernelLatency, ...]
    call_ms: float
    target: Target
    residual: float
    count: int
    macs: int | None = None
    spread: float | None = None

    @property
    def outside(self) -> tuple[KernelLatency, ...]:
        """Predicted kernels that are far from all measured ones: the interval is wider for them."""
        return tuple(kernel for kernel in self.kernels if kernel.outside)

    @property
    def unpredicted(self) -> tuple[KernelLatency, ...]:
        """Kernels of families that the table did not measure, or whose shapes are not known."""
        return tuple(kernel for kernel in self.kernels if kernel.ms is None)

    def by_operator(self) -> dict[str, tuple[int, float]]:
        """Operator -> how many predicted kernels of it run, and their ms; the costliest first."""
        totals: dict[str, tuple[int, float]] = {}
        for kernel in self.kernels:
            if kernel.ms is not None:
                count, ms = totals.get(kernel.op, (0, 0.0))
                totals[kernel.op] = (count + 1, ms + kernel.ms)
        return dict(sorted(totals.items(), key=lambda item: -item[1][1]))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Milliseconds between which a measurement lies; its least where kernels are left out.

        From how sure each kernel is, and from the spread of the table's random networks around
        their predictions (Student's t). What ``unpredicted`` lists takes time that nobody knows:
        the upper end is infinite then.

        Raises:
            OptionError: the confidence is not between 0 and 1.
        """
        spread = student_quantile(confidence, self.count) * (
            self.residual if self.spread is None else self.spread
        )
        low, high = (self.predicted_ms * float(np.exp(sign * spread)) for sign in (-1, 1))
        return low, math.inf if self.unpredicted else high


def predict_onnx(
    model: bytes | str | Path,
    table: LatencyTable | KernelPredictor | str | Path,
    *,
    strict: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> ModelPrediction:
    """Predict a model from a table's measured kernels; the model is not run.

    ONNX Runtime on this machine tells which kernels it would run, fused and laid out for this
    machine's processor. For a table of another processor that layout may differ.

    Args:
        model: an ONNX model of fixed shapes, or its path.
        table: a table with kernels (``hwnas profile --kernels 500``), its path or name, or a
            predictor made of one.
        strict: raise where a kernel cannot be predicted, instead of listing it.
        shapes: input name -> its sizes, for inputs whose shapes are dynamic.

    Raises:
        ModelFormatError: the model cannot be read, or its shapes are not known.
        TableTargetError: the table holds no kernels.
        KernelNotInTableError: in strict mode, some kernels cannot be predicted.
    """
    pieces = split(model, shapes)  # before the table is modelled, so that errors come at once
    macs = count_model_macs(model, shapes)
    if isinstance(table, str | Path):
        table = LatencyTable.load(table)
    predictor = table if isinstance(table, KernelPredictor) else KernelPredictor(table)
    return predict_pieces(pieces, predictor, strict=strict, macs=macs)


def predict_pieces(
    pieces: Sequence[Piece],
    predictor: KernelPredictor,
    *,
    strict: bool = False,
    macs: int | None = None,
) -> ModelPrediction:
    """Predict a model that is split already, and counted or not; as `predict_onnx`."""
    found = [piece.kernel for piece in pieces]
    known = predictor.predict(found)
    outside = predictor.outside(found)
    kernels = tuple(
        KernelLatency(
            piece.node.name,
            kernel.op,
            kernel.key,
            kernel.macs,
            None if np.isnan(ms) else float(ms),
            far,
        )
        for piece, kernel, ms, far in zip(pieces, found, known, outside, strict=True)
    )
    lacking = [kernel for kernel in kernels if kernel.ms is None]
    if strict and lacking:
        ops = sorted({kernel.op for kernel in lacking})
        raise KernelNotInTableError(
            f"{len(lacking)} of {len(kernels)} kernels cannot be predicted ({', '.join(ops)}): the "
            f"table measured none like them, such as {lacking[0].key}; profile again with this "
            "version, which samples more kinds, or predict without --strict to see all others"
        )
    return ModelPrediction(
        predictor.call_ms + float(np.nansum(known)),
        kernels,
        predictor.call_ms,
        predictor.table.target,
        predictor.calibration.residual,
        predictor.calibration.count,
        macs,
        math.hypot(predictor.systematic, predictor.spread(found, known)),
    )
