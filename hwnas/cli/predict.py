"""``hwnas predict``."""

import click
import numpy as np
from rich import box
from rich.table import Table

from hwnas.cli.output import json_option, print_json, say, stdout
from hwnas.cli.resources import resolved

__all__ = ["command"]


@click.command("predict")
@click.option(
    "--table", "table_name", required=True, metavar="FILE", help="A table's path or name."
)
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the interval.")
@click.argument("architectures", nargs=-1, required=True, metavar="ARCH...")
@json_option
def command(
    table_name: str, confidence: float, architectures: tuple[str, ...], as_json: bool
) -> None:
    """Predict the latency of architectures on the machine that a table was measured on.

    \b
    Example:
      hwnas predict --table my.json k3e3-skip-skip-skip-k5e6-...
    """
    from hwnas.predictors import load_predictor

    predictor = load_predictor(resolved(table_name))
    space = predictor.space
    archs = np.stack([space.parse(text) for text in architectures])
    ms, interval = predictor.predict(archs), predictor.predict_interval(archs, confidence)
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
                }
                for text, value, pair, macs, params in found
            ]
        )
        return
    for name, note in predictor.notes.items():
        say(f"[dim]{name}:[/dim] {note}")
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
