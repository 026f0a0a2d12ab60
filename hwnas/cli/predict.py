"""``hwnas predict``."""

from typing import TYPE_CHECKING

import click
import numpy as np
from rich import box
from rich.table import Table

from hwnas.cli.numbers import Number
from hwnas.cli.options import engine_batch_option, own_space_option, shape_option
from hwnas.cli.output import json_option, print_json, say, stdout
from hwnas.cli.predict_models import Asked, is_file, predict_models
from hwnas.cli.resources import make_predictor
from hwnas.costs.written import millions
from hwnas.latency_tables import table_path
from hwnas.predictors.intervals import check_confidence

if TYPE_CHECKING:
    from hwnas.predictors import LatencyPredictor

__all__ = ["command"]


@click.command("predict")
@click.option(
    "--table", "table_name", required=True, metavar="FILE", help="A table's path or name."
)
@click.option(
    "--confidence",
    type=Number(most=100),
    default=0.95,
    show_default=True,
    help="Confidence of the interval.",
)
@shape_option
@engine_batch_option
@click.option(
    "--copies",
    is_flag=True,
    help="Add the time to copy a model's inputs to the V100 and its results back.",
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
    models = [text for text in wanted if is_file(text)]
    if models and len(models) < len(wanted):
        raise click.UsageError("give architectures or ONNX models, not both at once")
    if models and space is not None:
        raise click.UsageError("--space belongs to architectures: leave it out for ONNX models")
    if models:
        asked = Asked(table_path(table_name), confidence, shapes, strict, batch, copies)
        predict_models(models, asked, as_json)
    elif shapes or strict:
        raise click.UsageError("--shape and --strict belong to ONNX models")
    elif copies:
        raise click.UsageError("--copies belongs to ONNX models")
    else:
        predictor = make_predictor(table_name, space, batch)
        _predict_architectures(wanted, predictor, confidence, as_json)


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
            millions(space.macs(archs)[at]),
            millions(space.params(archs)[at], 2),
            text,
        )
    stdout.print(rows)
