"""``hwnas predict model.onnx``: what it takes, and where that goes."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from hwnas.cli.output import print_json, progress_bars, say, stdout
from hwnas.errors import OptionError

if TYPE_CHECKING:
    from hwnas.latency_tables import Target
    from hwnas.predictors import ModelPrediction

__all__ = ["Asked", "predict_models"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of all models.

    Attributes:
        table: a name or path.
        confidence: of the intervals.
        shapes: as they were typed.
        strict: fail where a kernel is not known.
        batch: images a run, of an engine; None where it was not typed.
        copies: those of inputs and results as well, of an engine.
    """

    table: str
    confidence: float
    shapes: Sequence[str]
    strict: bool
    batch: int | None
    copies: bool


def predict_models(paths: Sequence[str], asked: Asked, as_json: bool) -> None:
    """Predict and print each model."""
    from hwnas.predictors import is_engine

    found = _of_engine(paths, asked) if is_engine(asked.table) else _of_table(paths, asked)
    if as_json:
        print_json([_record(path, result, asked.confidence) for path, result in found.items()])
        return
    targets = {str(result.target): result for result in found.values()}
    for text, result in targets.items():
        say(f"on {text}")
        if result.source:
            precision = result.target.precision
            say(f"{result.source}; models are taken to run in {precision}, whatever they are in")
        else:
            _say_where_it_was_optimised(result.target)
    for path, result in found.items():
        _print(path, result, asked.confidence)


def _of_engine(paths: Sequence[str], asked: Asked) -> "dict[str, ModelPrediction]":
    from hwnas.predictors import predict_engine

    sizes = _shapes(asked.shapes)
    return {
        path: predict_engine(
            path,
            asked.table,
            strict=asked.strict,
            shapes=sizes,
            batch=asked.batch,
            copies=asked.copies,
        )
        for path in paths
    }


def _of_table(paths: Sequence[str], asked: Asked) -> "dict[str, ModelPrediction]":
    from hwnas.kernels import split
    from hwnas.latency_tables import LatencyTable
    from hwnas.predictors import KernelPredictor, predict_pieces

    if asked.batch is not None or asked.copies:
        raise OptionError(
            "--batch and --copies are of engines such as v100-tensorrt-fp16: a table has its own "
            "batch, and was measured without copies"
        )
    table = LatencyTable.load(asked.table)
    sizes = _shapes(asked.shapes)
    with progress_bars() as progress:
        models = {path: split(path, sizes, progress) for path in paths}
        predictor = KernelPredictor(table, progress=progress)
    return {
        path: predict_pieces(pieces, predictor, strict=asked.strict)
        for path, pieces in models.items()
    }


def _record(path: str, result: "ModelPrediction", confidence: float) -> dict[str, Any]:
    low, high = result.interval(confidence)
    record = {
        "model": path,
        "predicted_ms": result.predicted_ms,
        "interval_ms": [low, high if math.isfinite(high) else None],
        "macs": sum(kernel.macs for kernel in result.kernels),
        "operators": {
            op: {"kernels": count, "ms": ms} for op, (count, ms) in result.by_operator().items()
        },
        "call_ms": result.call_ms,
        "unpredicted": [{"name": k.name, "kernel": k.key} for k in result.unpredicted],
        "kernels": [
            {"name": k.name, "kernel": k.key, "ms": k.ms} | ({"note": k.note} if k.note else {})
            for k in result.kernels
        ],
    }
    if result.source:
        record |= {"target": str(result.target), "source": result.source}
    return record


def _print(path: str, result: "ModelPrediction", confidence: float) -> None:
    low, high = result.interval(confidence)
    macs = sum(kernel.macs for kernel in result.kernels)
    within = f"{low:.3f} to {high:.3f}" if math.isfinite(high) else f"{low:.3f} or more"
    stdout.print(
        f"{path}: {'at least ' * result.at_least}{result.predicted_ms:.3f} ms "
        f"({confidence:.0%}: {within}), {macs / 1e6:.1f} M MACs",
        soft_wrap=True,
    )
    rows = Table("ms", "share", "kernels", "operator", box=box.SIMPLE)
    for op, (count, ms) in result.by_operator().items():
        if ms > 0:
            rows.add_row(f"{ms:.3f}", f"{ms / result.predicted_ms:.1%}", str(count), op)
    if result.call_ms:
        share = result.call_ms / result.predicted_ms
        rows.add_row(f"{result.call_ms:.3f}", f"{share:.1%}", "", "call")
    stdout.print(rows)
    noted = Counter(kernel.note for kernel in result.kernels if kernel.note and kernel.ms)
    for note, count in noted.most_common():
        ms = sum(kernel.ms or 0.0 for kernel in result.kernels if kernel.note == note)
        kernels = f"{count} kernel{'s'[: count > 1]}"
        say(f"{path}: {kernels}, {ms / result.predicted_ms:.0%} of the time: {note}")
    lacking = Counter(kernel.op for kernel in result.unpredicted)
    if lacking:
        names = ", ".join(f"{op} ({count})" for op, count in lacking.most_common())
        say(f"{path}: not predicted, and not in the sum: {names}; --strict fails on them")


def _say_where_it_was_optimised(target: "Target") -> None:
    import onnxruntime

    from hwnas.profilers.host import cpu_name

    here = (cpu_name(), onnxruntime.__version__)
    if here != (target.device, target.runtime_version):
        say(
            f"optimised for this machine ({here[0]}, onnxruntime {here[1]}): where the table was "
            "measured, other kernels may run"
        )


def _shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """``NAME=1x3x224x224``; without a name it is for the model's only input."""
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", sizes, re.ASCII):
            raise OptionError(f"--shape is [INPUT=]NxCxHxW such as 1x3x224x224, got {text!r}")
        found[name] = tuple(int(size) for size in sizes.split("x"))
    return found
