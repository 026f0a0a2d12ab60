"""``hwnas predict model.onnx``: what it takes, and where that goes."""

import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from hwnas.cli.output import print_json, progress_bars, say, stdout
from hwnas.cli.shipped import measured_table
from hwnas.cli.show_report import costliest_kernels
from hwnas.errors import HwnasError, OptionError
from hwnas.progress import Progress

if TYPE_CHECKING:
    from hwnas.kernels import Piece
    from hwnas.latency_tables import Target
    from hwnas.predictors import ModelPrediction

__all__ = ["Asked", "is_file", "predict_models", "shapes_of"]

#: Kernels unlike all measured ones are named where they take more than this share.
_SAID = 0.01

#: Files of networks. Only the first kind can be read; an error says so of the others.
_MODELS = (".onnx", ".pth", ".pt", ".pb", ".tflite", ".h5", ".keras", ".safetensors", ".ort")


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


def is_file(text: str) -> bool:
    """Whether a word means a file: what it holds is told when it is read."""
    # a path of that many characters is an error for pathlib
    return text.lower().endswith(_MODELS) or os.path.exists(text)  # noqa: PTH110


#: Path -> prediction, and path -> why there is none.
_Found = tuple[dict[str, "ModelPrediction"], dict[str, str]]


def predict_models(paths: Sequence[str], asked: Asked, as_json: bool, costliest: int = 0) -> None:
    """Predict and print each model; of several, those that cannot be read are named.

    Args:
        paths: of the models.
        asked: of all of them.
        as_json: print one document.
        costliest: so many kernels are printed one by one.

    Raises:
        click.exceptions.Exit: 2 where one could not be read, 1 where kernels were left out.
    """
    from hwnas.predictors import is_engine

    found, failed = _of_engine(paths, asked) if is_engine(asked.table) else _of_table(paths, asked)
    if as_json:
        failures = [{"model": path, "error": reason} for path, reason in failed.items()]
        records = (_record(path, each, asked.confidence) for path, each in found.items())
        print_json([*records, *failures])
    else:
        for result in {str(result.target): result for result in found.values()}.values():
            _say_of_what(result)
        for path, result in found.items():
            _print(path, result, asked.confidence, costliest)
    for path, reason in failed.items():
        say(reason if path in reason else f"{path}: {reason}", warning="error:")
    if failed:
        raise click.exceptions.Exit(2)
    if any(result.unpredicted for result in found.values()):
        raise click.exceptions.Exit(1)


def _of_engine(paths: Sequence[str], asked: Asked) -> _Found:
    from hwnas.predictors import predict_engine

    sizes = shapes_of(asked.shapes)
    found: dict[str, ModelPrediction] = {}
    failed: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        with _collecting(failed, path, alone=len(paths) == 1):
            found[path] = predict_engine(
                path,
                asked.table,
                strict=asked.strict,
                shapes=sizes,
                batch=asked.batch,
                copies=asked.copies,
            )
    return found, failed


def _of_table(paths: Sequence[str], asked: Asked) -> _Found:
    from hwnas.predictors import KernelPredictor, predict_pieces

    if asked.batch is not None or asked.copies:
        raise OptionError(
            "--batch and --copies are of engines such as v100-tensorrt-fp16: a table has its own "
            "batch, and was measured without copies"
        )
    table = measured_table(asked.table)
    sizes = shapes_of(asked.shapes)
    found: dict[str, ModelPrediction] = {}
    failed: dict[str, str] = {}
    with progress_bars() as progress:
        models = {}
        for path in dict.fromkeys(paths):
            with _collecting(failed, path, alone=len(paths) == 1):
                models[path] = _read(path, sizes, progress)
        if models:
            predictor = KernelPredictor(table, progress=progress)
        for path, (pieces, macs) in models.items():
            with _collecting(failed, path, alone=len(paths) == 1):
                found[path] = predict_pieces(pieces, predictor, strict=asked.strict, macs=macs)
    return found, failed


@contextmanager
def _collecting(failed: dict[str, str], path: str, alone: bool) -> Iterator[None]:
    """Remember why a model cannot be predicted, so that the others are; one alone is an error."""
    try:
        yield
    except HwnasError as error:
        if alone:
            raise
        failed[path] = " ".join(str(error).split())


def _read(
    path: str, sizes: Mapping[str, tuple[int, ...]], progress: Progress
) -> "tuple[list[Piece], int]":
    from hwnas.kernels import count_model_macs, split

    return split(path, sizes, progress), count_model_macs(path, sizes)


