"""``hwnas predict model.onnx``: what it takes, and where that goes."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from hwnas.cli.output import print_json, progress_bars, say, stdout
from hwnas.errors import HwnasError, OptionError
from hwnas.progress import Progress

if TYPE_CHECKING:
    from hwnas.kernels import Piece
    from hwnas.latency_tables import Target
    from hwnas.predictors import ModelPrediction

__all__ = ["predict_models"]

#: Kernels unlike all measured ones are named where they take more than this share.
_SAID = 0.01


def predict_models(
    paths: Sequence[str],
    table_name: str,
    confidence: float,
    shapes: Sequence[str],
    strict: bool,
    as_json: bool,
) -> None:
    """Predict and print each model; of several, those that cannot be read are named.

    Raises:
        click.exceptions.Exit: 2 where one could not be read, 1 where kernels were left out.
    """
    from hwnas.latency_tables import LatencyTable
    from hwnas.predictors import KernelPredictor, predict_pieces

    table = LatencyTable.load(table_name)
    sizes = _shapes(shapes)
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
                found[path] = predict_pieces(pieces, predictor, strict=strict, macs=macs)
    if as_json:
        failures = [{"model": path, "error": reason} for path, reason in failed.items()]
        print_json([*(_record(path, each, confidence) for path, each in found.items()), *failures])
    elif found:
        say(f"on {table.target}")
        _say_where_it_was_optimised(table.target)
        for path, result in found.items():
            _print(path, result, confidence)
    for path, reason in failed.items():
        say(reason if path in reason else f"{path}: {reason}", warning="error:")
    if failed:
        raise click.exceptions.Exit(2)
    if any(result.unpredicted for result in found.values()):
        raise click.exceptions.Exit(1)


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
    return {
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
        "kernels": [{"name": k.name, "kernel": k.key, "ms": k.ms} for k in result.kernels],
    }


def _print(path: str, result: "ModelPrediction", confidence: float) -> None:
    low, high = result.interval(confidence)
    time = f"{result.predicted_ms:.3f} ms ({confidence:.0%}: {low:.3f} to {high:.3f})"
    if math.isinf(high):
        time = f"at least {low:.3f} ms"
    stdout.print(f"{path}: {time}, {_counted(result.macs or 0)}", soft_wrap=True)
    rows = Table("ms", "share", "kernels", "operator", box=box.SIMPLE)
    for op, (count, ms) in result.by_operator().items():
        if ms > 0:
            rows.add_row(f"{ms:.3f}", f"{ms / result.predicted_ms:.1%}", str(count), op)
    rows.add_row(f"{result.call_ms:.3f}", f"{result.call_ms / result.predicted_ms:.1%}", "", "call")
    lacking = Counter(kernel.op for kernel in result.unpredicted)
    for op, count in lacking.most_common():
        rows.add_row("?", "", str(count), op)
    stdout.print(rows)
    far: dict[str, dict[str, None]] = {}
    for kernel in result.outside:
        far.setdefault(kernel.op, {}).update(dict.fromkeys(kernel.outside))
    share = sum(kernel.ms or 0.0 for kernel in result.outside) / result.predicted_ms
    if share > _SAID:
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


def _counted(macs: int) -> str:
    return f"{macs / 1e6:.1f} M MACs" if macs >= 50_000 else f"{macs:,} MACs"


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
