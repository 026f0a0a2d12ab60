"""Any ONNX model on a V100 that is not here: its kernels, and what each takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot
from pathlib import Path

from hwnas.errors import KernelNotInTableError, ModelFormatError
from hwnas.kernels import FusedKernel, FusedModel, count_model_macs, fuse
from hwnas.predictors.model_prediction import KernelLatency, ModelPrediction
from hwnas.predictors.tensorrt.engines import SOURCE, parse_engine
from hwnas.predictors.tensorrt.networks import (
    PUBLISHED_COUNT,
    PUBLISHED_SPREAD,
    EngineTimes,
    KernelTime,
    relative_spread,
)
from hwnas.predictors.tensorrt.of_space import engine_times

__all__ = ["predict_engine", "predict_kernels"]

#: Bytes of a number on the host, and those that go over the card's bus in a millisecond from
#: ordinary (pageable) memory: 5 GB/s.
_FLOAT, _BUS = 4, 5e6
_COPIED = "estimated from bytes, at 5 GB/s"


def predict_engine(
    model: bytes | str | Path,
    name: str,
    *,
    strict: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    copies: bool = False,
) -> ModelPrediction:
    """Predict a model as the V100 runs it; the model is not run.

    Args:
        model: an ONNX model, or its path; of any precision, predicted as if it ran in the engine's.
        name: of the engine, such as ``v100-tensorrt-fp16``, with or without ``-b32``.
        strict: raise where a kernel is not known, or lies outside what was measured.
        shapes: input name -> its sizes, for inputs whose shapes are dynamic.
        batch: images a run; where neither says it, those that the model is made for.
        copies: also what copying its inputs to the card and its results back takes, from ordinary
            memory, which published latencies often hold and `hwnas profile` does not.

    Raises:
        ModelFormatError: the model cannot be read, or its shapes are not known.
        OptionError: a precision or batch that was not measured.
        KernelNotInTableError: in strict mode.
    """
    fused = fuse(model, shapes)
    named = parse_engine(name, batch)
    said = batch is not None or name != named.name or named.batch > 1
    engine = named if said else parse_engine(name, fused.batch)
    found = predict_kernels(fused.kernels, engine_times(engine), strict=strict)
    found = replace(found, macs=_macs(model, shapes))
    return _with_copies(found, fused, engine.batch) if copies else found


def _macs(model: bytes | str | Path, shapes: Mapping[str, Sequence[int]] | None) -> int | None:
    """Of the model, whatever is known of its kernels; None where ONNX Runtime cannot read it."""
    try:
        return count_model_macs(model, shapes, of_one_image=True)
    except ModelFormatError:
        return None


def _with_copies(found: ModelPrediction, fused: FusedModel, batch: int) -> ModelPrediction:
    ends = (("inputs", fused.elements_in), ("results", fused.elements_out))
    copied = tuple(
        KernelLatency(
            name, "host copy", f"host copy of {n}", 0, _FLOAT * batch * n / _BUS, note=_COPIED
        )
        for name, n in ends
    )
    total_ms = found.predicted_ms + sum(copy.ms or 0.0 for copy in copied)
    return replace(found, predicted_ms=total_ms, kernels=(*found.kernels, *copied))


def predict_kernels(
    kernels: Sequence[FusedKernel], times: EngineTimes, *, strict: bool = False
) -> ModelPrediction:
    """Predict kernels that are fused already; as `predict_engine`.

    Raises:
        KernelNotInTableError: in strict mode, kernels are unknown or outside what was measured.
    """
    known = times(kernels)
    batch = times.engine.batch
    found = tuple(
        KernelLatency(
            kernel.name,
            _operator(kernel),
            _line(kernel),
            0 if kernel.convolution is None else kernel.convolution.macs * batch,
            time.ms,
            (time.note,) if time.ms is not None and _refused(time) else (),
            time.note,
        )
        for kernel, time in zip(kernels, known, strict=True)
    )
    unsure = [k for k, time in zip(found, known, strict=True) if _refused(time)]
    if strict and unsure:
        raise KernelNotInTableError(
            f"{len(unsure)} of {len(found)} kernels are not known, or lie outside what was "
            f"measured, such as {unsure[0].key} ({unsure[0].note}): predict without --strict to "
            "see all"
        )
    return ModelPrediction(
        sum(k.ms for k in found if k.ms is not None),
        found,
        0.0,
        times.engine.target,
        hypot(PUBLISHED_SPREAD, relative_spread(known)),
        PUBLISHED_COUNT,
        source=SOURCE,
    )


def _refused(time: KernelTime) -> bool:
    """Whether strict mode fails."""
    return time.ms is None or not (time.measured or time.ordinary)


def _operator(kernel: FusedKernel) -> str:
    """What kernels are counted by: ``convolution 3x3``, ``depthwise 5x5``, ``pool``."""
    shape = kernel.convolution
    if kernel.kind != "convolution" or shape is None:
        return kernel.kind
    kind = "depthwise" if shape.depthwise else "grouped" if shape.groups > 1 else "convolution"
    return f"{kind} {'x'.join(map(str, shape.kernel))}"


def _line(kernel: FusedKernel) -> str:
    """One line: ``convolution 3x3/2 3x224x224 -> 32x112x112 (Conv+Relu)``."""
    ops = "+".join(kernel.ops)
    shape = kernel.convolution
    if shape is None:
        return f"{kernel.kind} {kernel.elements_in} -> {kernel.elements_out} ({ops})"
    stride = "" if shape.stride == (1, 1) else f"/{max(shape.stride)}"
    read = f"{shape.in_channels}x{shape.height}x{shape.width}"
    written = f"{shape.out_channels}x{shape.out_height}x{shape.out_width}"
    return f"{_operator(kernel)}{stride} {read} -> {written} ({ops})"
