"""``hwnas predict``."""

from pathlib import Path

import click
import numpy as np
from rich import box
from rich.table import Table

from hwnas.cli.numbers import Number
from hwnas.cli.options import own_space_option
from hwnas.cli.output import json_option, print_json, say, stdout
from hwnas.cli.predict_models import predict_models
from hwnas.cli.resources import asking_for_space, know_space
from hwnas.latency_tables import table_path
from hwnas.predictors.intervals import check_confidence

__all__ = ["command"]

#: Files of networks, of which only the first can be read; of the others it is said.
_MODELS = (".onnx", ".pth", ".pt", ".pb", ".tflite", ".h5", ".keras", ".safetensors", ".ort")


@click.command("predict")
@click.option(
    "--table", "table_name", required=True, metavar="FILE", help="A table's path or name."
)
@click.option(
    "--confidence",
    type=Number(most=100),
    default=0.95,
    show_default=True,
    help="Of the interval.",
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="[INPUT=]NxCxHxW",
    help="Sizes of a model's input that is dynamic, such as 1x3x224x224.",
)
@click.option("--strict", is_flag=True, help="Fail where a model runs what cannot be predicted.")
@click.argument("wanted", nargs=-1, required=True, metavar="ARCH... | MODEL.onnx...")
@own_space_option
@json_option
def command(
    table_name: str,
    confidence: float,
    shapes: tuple[str, ...],
    strict: bool,
    wanted: tuple[str, ...],
    space: str | None,
    as_json: bool,
) -> None:
    """Predict the latency of architectures, or of any ONNX model, where a table was measured.

    ONNX models need a table with kernels: hwnas profile --kernels 500.

    \b
    Examples:
      hwnas predict --table my.json k3e3-skip-skip-skip-k5e6-...
      hwnas predict --table my.json model.onnx
    """
    check_confidence(confidence)
    models = [text for text in wanted if _is_file(text)]
    if models and len(models) < len(wanted):
        raise click.UsageError("give architectures or ONNX models, not both at once")
    if models:
        predict_models(models, table_path(table_name), confidence, shapes, strict, as_json)
    elif shapes or strict:
        raise click.UsageError("--shape and --strict belong to ONNX models")
    else:
        know_space(space)
        _predict_architectures(wanted, table_name, confidence, as_json)


def _is_file(text: str) -> bool:
    """Whether a word means a file: what it holds is told when it is read."""
    return text.lower().endswith(_MODELS) or Path(text).exists()


def _predict_architectures(
    architectures: tuple[str, ...], table_name: str, confidence: float, as_json: bool
) -> None:
    from hwnas.predictors import load_predictor, require

    with asking_for_space():
        predictor = load_predictor(table_path(table_name))
    space = predictor.space
    archs = np.stack([space.parse(text) for text in architectures])
    ms = predictor.predict(archs)
    known = require(predictor, "predict_interval", "hwnas predict")
    interval = known.predict_interval(archs, confidence)
    if as_json:
        found = zip(
            architectures, ms, interval, space.macs(archs), space.params(archs), strict=True
        )
        print_json(
            [
                {
                    "architecture": text,
                    "predicted_ms": float(value),
                    "interval_ms": [float(v) for v in pair],
                    "macs": int(macs),
                    "params": int(params),
                    "notes": dict(predictor.notes),
                }
                for text, value, pair, macs, params in found
            ]
        )
        return
    for name, note in predictor.notes.items():
        say(f"{name}: {note}")
    names = ("ms", f"{confidence:.0%} interval", "MACs", "parameters", "architecture")
    rows = Table(*names, box=box.SIMPLE)
    for at, text in enumerate(architectures):
        rows.add_row(
            f"{ms[at]:.3f}",
            f"{interval[at, 0]:.3f} to {interval[at, 1]:.3f}",
            f"{space.macs(archs)[at] / 1e6:.1f} M",
            f"{space.params(archs)[at] / 1e6:.2f} M",
            text,
        )
    stdout.print(rows)
