"""``hwnas predict model.onnx``: what it takes, and where that goes."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from hwnas.cli.output import print_json, progress_bars, say, stdout
from hwnas.errors import OptionError

if TYPE_CHECKING:
    from hwnas.latency_tables import Target
    from hwnas.predictors import ModelPrediction

__all__ = ["predict_models", "shapes_of"]


def predict_models(
    paths: Sequence[str],
    table_name: str,
    confidence: float,
    shapes: Sequence[str],
    strict: bool,
    as_json: bool,
) -> None:
    """Predict and print each model."""
    from hwnas.kernels import split
    from hwnas.latency_tables import LatencyTable
    from hwnas.predictors import KernelPredictor, predict_pieces

    table = LatencyTable.load(table_name)
    sizes = shapes_of(shapes)
    with progress_bars() as progress:
        models = {path: split(path, sizes, progress) for path in paths}
        predictor = KernelPredictor(table, progress=progress)
    found = {
        path: predict_pieces(pieces, predictor, strict=strict) for path, pieces in models.items()
    }
    records = [_record(path, result, confidence) for path, result in found.items()]
    if as_json:
        print_json(records)
        return
    say(f"on {table.target}")
    _say_where_it_was_optimised(table.target)
    for path, result in found.items():
        _print(path, result, confidence)


def _record(path: str, result: "ModelPrediction", confidence: float) -> dict[str, Any]:
    return {
        "model": path,
        "predicted_ms": result.predicted_ms,
        "interval_ms": list(result.interval(confidence)),
        "macs": sum(kernel.macs for kernel in result.kernels),
        "operators": {
            op: {"kernels": count, "ms": ms} for op, (count, ms) in result.by_operator().items()
        },
        "call_ms": result.call_ms,
        "unpredicted": [{"name": k.name, "kernel": k.key} for k in result.unpredicted],
        "kernels": [{"name": k.name, "kernel": k.key, "ms": k.ms} for k in result.kernels],
    }


def _print(path: str, result: "ModelPrediction", confidence: float) -> None:
    low, high = result.interval(confidence)
    macs = sum(kernel.macs for kernel in result.kernels)
    stdout.print(
        f"{path}: {result.predicted_ms:.3f} ms ({confidence:.0%}: {low:.3f} to {high:.3f}), "
        f"{macs / 1e6:.1f} M MACs",
        soft_wrap=True,
    )
    rows = Table("ms", "share", "kernels", "operator", box=box.SIMPLE)
    for op, (count, ms) in result.by_operator().items():
        if ms > 0:
            rows.add_row(f"{ms:.3f}", f"{ms / result.predicted_ms:.1%}", str(count), op)
    rows.add_row(f"{result.call_ms:.3f}", f"{result.call_ms / result.predicted_ms:.1%}", "", "call")
    stdout.print(rows)
    lacking = Counter(kernel.op for kernel in result.unpredicted)
    if lacking:
        names = ", ".join(f"{op} ({count})" for op, count in lacking.most_common())
        say(f"not predicted, and not in the sum: {names}; --strict fails on them")


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