def _record(path: str, result: "ModelPrediction", confidence: float) -> dict[str, Any]:
    low, high = result.interval(confidence)
    whole = math.isfinite(high)
    record = {
        "model": path,
        "predicted_ms": result.predicted_ms,
        "interval_ms": [low, high] if whole else None,
        "at_least_ms": None if whole else low,
        "macs": result.macs,
        "operators": {
            op: {"kernels": count, "ms": ms} for op, (count, ms) in result.by_operator().items()
        },
        "call_ms": result.call_ms,
        "unpredicted": [{"name": k.name, "kernel": k.key} for k in result.unpredicted],
        "outside": [
            {"name": k.name, "kernel": k.key, "in": list(k.outside)} for k in result.outside
        ],
        "kernels": [
            {"name": k.name, "kernel": k.key, "ms": k.ms} | ({"note": k.note} if k.note else {})
            for k in result.kernels
        ],
    }
    if result.source:
        record |= {"target": str(result.target), "source": result.source}
    return record


def _say_of_what(result: "ModelPrediction") -> None:
    say(f"on {result.target}")
    if result.source:
        precision = result.target.precision
        say(f"{result.source}; models are taken to run in {precision}, whatever they are in")
    else:
        _say_where_it_was_optimised(result.target)


def _print(path: str, result: "ModelPrediction", confidence: float, costliest: int) -> None:
    from hwnas.costs.written import millions

    low, high = result.interval(confidence)
    time = f"{result.predicted_ms:.3f} ms ({confidence:.0%}: {low:.3f} to {high:.3f})"
    if math.isinf(high):
        time = f"at least {low:.3f} ms"
    macs = "unknown" if result.macs is None else millions(result.macs)
    stdout.print(f"{path}: {time}, {macs} MACs", soft_wrap=True)
    rows = Table("ms", "share", "kernels", "operator", box=box.SIMPLE)
    for op, (count, ms) in result.by_operator().items():
        if ms > 0:
            rows.add_row(f"{ms:.3f}", f"{ms / result.predicted_ms:.1%}", str(count), op)
    if result.call_ms:
        share = result.call_ms / result.predicted_ms
        rows.add_row(f"{result.call_ms:.3f}", f"{share:.1%}", "", "call")
    lacking = Counter(kernel.op for kernel in result.unpredicted)
    for op, count in lacking.most_common():
        rows.add_row("?", "", str(count), op)
    stdout.print(rows)
    if costliest:
        stdout.print(costliest_kernels(result, costliest))
    noted = Counter(k.note for k in result.kernels if k.note and k.ms and not k.outside)
    for note, count in noted.most_common():
        ms = sum(kernel.ms or 0.0 for kernel in result.kernels if kernel.note == note)
        kernels = f"{count} kernel{'s'[: count > 1]}"
        say(f"{path}: {kernels}, {ms / result.predicted_ms:.0%} of the time: {note}")
    far: dict[str, dict[str, None]] = {}
    for kernel in result.outside:
        far.setdefault(kernel.op, {}).update(dict.fromkeys(kernel.outside))
    outside_ms = sum(kernel.ms or 0.0 for kernel in result.outside)
    if outside_ms > _SAID * result.predicted_ms:
        share = outside_ms / result.predicted_ms
        names = "; ".join(f"{op}: {', '.join(sizes)}" for op, sizes in far.items())
        say(
            f"{path}: {share:.0%} of it are kernels unlike all that were measured ({names}), and "
            "the interval is wider for that"
        )
    if lacking:
        names = ", ".join(f"{op} ({count})" for op, count in lacking.most_common())
        say(
            f"{path}: not predicted, and not in the sum: {names}; so the model takes at least what "
            "is printed, and nobody knows how much more"
        )


def _say_where_it_was_optimised(target: "Target") -> None:
    import onnxruntime

    from hwnas.profilers.host import cpu_name

    here = (cpu_name(), onnxruntime.__version__)
    if here != (target.device, target.runtime_version):
        say(
            f"optimised for this machine ({here[0]}, onnxruntime {here[1]}): where the table was "
            "measured, other kernels may run"
        )


def shapes_of(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Sizes by input, from ``NAME=1x3x224x224``; without a name it is for the only input.

    Raises:
        OptionError: a text is nothing of the kind.
    """
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", sizes, re.ASCII):
            raise OptionError(f"--shape is [INPUT=]NxCxHxW such as 1x3x224x224, got {text!r}")
        found[name] = tuple(int(size) for size in sizes.split("x"))
    return found
