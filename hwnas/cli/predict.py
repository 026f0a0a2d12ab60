"""``hwnas predict``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from rich import box
from rich.table import Table

from hwnas.cli.numbers import Number, Whole
from hwnas.cli.options import own_space_option
from hwnas.cli.output import json_option, print_json, say, stdout
from hwnas.cli.predict_models import Asked, predict_models
from hwnas.cli.resources import asking_for_space, know_space, make_space
from hwnas.latency_tables import table_path
from hwnas.predictors.intervals import check_confidence

if TYPE_CHECKING:
    from hwnas.predictors import LatencyPredictor

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
@click.option(
    "--batch",
    type=Whole(min=1, most=65_536),
    metavar="N",
    help="Images a run, of v100-tensorrt-fp32, -fp16 and -int8  [default: the model's, else 1]",
)
@click.option(
    "--copies",
    is_flag=True,
    help="Also what copying a model's inputs to the V100 and its results back takes.",
)
@click.option("--strict", is_flag=True, help="Fail where a model runs what cannot be predicted.")
@click.argument("wanted", nargs=-1, required=True, metavar="ARCH... | MODEL.onnx...")
@own_space_option
@json_option
def command(
    table_name: str,
    confidence: float,
    shapes: tuple[str, ...],
    batch: int | None,
    copies: bool,
    strict: bool,
    wanted: tuple[str, ...],
    space: str | None,
    as_json: bool,
) -> None:
    """Predict the latency of architectures, or of any ONNX model, where a table was measured.

    ONNX models need a table with kernels: hwnas profile --kernels 500; or one of
    v100-tensorrt-fp32, -fp16 and -int8, which are made from public measurements of a V100.

    \b
    Examples:
      hwnas predict --table my.json k3e3-skip-skip-skip-k5e6-...
      hwnas predict --table my.json model.onnx
      hwnas predict --table v100-tensorrt-fp16 --batch 32 model.onnx
      hwnas predict --table v100-tensorrt-fp16 --space proxyless k3e3-skip-skip-skip-k5e6-...
    """
    check_confidence(confidence)
    models = [text for text in wanted if _is_file(text)]
    if models and len(models) < len(wanted):
        raise click.UsageError("give architectures or ONNX models, not both at once")
    if models:
        asked = Asked(table_path(table_name), confidence, shapes, strict, batch, copies)
        predict_models(models, asked, as_json)
    elif shapes or strict:
        raise click.UsageError("--shape and --strict belong to ONNX models")
    elif copies:
        raise click.UsageError("--copies belongs to ONNX models")
    else:
        predictor = _predictor(table_name, space, batch)
        _predict_architectures(wanted, predictor, confidence, as_json)


def _predictor(table_name: str, space: str | None, batch: int | None) -> "LatencyPredictor":
    from hwnas.predictors import is_csv, is_engine, load_predictor, parse_engine

    source = table_path(table_name)
    if is_engine(source):
        known = None if space is None else make_space(space)
        return load_predictor(parse_engine(source, batch).name, known)
    if batch is not None:
        raise click.UsageError("--batch is of engines such as v100-tensorrt-fp16")
    if is_csv(source) and space is not None:
        return load_predictor(source, make_space(space))
    know_space(space)
    with asking_for_space():
        return load_predictor(source)


def _is_file(text: str) -> bool:
    """Whether a word means a file: what it holds is told when it is read."""
    return text.lower().endswith(_MODELS) or Path(text).exists()


def _predict_architectures(
    architectures: tuple[str, ...],
    predictor: "LatencyPredictor",
    confidence: float,
    as_json: bool,
) -> None:
    from hwnas.predictors import MeansPredictor, require

    space = predictor.space
    archs = np.stack([space.parse(text) for text in architectures])
    ms = predictor.predict(archs)
    interval: list[list[float] | None] = [None] * len(ms)
    if not isinstance(predictor, MeansPredictor):
        known = require(predictor, "predict_interval", "hwnas predict")
        interval = known.predict_interval(archs, confidence).tolist()
    if as_json:
        found = zip(
            architectures, ms, interval, space.macs(archs), space.params(archs), strict=True
        )
        print_json(
            [
                {
                    "architecture": text,
                    "predicted_ms": float(value),
                    "interval_ms": pair,
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
            "unknown" if (ends := interval[at]) is None else f"{ends[0]:.3f} to {ends[1]:.3f}",
            f"{space.macs(archs)[at] / 1e6:.1f} M",
            f"{space.params(archs)[at] / 1e6:.2f} M",
            text,
        )
    stdout.print(rows)
